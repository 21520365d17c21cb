"""Twenty optimiser steps of the four reference networks: every loss, learning rate and final parameter."""

import numpy as np
import pytest
from golden import CONFIGS, TOLD, WEIGHT_DECAY, group, reference
from numpy.testing import assert_allclose

from multires_ref.authors.derive import from_authors
from multires_ref.base.pytrees import flatten
from multires_ref.network import apply
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init, learning_rate
from multires_ref.training.step import train_step

TOL = 1e-12  # measured: below 1e-13
STEPS = 20
WARMUP = {"tokens_batchnorm_lengths": 5, "multilabel_db2_uniform": 3}
HIGHEST = {"autoregressive": 1e-3}
OBJECTIVE = {"multilabel_db2_uniform": "multilabel", "autoregressive": "density"}


@pytest.mark.parametrize("name", CONFIGS)
def test_trajectory(name):
    arrays, config = reference(name), CONFIGS[name]
    _, params, state = from_authors(group(arrays, "init"), **TOLD[name])
    lr, warmup = HIGHEST.get(name, 3e-3), WARMUP.get(name, 0)
    rates = [learning_rate(n, STEPS, lr, warmup) for n in range(STEPS)]
    assert_allclose(rates, arrays["traj_lr"], rtol=1e-13, atol=1e-18)

    optimizer = "adam" if name == "autoregressive" else "adamw"
    training = TrainingConfig(STEPS, len(arrays["x"]), lr, optimizer, WEIGHT_DECAY[name], dtype="float64")
    objective = get_objective(OBJECTIVE.get(name, "classification"), config)
    batch = Split(arrays["x"], arrays["target"], arrays.get("lengths"))
    state = apply(config, params, state, batch.x, batch.lengths, training=True)[1]  # their BatchNorm saw `train_output` first
    opt_state, losses = adam_init(params), []
    for rate in rates:
        loss, state = train_step(config, params, state, opt_state, batch, rate, np.random.default_rng(0), objective, training)
        losses.append(loss)
    assert_allclose(losses, arrays["traj_loss"], rtol=TOL)

    _, final_params, final_state = from_authors(group(arrays, "final"), **TOLD[name])
    ours, theirs = flatten([params, state]), flatten([final_params, final_state])
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert_allclose(ours[key], theirs[key], rtol=TOL, atol=TOL, err_msg=key)
