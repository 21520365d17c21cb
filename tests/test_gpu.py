"""On a real GPU: what the stand-in cannot show. Skipped where CuPy or a CUDA device is missing.

`pytest -m gpu` runs these, and on the device the tests of `test_gpu_kernels.py` and `test_gpu_standin.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import random_arguments
from real_cupy import real_cupy

import multires_ref as mr
from multires_ref.bench.gpu_info import gpu_report
from multires_ref.cli import main
from multires_ref.engines import gpu
from multires_ref.ops.cupy import _products
from multires_ref.ops.multires_conv import by_engine_adjoint
from multires_ref.tree import depth_for, kept_per_level

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    return real_cupy()


SIZES = [(1024, 2, "float32"), (4096, 2, "float32"), (5000, 4, "float64"), (40000, 2, "float32")]


@pytest.mark.parametrize(("L", "K", "dtype"), SIZES)
def test_full_size_against_the_tree_engine(L, K, dtype, cupy):
    """Rows in registers, beyond them, backward in shared and in global memory; two runs give the same bits."""
    J = depth_for(L, K)
    args = random_arguments(np.random.default_rng(L), B=4, D=8, L=L, K=K, J=J, dtype=dtype)
    args = tuple(a * a.dtype.type(0.5) if n in (1, 2) else a for n, a in enumerate(args))  # filters that do not blow up
    g, taps = np.random.default_rng(1).standard_normal(args[0].shape).astype(dtype), kept_per_level(J, K)
    arrays, g_device = [cupy.asarray(a) for a in args], cupy.asarray(g)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    y = gpu.forward(*arrays, taps).get()
    wanted = mr.multires_conv(*args, engine="tree")
    np.testing.assert_allclose(y, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
    once, again = (gpu.backward(g_device, *arrays, taps) for _ in range(2))
    for got, same, want in zip(once, again, by_engine_adjoint(g, *args, taps, "tree"), strict=True):
        np.testing.assert_array_equal(got.get(), same.get())
        np.testing.assert_allclose(got.get(), want, rtol=0, atol=tolerance * np.abs(want).max())


def test_products_are_exact_unless_asked(cupy, monkeypatch):
    """float32 by default; TF32 only with CUPY_TF32=1."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 64, 128)).astype(np.float32), rng.standard_normal((128, 96)).astype(np.float32)
    wanted = a.astype(np.float64) @ b
    error = lambda: np.abs(_products.product(cupy.asarray(a), cupy.asarray(b)).get() - wanted).max()  # noqa: E731
    monkeypatch.delenv("CUPY_TF32", raising=False)
    assert error() < 1e-4
    monkeypatch.setenv("CUPY_TF32", "1")
    assert 1e-4 < error() < 0.1  # rounded arguments: the setting is seen to act


def test_report_and_command(cupy, capsys):
    assert any("compiled and ran" in line for line in gpu_report())
    assert main(["info", "--device", "gpu"]) == 0
    assert "compute capability" in capsys.readouterr().out
