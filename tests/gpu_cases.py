"""What the tests of the CuPy backend share: the stand-in and the real CuPy as fixtures, small networks, batches for them."""

from __future__ import annotations

import contextlib

import fake_cupy
import numpy as np
import pytest
from cuda_on_cpu import NO_COMPILER, have_compiler
from real_cupy import real_cupy

import multires_ref as mr
from multires_ref.network.config import mixture_channels
from multires_ref.ops import registry
from multires_ref.training.data import Split


@pytest.fixture(name="cupy", params=["kernels", "definitions", pytest.param("device", marks=pytest.mark.gpu)])
def any_cupy(request, monkeypatch):
    """The stand-in with the CUDA kernels, and with nothing but array operations (the tree engine and the definitions); and the
    real CuPy where there is a GPU."""
    if request.param == "device":
        yield real_cupy()
        return
    if request.param == "kernels" and not have_compiler():
        pytest.skip(NO_COMPILER)
    with fake_cupy.installed(monkeypatch) as module:
        module.engine, module.real = "auto" if request.param == "kernels" else "tree", False
        module.no_waiting = contextlib.nullcontext  # the stand-in counts
        if request.param == "definitions":
            monkeypatch.setitem(registry.SOURCES, "cupy", ())
        registry.forget_choices()
        yield module
    registry.forget_choices()


@pytest.fixture(name="kernels")
def stand_in_with_kernels(monkeypatch):
    """The stand-in with the CUDA kernels."""
    if not have_compiler():
        pytest.skip(NO_COMPILER)
    with fake_cupy.installed(monkeypatch) as module:
        yield module


def network(**settings):
    defaults = {"d_input": 3, "d_output": 4, "d_model": 6, "n_layers": 2, "max_length": 24, "dropout": 0.2}
    return mr.NetworkConfig(**(defaults | settings))


DENSITY = {"kind": "autoregressive", "d_output": mixture_channels(2, 3), "n_values": 16}
NETWORKS = {
    "layer norm": (network(), "classification"),
    "batch norm, untied": (network(norm="batch", tied=False), "classification"),
    "tokens with lengths": (network(encoder="embedding", d_input=9, norm="batch"), "classification"),
    "uniform, labels": (network(tree_select="uniform", memory_size=9, kernel_size=3), "multilabel"),
    "tagger": (network(kind="tagger"), "tagging"),
    "autoregressive": (network(**DENSITY), "density"),
}


def batch_for(config, objective, N=4, dtype="float64"):
    rng, L = np.random.default_rng(5), config.max_length
    if objective == "density":
        x = (2 * rng.integers(0, config.n_values, (N, config.d_input, L)) / (config.n_values - 1) - 1).astype(dtype)
        return Split(x, x)
    labels = (rng.random((N, config.d_output)) < 0.5).astype(dtype)
    y = labels if objective == "multilabel" else rng.integers(0, config.d_output, (N, L) if objective == "tagging" else N)
    if config.encoder == "embedding":
        return Split(rng.integers(0, config.d_input, (N, L)), y, rng.integers(1, L + 1, N))
    return Split(rng.standard_normal((N, config.d_input, L)).astype(dtype), y)


def start(config, dtype="float64"):
    return mr.init_params(config, np.random.default_rng(1), dtype), mr.init_state(config, dtype)
