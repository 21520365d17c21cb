"""Training, evaluation, checkpoints, streaming and sampling on a strict stand-in for CuPy (`fake_cupy.py`), beside NumPy.

What passes here touches no NumPy array by accident and does not wait for the device within a step. Speed, streams and CuPy's own
functions need a GPU: `test_gpu.py`. With a C++ compiler the package's CUDA sources run; without one, the definitions.
"""

from __future__ import annotations

import copy
import json

import fake_cupy
import numpy as np
import pytest
from autograd import make_vjp
from cuda_on_cpu import NO_COMPILER, have_compiler

import multires_ref as mr
from multires_ref.autodiff import dispatch
from multires_ref.network.config import mixture_channels
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.device import batch_to_device, tree_to_device
from multires_ref.training.evaluate import evaluate, predict
from multires_ref.training.flat import flatten
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import loss_and_gradients, train_step

SUM_ORDER = {"float64": 1e-12, "float32": 2e-5}  # NumPy and the kernels add up in different orders


@pytest.fixture(params=["kernels", "definitions"])
def cupy(request, monkeypatch):
    """The stand-in with the CUDA kernels, and with nothing but array operations (the tree engine and the definitions)."""
    if request.param == "kernels" and not have_compiler():
        pytest.skip(NO_COMPILER)
    with fake_cupy.installed(monkeypatch) as module:
        module.engine = "auto" if request.param == "kernels" else "tree"
        if request.param == "definitions":
            monkeypatch.setitem(dispatch.FAST, "cupy", ())
        dispatch.find.cache_clear()
        yield module
    dispatch.find.cache_clear()


@pytest.fixture
def kernels(monkeypatch):
    if not have_compiler():
        pytest.skip(NO_COMPILER)
    with fake_cupy.installed(monkeypatch) as module:
        yield module


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


def network(**settings):
    defaults = {"d_input": 3, "d_output": 4, "d_model": 6, "n_layers": 2, "max_length": 24, "dropout": 0.2}
    return mr.NetworkConfig(**(defaults | settings))


DENSITY = {"kind": "autoregressive", "d_output": mixture_channels(2, 3), "levels": 16}
NETWORKS = {
    "layer norm": (network(), "classification"),
    "batch norm, untied": (network(norm="batch", tied=False), "classification"),
    "tokens with lengths": (network(encoder="embedding", d_input=9, norm="batch"), "classification"),
    "uniform, labels": (network(tree_select="uniform", memory_size=9, kernel_size=3), "multilabel"),
    "autoregressive": (network(**DENSITY), "density"),
}


def batch_for(config, objective, N=4, dtype="float64"):
    rng, L = np.random.default_rng(5), config.max_length
    if objective == "density":
        x = (2 * rng.integers(0, config.levels, (N, config.d_input, L)) / (config.levels - 1) - 1).astype(dtype)
        return Split(x, x)
    labels = (rng.random((N, config.d_output)) < 0.5).astype(dtype)
    y = labels if objective == "multilabel" else rng.integers(0, config.d_output, N)
    if config.encoder == "embedding":
        return Split(rng.integers(0, config.d_input, (N, L)), y, rng.integers(1, L + 1, N))
    return Split(rng.standard_normal((N, config.d_input, L)).astype(dtype), y)


def start(config, dtype="float64"):
    return mr.init_params(config, np.random.default_rng(1), dtype), mr.init_state(config, dtype)


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
        got, on_device[1] = train_step(config, *on_device, device_moments, device_batch, 0.01, rngs[1], objective, gpu)
        assert fake_cupy.log["sync"] == 0
        if step:  # a kind of layer is described to the device once
            assert fake_cupy.log["upload"] == config.n_layers
        np.testing.assert_allclose(float(got), loss, rtol=1e-11)
    for tree, other in ((params, on_device[0]), (state, on_device[1])):
        for path, array in flatten(tree).items():
            np.testing.assert_allclose(flatten(other)[path].get(), array, rtol=1e-9, atol=1e-10, err_msg=path)


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
    yield "conv1x1_adjoint", n(B, 4, L), x, n(4, D)
    yield "embed", n(V, D), tokens
    yield "embed_adjoint", x, tokens, V
    yield from (("masked_mean", x, k) for k in (None, lengths))
    yield from (("masked_mean_adjoint", n(B, D), x, k) for k in (None, lengths))
    yield "layer_norm", x, r, n(D), n(D)
    yield "layer_norm_adjoint", n(B, D, L), x, r, n(D)
    yield "batch_statistics", x, r
    yield "batch_norm", x, r, n(D), n(D), n(D), var, True
    yield "batch_norm_adjoint", n(B, D, L), x, r, n(D), *own, True
    yield "batch_norm_adjoint", n(B, D, L), x, r, n(D), n(D), var, False


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_against_their_definitions(dtype, kernels):
    dispatch.find.cache_clear()
    for name, *args in arrays(dtype):
        on_device = [kernels.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
        fake_cupy.log.clear()
        got, wanted = dispatch.call(name, *on_device), dispatch.find(name, "definition")(*args)
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
        numbers = (0.01, 0.9, 0.999, 1e-8, 0.1, 7)
        dispatch.find("adam_update", "definition")(p, g, m, v, *numbers)
        dispatch.call("adam_update", *on_device, *numbers)
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


def test_auto_takes_the_gpu_engine(kernels):
    rng = np.random.default_rng(0)
    args = [kernels.asarray(rng.standard_normal(s)) for s in ((2, 3, 20), (3, 2), (3, 2), (3, 5), (3,))]
    fake_cupy.launches.clear()
    mr.multires_conv(*args)
    assert set(fake_cupy.launches) == {"tree_forward"}


# Whole runs


def splits_for(config, objective):
    return {name: batch_for(config, objective, N=n, dtype="float32") for name, n in (("train", 8), ("val", 4), ("test", 4))}


SETTINGS = {"epochs": 2, "batch_size": 4, "lr": 0.01}


@pytest.mark.parametrize("name", ["batch norm, untied", "tokens with lengths", "autoregressive"])
def test_a_run_on_the_device_equals_one_on_the_cpu(name, cupy, tmp_path):
    config, objective_name = NETWORKS[name]
    objective, splits = get_objective(objective_name, config), splits_for(config, objective_name)
    cpu = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "cpu", quiet=True)
    gpu = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "gpu", device="gpu", quiet=True)
    assert cpu.keys() == gpu.keys()
    assert gpu["test_loss"] == pytest.approx(cpu["test_loss"], rel=1e-4)


def test_a_run_resumes_on_the_other_device(kernels, tmp_path, monkeypatch):
    """Stopped on one device after its first epoch, finished on the other: as one run on the CPU, and back."""
    config, objective_name = NETWORKS["batch norm, untied"]
    objective, splits = get_objective(objective_name, config), splits_for(config, objective_name)
    whole = fit(config, TrainingConfig(**SETTINGS), splits, objective, tmp_path / "whole", quiet=True)
    for first, second in (("gpu", "cpu"), ("cpu", "gpu")):
        out = tmp_path / first
        with monkeypatch.context() as patch:
            patch.setattr("multires_ref.training.loop.finish", stop_at(patch, 1))
            with pytest.raises(Stopped):
                fit(config, TrainingConfig(**SETTINGS), splits, objective, out, device=first, quiet=True)
        metrics = fit(config, TrainingConfig(**SETTINGS), splits, objective, out, device=second, resume=True, quiet=True)
        assert metrics["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-4)
        assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
        assert json.loads((out / "config.json").read_text())["device"] == first


class Stopped(Exception):
    pass


def stop_at(patch, epochs):
    """Raise after that many epochs, as a power cut between two of them would."""
    from multires_ref.training import loop

    finish_epoch, finish = loop.finish_epoch, loop.finish

    def interrupted(job, run, progress):
        finish_epoch(job, run, progress)
        if run.epoch == epochs:
            raise Stopped

    patch.setattr(loop, "finish_epoch", interrupted)
    return finish


def test_evaluation_comes_back_as_numpy(cupy):
    config, objective = network(), get_objective("classification")
    params, state = start(config, "float32")
    model = mr.Model(config, params, state)
    device_model = mr.Model(config, *(tree_to_device(tree, "gpu") for tree in (params, state)))
    split = batch_for(config, "classification", N=7, dtype="float32")
    out = predict(device_model, split.x, batch_size=3, engine=cupy.engine)
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, predict(model, split.x, batch_size=3, engine="tree"), rtol=1e-4, atol=1e-5)
    got = evaluate(device_model, split, objective, 3, cupy.engine)
    assert got == pytest.approx(evaluate(model, split, objective, 3, "tree"), rel=1e-5)


@pytest.mark.parametrize("name", ["layer norm", "batch norm, untied", "uniform, labels", "autoregressive"])
def test_streaming(name, cupy, tmp_path):
    """One sample at a time on the device: what the whole sequence gives; its state goes to a file and to the CPU."""
    from multires_ref.network.streaming import Stream

    config, objective = NETWORKS[name]
    params, state = start(config)
    x = batch_for(config, objective, N=2).x
    host = Stream(mr.Model(config, params, state), batch=2)
    stream = Stream(mr.Model(config, *(tree_to_device(tree, "gpu") for tree in (params, state))), batch=2)
    for n in range(10):
        got, wanted = stream.step(cupy.asarray(x[..., n])), host.step(x[..., n])
        assert isinstance(got, cupy.ndarray)
        np.testing.assert_allclose(got.get(), wanted, rtol=1e-10, atol=1e-11)
    stream.save(tmp_path / "stream.safetensors")
    host.load(tmp_path / "stream.safetensors")
    np.testing.assert_allclose(stream.step(cupy.asarray(x[..., 10])).get(), host.step(x[..., 10]), rtol=1e-10, atol=1e-11)
