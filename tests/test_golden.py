"""The four reference networks: outputs, gradients and 20 training steps, against the numbers of the authors' code.

From `init/` (float64) everything must agree to 1e-12. The .pth files hold the same parameters rounded to float32, which moves
each by up to 2**-24 = 6e-8 of itself; the outputs may move by about that, times what the network amplifies. So from the .pth
the output is held to 3e-7, gradients to 1e-6, the losses of 20 steps to 3e-8; that the difference is rounding and nothing else is
shown by `test_pth_is_init_rounded`: the float32 parameters are those of `init/`, bit for bit.
"""

import numpy as np
import pytest
from cases import assert_agrees
from golden import CONFIGS, DATA, LOSSES, TOLD, WEIGHT_DECAY, group, reference

from multires_ref import load_model
from multires_ref.authors.convert import params_to_authors, to_authors
from multires_ref.authors.derive import from_authors
from multires_ref.base.pytrees import flatten, unflatten
from multires_ref.diagnose.record import cast_model
from multires_ref.network import Model, apply
from multires_ref.ops.adam_update import adam_factors, adam_update

EXACT = 1e-12  # relative, from init/
OUTPUT, GRADIENT, STEPS = 3e-7, 1e-6, 3e-8  # what float32 storage allows, from the .pth
SOURCES = ["init", "pth"]


def model_from(source, name, arrays):
    """The reference network in float64, from the .npz's `init/` or from the .pth."""
    if source == "init":
        return Model(*from_authors(group(arrays, "init"), **TOLD[name]))
    pytest.importorskip("torch", reason="PyTorch is not installed")
    return cast_model(load_model(DATA / f"{name}.pth", **TOLD[name]), "float64")


@pytest.mark.parametrize("name", CONFIGS)
def test_config_is_derived(name):
    config = from_authors(group(reference(name), "init"), **TOLD[name])[0]
    for setting in (
        "kind",
        "encoder",
        "norm",
        "d_input",
        "d_output",
        "d_model",
        "n_layers",
        "kernel_size",
        "J",
        "m",
        "tree_select",
    ):
        assert getattr(config, setting) == getattr(CONFIGS[name], setting), setting


@pytest.mark.parametrize("name", CONFIGS)
def test_pth_is_init_rounded(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    stored = torch.load(DATA / f"{name}.pth", weights_only=True)["model"]
    init = group(reference(name), "init")
    assert {key.removeprefix("module.") for key in stored} == set(init)
    for key, array in init.items():
        expected = array if array.dtype.kind == "i" else array.astype(np.float32)
        np.testing.assert_array_equal(stored[f"module.{key}"].numpy(), expected, err_msg=key)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CONFIGS)
def test_outputs(name, source):
    arrays = reference(name)
    model, tolerance = model_from(source, name, arrays), EXACT if source == "init" else OUTPUT
    assert_agrees(model(arrays["x"], arrays.get("lengths")), arrays["eval_output"], tolerance, "evaluation")
    out, _ = apply(model.config, model.params, model.state, arrays["x"], arrays.get("lengths"), training=True)
    assert_agrees(out, arrays["train_output"], tolerance, "training")
    assert_agrees(LOSSES[name](out, arrays["target"]), arrays["loss"], tolerance, "loss")


def loss_and_gradient(name, arrays, model):
    """The loss in training mode, its gradients (laid out as parameters), and the new norm state."""
    from autograd import value_and_grad

    new_state = {}

    def loss(params):
        out, state = apply(model.config, params, model.state, arrays["x"], arrays.get("lengths"), training=True)
        new_state.update(state)
        return LOSSES[name](out, arrays["target"])

    value, gradient = value_and_grad(loss)(model.params)
    return value, gradient, new_state


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CONFIGS)
def test_gradients(name, source):
    arrays = reference(name)
    model, tolerance = model_from(source, name, arrays), EXACT if source == "init" else GRADIENT
    _, gradient, _ = loss_and_gradient(name, arrays, model)
    theirs = group(arrays, "grad")
    ours = params_to_authors(model.config, gradient)
    assert set(ours) == set(theirs)
    for key, expected in theirs.items():
        assert ours[key].dtype == np.float64
        assert_agrees(ours[key], expected, tolerance, key)


def train(name, arrays, model, steps=20):
    """Full-batch AdamW (Adam where the decay is 0) at the stored learning rates: the losses before each step, the final model.

    `train_output` was computed first, in training mode, so BatchNorm had seen one batch before the first step.
    """
    model = Model(model.config, model.params, loss_and_gradient(name, arrays, model)[2])
    flat = flatten(model.params)
    moments = {key: (np.zeros_like(p), np.zeros_like(p)) for key, p in flat.items()}
    losses = []
    for step, lr in enumerate(arrays["traj_lr"][:steps], start=1):
        model = Model(model.config, unflatten(flat), model.state)
        loss, gradient, state = loss_and_gradient(name, arrays, model)
        losses.append(loss)
        for key, g in flatten(gradient).items():
            adam_update(flat[key], g, *moments[key], adam_factors(float(lr), WEIGHT_DECAY[name], step))
        model = Model(model.config, unflatten(flat), state)
    return np.array(losses), model


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CONFIGS)
def test_twenty_steps(name, source):
    arrays = reference(name)
    model, tolerance = model_from(source, name, arrays), EXACT if source == "init" else STEPS
    losses, model = train(name, arrays, model)
    assert_agrees(losses, arrays["traj_loss"], tolerance, "losses")
    if source == "init":
        final = group(arrays, "final")
        for key, array in to_authors(model).items():
            assert_agrees(array, final[key], EXACT, key)
