"""What the GPU engine asks the device for, told by hand: kernels, blocks, macros and shared memory; and what CuPy is told.

On the stand-in for CuPy. Kernels are recorded here and not run, so nothing needs a compiler.
"""

from __future__ import annotations

import dataclasses
import re
import sys

import fake_cupy
import numpy as np
import pytest
from autograd.extend import vspace

import multires_ref as mr
from multires_ref.bench.gpu_info import gpu_report
from multires_ref.engines import ENGINES, cuda, gpu
from multires_ref.ops.cupy import _products
from multires_ref.tree import kept_per_level


@pytest.fixture
def cupy(monkeypatch):
    with fake_cupy.installed(monkeypatch) as module:
        yield module


@pytest.fixture
def launched(cupy, monkeypatch):
    """A list of (kernel, grid, block, macros, shared bytes), of launches that then did not take place."""
    launches = []
    monkeypatch.setattr(gpu, "kernel", lambda name, files, dtype, settings=(): (name, dtype, dict(settings)))
    monkeypatch.setattr(
        gpu,
        "launch",
        lambda function, grid, block, args, shared=0: launches.append((*function, *grid, *block, shared)),
    )
    monkeypatch.setattr(gpu, "limits", lambda: (232448, 4))
    return launches


def start_layer(cupy, L, J, K, dtype):
    """Both passes of a layer of 3 sequences and 5 channels."""
    shapes = ((3, 5, L), (5, K), (5, K), (5, J + 1), (5,))
    arrays, taps = [cupy.asarray(np.ones(shape, dtype)) for shape in shapes], kept_per_level(J, K)
    gpu.forward(*arrays, taps)
    gpu.backward(arrays[0], *arrays, taps)


def test_a_row_in_registers(cupy, launched):
    """1,000 samples: 64 threads hold 16 each forward, 128 hold 8 backward, whose 12 rows fit in shared memory."""
    start_layer(cupy, 1000, 10, 2, "float32")
    coefficients = 10 * 2 + 10 * 2 + 1
    assert launched == [
        ("tree_forward", "float32", {"THREADS": 64, "ITEMS": 16, "TAPS": 2}, 15, 64, 4 * (coefficients + 2 * 64 * 16)),
        (
            "tree_backward",
            "float32",
            {"THREADS": 128, "CHUNK": 4, "SCRATCH": 0},
            15,
            128,
            4 * (coefficients + 12 * 1000 + 41 * 4),
        ),
        ("backward_finish", "float32", {"THREADS": 128, "CHUNK": 4, "SCRATCH": 0}, 5, 128, 4 * 41),
    ]


@pytest.mark.parametrize(("dtype", "forward"), [("float32", "tree_forward"), ("float64", "tree_forward_long")])
def test_a_row_of_nine_thousand(dtype, forward, cupy, launched):
    """1,024 threads hold 9 samples each; of float64 only 512 threads are started, which cannot. Backward is in scratch space."""
    start_layer(cupy, 9000, 10, 12, dtype)
    size, coefficients = np.dtype(dtype).itemsize, 10 * 12 + 10 * 12 + 1
    if dtype == "float32":
        first = {"THREADS": 1024, "ITEMS": 9, "TAPS": 9}, 15, 1024, size * (coefficients + 2 * 1024 * 9)
    else:  # two blocks for each of four multiprocessors
        first = {"THREADS": 1024}, 8, 1024, size * coefficients
    backward = {"THREADS": 512, "CHUNK": 8, "SCRATCH": 1}, 8, 512, size * coefficients
    assert launched[:2] == [(forward, dtype, *first), ("tree_backward", dtype, *backward)]


@pytest.mark.parametrize(("L", "threads"), [(512, 32), (513, 64), (16384, 1024), (1, 32)])
def test_a_thread_holds_at_most_sixteen_samples(L, threads, cupy, launched):
    start_layer(cupy, L, 3, 4, "float32")
    assert launched[0][2] == {"THREADS": threads, "ITEMS": -(-L // threads), "TAPS": 4}


@pytest.mark.parametrize(("shared", "threads", "scratch"), [(4 * 2500, 64, 0), (4 * 2440, 32, 0), (4 * 2400, 64, 1)])
def test_fewer_threads_where_that_makes_the_rows_fit(shared, threads, scratch, cupy, launched, monkeypatch):
    """400 samples, 4 levels of 2 taps: 6 rows, 17 coefficients, and 17 sums for each warp."""
    monkeypatch.setattr(gpu, "limits", lambda: (shared, 4))
    start_layer(cupy, 400, 4, 2, "float32")
    (backward,) = [launch for launch in launched if launch[0] == "tree_backward"]
    assert (backward[2]["THREADS"], backward[2]["SCRATCH"]) == (threads, scratch)


def test_shared_memory_beyond_what_a_block_may_have_is_refused(cupy, monkeypatch):
    """And beyond the usual 48 KiB it is asked for before the launch. Whole numbers go to a kernel as C ints."""
    seen = []

    class Function:
        max_dynamic_shared_size_bytes = 0

        def __call__(self, grid, block, args, shared_mem):
            seen.append((grid, block, args, shared_mem, self.max_dynamic_shared_size_bytes))

    attributes = {"MaxSharedMemoryPerBlockOptin": 100_000, "MaxSharedMemoryPerBlock": 49152, "MultiProcessorCount": 4}
    monkeypatch.setattr(cupy.cuda.Device, "attributes", attributes)
    cuda.limits.cache_clear()
    for shared in (10, 48 * 1024, 100_000):
        cuda.launch(Function(), (1,), (32,), (7,), shared)
    assert [launch[3:] for launch in seen] == [(10, 0), (48 * 1024, 0), (100_000, 100_000)]
    assert type(seen[0][2][0]) is np.int32
    with pytest.raises(ValueError, match="100001 bytes of shared memory and a block may have 100000: use engine='tree'"):
        cuda.launch(Function(), (1,), (32,), (7,), 100_001)
    assert len(seen) == 3


def test_what_is_found_is_reported(cupy, monkeypatch):
    monkeypatch.setattr(cupy.cuda.runtime, "runtimeGetVersion", lambda: 12060)
    monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 13010)
    monkeypatch.setitem(ENGINES, "gpu", dataclasses.replace(ENGINES["gpu"], forward=lambda x, *rest: 0 * x))
    cuda.limits.cache_clear()
    assert gpu_report() == [
        f"gpu: CuPy {cupy.__version__}, CUDA 12.6 (driver 13.1)",
        "  device 0: stand-in, compute capability 9.0",
        "  memory 80.0 GiB, 70.0 free; 4 multiprocessors, 227 KiB shared memory for a block",
        "  K = 2, float32: backward in shared memory up to L = 4096; beyond, in global memory",
        "  the layer's kernel compiled and ran, but is WRONG: it differs from NumPy by 1e+00 of the norm",
    ]

    def refuse(*args):
        raise RuntimeError("no kernel image\nmore of it")

    monkeypatch.setitem(ENGINES, "gpu", dataclasses.replace(ENGINES["gpu"], forward=refuse))
    assert gpu_report()[-1] == "  the layer's kernel does not run: RuntimeError: no kernel image"
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: False)
    (line,) = gpu_report()
    assert re.search("finds no CUDA device here", line)


def test_the_space_that_autograd_adds_up_in(cupy):
    """Zeros, ones, size and inner product of CuPy arrays, on the device and in their dtype."""
    array = cupy.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    space = vspace(array)
    assert (space.shape, space.dtype, space.size, space.ndim) == ((2, 3), np.float32, 6, 2)
    for made, number in ((space.zeros(), 0), (space.ones(), 1)):
        assert type(made) is type(array)
        assert (made.shape, made.dtype) == ((2, 3), np.float32)
        np.testing.assert_array_equal(made.get(), number)
    assert float(space.inner_prod(array, array)) == 0 + 1 + 4 + 9 + 16 + 25


@pytest.mark.parametrize(("setting", "mode"), [(None, 0), ("", 0), ("0", 0), ("1", 3)])
def test_tf32_is_used_where_it_was_asked_for_and_then_put_back(setting, mode, cupy, monkeypatch):
    modes, cublas = [], sys.modules["cupy_backends.cuda.libs.cublas"]
    monkeypatch.setattr(cublas, "setMathMode", lambda handle, mode: modes.append(mode))
    for precision in "sd":
        name = f"{precision}gemmStridedBatched"
        monkeypatch.setattr(cublas, name, lambda *args, precision=precision: modes.append(precision))
    monkeypatch.delenv("CUPY_TF32", raising=False)
    if setting is not None:
        monkeypatch.setenv("CUPY_TF32", setting)
    monkeypatch.setattr(fake_cupy.ndarray, "data", type("Pointer", (), {"ptr": 0}), raising=False)
    _products.product(cupy.asarray(np.ones((2, 3), np.float32)), cupy.asarray(np.ones((3, 4), np.float32)[None]))
    assert modes == [mode, "s", 0]
    modes.clear()
    _products.product(cupy.asarray(np.ones((2, 3))), cupy.asarray(np.ones((1, 3, 4))))
    assert modes[1] == "d"


def test_the_transform_of_a_device_array_stays_there(cupy, monkeypatch):
    """However long: the compiled loops are NumPy's."""
    monkeypatch.setattr("multires_ref.engines.pyramid.COMPILED_FROM", 1)
    x = np.random.default_rng(0).standard_normal((2, 30))
    got = mr.causal_swt(cupy.asarray(x), "db2", 2, tail=True)
    for pair, wanted in zip(got, mr.causal_swt(x, "db2", 2, tail=True, engine="tree"), strict=True):
        for a, b in zip(pair, wanted, strict=True):
            np.testing.assert_allclose(a.get(), b, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(mr.causal_iswt(got, "db2").get()[:, mr.causal_delay("db2", 2) :], x, rtol=1e-10, atol=1e-10)
