"""A training step and its operations on a strict stand-in for CuPy (`fake_cupy.py`), beside NumPy.

What passes here touches no NumPy array by accident and does not wait for the device within a step. Speed, streams and CuPy's own
functions need a GPU: `test_gpu.py`. With a C++ compiler the package's CUDA sources run; without one, the definitions.
"""

from __future__ import annotations

import contextlib
import copy

import fake_cupy
import numpy as np
import pytest
from autograd import make_vjp
from golden import CONFIGS, TOLD, WEIGHT_DECAY, group, reference
from gpu_cases import NETWORKS, any_cupy, batch_for, network, stand_in_with_kernels, start  # noqa: F401 (two fixtures)
from test_trajectories import OBJECTIVE

import multires_ref as mr
from multires_ref.authors.derive import from_authors
from multires_ref.base.pytrees import flatten
from multires_ref.network import apply
from multires_ref.ops.adam_update import adam_factors, adam_update
from multires_ref.ops.registry import FUNCTIONS, forget_choices
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.device import batch_to_device, tree_to_device
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import loss_and_gradients, train_step

SUM_ORDER = {"float64": 1e-12, "float32": 2e-5}  # NumPy and the kernels add up in different orders


# The stand-in itself


def test_the_stand_in_is_strict(kernels):
    a = kernels.asarray(np.arange(3.0))
    assert type(a).__module__ == "cupy"
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(a)
    for mixed in (
        lambda: a + np.ones(3),
        lambda: np.ones(3) * a,
        lambda: a[np.array([0])],
        lambda: a.__setitem__(0, np.ones(())),
    ):
        with pytest.raises(TypeError):
            mixed()
    with pytest.raises((TypeError, AttributeError)):
        np.linalg.norm(a)
    assert isinstance(np.exp(a), type(a))  # NumPy's functions come back to the device
    assert isinstance(a.sum(), type(a))
    fake_cupy.log.clear()
    assert float(a.sum()) == 3.0
    assert bool((a > 1).any())
    assert fake_cupy.log["sync"] == 2


# One step


@pytest.mark.parametrize("name", NETWORKS)
def test_three_steps(name, cupy):
    """Losses, parameters and running statistics as on NumPy; nothing waits, and only the dropout masks travel."""
    config, objective_name = NETWORKS[name]
    objective, batch = get_objective(objective_name, config), batch_for(config, objective_name)
    params, state = start(config)
    on_device = [tree_to_device(copy.deepcopy(tree), "gpu") for tree in (params, state)]
    device_batch = batch_to_device(batch, "gpu")
    cpu = TrainingConfig(1, 4, 0.01, clip=0.5, dtype="float64", engine="tree")
    gpu = TrainingConfig(1, 4, 0.01, clip=0.5, dtype="float64", engine=cupy.engine)
    moments, device_moments = adam_init(params), adam_init(on_device[0])
    rngs = np.random.default_rng(2), np.random.default_rng(2)
    for step in range(3):
        loss, state = train_step(config, params, state, moments, batch, 0.01, rngs[0], objective, cpu)
        fake_cupy.log.clear()
        with cupy.no_waiting() if step else contextlib.nullcontext():  # at first kernels are compiled
            got, on_device[1] = train_step(config, *on_device, device_moments, device_batch, 0.01, rngs[1], objective, gpu)
        assert fake_cupy.log["sync"] == 0
        if step and not cupy.real:  # a kind of layer is described to the device once
            assert fake_cupy.log["upload"] == config.n_layers
        np.testing.assert_allclose(float(got), loss, rtol=1e-11)
    for tree, other in ((params, on_device[0]), (state, on_device[1])):
        for path, array in flatten(tree).items():
            np.testing.assert_allclose(flatten(other)[path].get(), array, rtol=1e-9, atol=1e-10, err_msg=path)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_authors_trajectories(name, cupy):
    """Optimiser steps of the four reference networks: every loss, as the authors' PyTorch code gave it. (All twenty, but where
    kernels run on the CPU, thread by thread, the first four.)"""
    numbers, config = reference(name), CONFIGS[name]
    _, *trees = from_authors(group(numbers, "init"), **TOLD[name])
    batch = batch_to_device(Split(numbers["x"], numbers["target"], numbers.get("lengths")), "gpu")
    params, state = (tree_to_device(tree, "gpu") for tree in trees)
    state = apply(config, params, state, batch.x, batch.lengths, training=True, engine=cupy.engine)[1]
    optimizer = "adam" if name == "autoregressive" else "adamw"
    training = TrainingConfig(20, 4, 0.1, optimizer, WEIGHT_DECAY[name], dtype="float64", engine=cupy.engine)
    moments, objective = adam_init(params), get_objective(OBJECTIVE.get(name, "classification"), config)
    losses = []
    rates = numbers["traj_lr"] if cupy.real or cupy.engine == "tree" else numbers["traj_lr"][:4]
    for lr in rates:
        loss, state = train_step(config, params, state, moments, batch, lr, np.random.default_rng(0), objective, training)
        losses.append(float(loss))
    np.testing.assert_allclose(losses, numbers["traj_loss"][: len(rates)], rtol=1e-11)


def test_float32_stays_float32(cupy):
    config, objective = network(norm="batch"), get_objective("classification")
    params, state = (tree_to_device(tree, "gpu") for tree in start(config, "float32"))
    batch = batch_to_device(batch_for(config, "classification", dtype="float32"), "gpu")
    loss, gradients, state = loss_and_gradients(config, params, state, batch, np.random.default_rng(0), objective, cupy.engine)
    arrays = flatten(gradients) | {k: a for k, a in flatten(state).items() if not k.endswith("count")} | {"loss": loss}
    assert {str(a.dtype) for a in arrays.values()} == {"float32"}
    assert {type(a) for a in arrays.values()} == {cupy.ndarray}


def test_launches_of_a_step(kernels):
    """The launches a block adds to a step: what docs and README say of it."""
    counts = {}
    for n_layers in (1, 2):
        config, objective = network(n_layers=n_layers), get_objective("classification")
        params, state = (tree_to_device(tree, "gpu") for tree in start(config))
        batch = batch_to_device(batch_for(config, "classification"), "gpu")
        moments, training = adam_init(params), TrainingConfig(1, 4, 0.01)
        for _ in range(2):
            fake_cupy.log.clear()
            train_step(config, params, state, moments, batch, 0.01, np.random.default_rng(0), objective, training)
        counts[n_layers] = fake_cupy.log["launch"]
    assert counts[2] - counts[1] <= 26  # 8 of them Adam's, one for each parameter
    assert counts[1] <= 71


# Operations


def arrays(dtype):
    """Arguments of every operation that has a version of its own for CuPy."""
    rng, B, D, L, V = np.random.default_rng(3), 3, 5, 37, 7
    n = lambda *shape: rng.standard_normal(shape).astype(dtype)  # noqa: E731
    mask, lengths = ((rng.random((B, D, 1)) < 0.8) * 1.25).astype(dtype), np.array([5, 37, 1])
    tokens, var, x, r = rng.integers(0, V, (B, L)), np.abs(n(D)) + 0.1, n(B, D, L), n(B, D, L)
    s = x + r
    own = s.mean(axis=(0, 2)), s.var(axis=(0, 2))
    yield from (("gelu", x, m) for m in (None, mask))
    yield from (("gelu_adjoint", n(B, D, L), x, m) for m in (None, mask))
    yield from (("glu", n(B, 2 * D, L), m) for m in (None, mask))
    yield from (("glu_adjoint", x, n(B, 2 * D, L), m) for m in (None, mask))
    yield "conv1x1", x, n(4, D), n(4)
    yield "conv1x1_adjoint", n(B, 4, L), x, n(4, D), n(4)
    yield "embed", n(V, D), tokens
    yield "embed_adjoint", x, n(V, D), tokens
    yield from (("masked_mean", x, k) for k in (None, lengths))
    yield from (("masked_mean_adjoint", n(B, D), x, k) for k in (None, lengths))
    yield "layer_norm", x, r, n(D), n(D)
    yield "layer_norm_adjoint", n(B, D, L), x, r, n(D), n(D)
    yield "batch_statistics", x, r
    yield "batch_norm", x, r, n(D), n(D), n(D), var, True
    yield "batch_norm_adjoint", n(B, D, L), x, r, n(D), n(D), *own, True
    yield "batch_norm_adjoint", n(B, D, L), x, r, n(D), n(D), n(D), var, False


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_against_their_definitions(dtype, kernels):
    forget_choices()
    for name, *args in arrays(dtype):
        on_device = [kernels.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
        fake_cupy.log.clear()
        got, wanted = FUNCTIONS[name](*on_device), FUNCTIONS[name].definition(*args)
        assert fake_cupy.log["sync"] == fake_cupy.log["upload"] == 0, name
        pairs = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
        for a, b in pairs:
            assert (a.shape, a.dtype) == (b.shape, b.dtype), name
            np.testing.assert_allclose(a.get(), b, rtol=0, atol=SUM_ORDER[dtype] * max(1, np.abs(b).max()), err_msg=name)


def test_adam_in_place(kernels):
    rng = np.random.default_rng(0)
    for dtype, tolerance in (("float64", 1e-15), ("float32", 1e-6)):
        p, g, m, v = (rng.standard_normal((3, 5)).astype(dtype) for _ in range(4))
        v *= v
        on_device = [kernels.asarray(a) for a in (p, g, m, v)]
        factors = adam_factors(0.01, 0.1, 7)
        adam_update.definition(p, g, m, v, factors)
        adam_update(*on_device, factors)
        for got, wanted in zip(on_device, (p, g, m, v), strict=True):
            np.testing.assert_allclose(got.get(), wanted, rtol=tolerance, atol=tolerance)


# The operator


def test_gradients_through_autograd_itself(cupy):
    """autograd's own `make_vjp` on CuPy arrays, with its arithmetic around the operator."""
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(s) for s in ((2, 3, 20), (3, 2), (3, 2), (3, 5), (3,))]
    g = rng.standard_normal((2, 3, 20))
    square = lambda engine: lambda *a: 0.5 * mr.multires_conv(*a, engine=engine) ** 2 - a[0]  # noqa: E731
    for n in range(5):
        got = make_vjp(square(cupy.engine), n)(*(cupy.asarray(a) for a in args))[0](cupy.asarray(g))
        assert isinstance(got, cupy.ndarray)
        np.testing.assert_allclose(got.get(), make_vjp(square("tree"), n)(*args)[0](g), rtol=1e-11, atol=1e-12)


def test_devices_do_not_mix(cupy):
    rng = np.random.default_rng(0)
    x, h0, h1, w, w_skip = (rng.standard_normal(s) for s in ((2, 3, 20), (3, 2), (3, 2), (3, 5), (3,)))
    with pytest.raises(TypeError, match="different devices"):
        mr.multires_conv(cupy.asarray(x), h0, h1, w, w_skip)
    with pytest.raises(TypeError, match="different devices"):
        mr.multires_conv(x, cupy.asarray(h0), cupy.asarray(h1), w, w_skip)
    h0, h1 = cupy.asarray(h0), cupy.asarray(h1)
    for weights in ((w, cupy.asarray(w_skip)), (cupy.asarray(w), w_skip)):
        with pytest.raises(TypeError, match="different devices"):
            mr.multires_conv(cupy.asarray(x), h0, h1, *weights)
        with pytest.raises(TypeError, match="different devices"):
            mr.equivalent_kernel(h0, h1, *weights)


def test_auto_takes_the_gpu_engine(kernels):
    rng = np.random.default_rng(0)
    args = [kernels.asarray(rng.standard_normal(s)) for s in ((2, 3, 20), (3, 2), (3, 2), (3, 5), (3,))]
    fake_cupy.launches.clear()
    mr.multires_conv(*args)
    assert set(fake_cupy.launches) == {"tree_forward"}
