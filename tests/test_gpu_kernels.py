"""The CUDA kernels, compiled by g++ and run thread by thread on the CPU, held to the oracle; and compiled by nvcc and NVRTC.

Nothing here runs on a GPU (`test_gpu.py` does, where there is one).
"""

from __future__ import annotations

import re
import shutil
import subprocess

import fake_cupy
import numpy as np
import pytest
from cases import conv_case, conv_cases, random_arguments
from cuda_on_cpu import NO_COMPILER, ORDERS, Module, guarded, guards_hold, have_compiler
from real_cupy import real_cupy

from multires_ref.engines import cuda, gpu, readout, tree
from multires_ref.ops.multires_conv import by_engine_adjoint, check_layer
from multires_ref.tree import kept_per_level

TOLERANCE = {"float64": 1e-13, "float32": 1e-5}  # relative to the largest number of an array
needs_compiler = pytest.mark.skipif(not have_compiler(), reason=NO_COMPILER)
needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")


@pytest.fixture(params=["stand-in", pytest.param("device", marks=pytest.mark.gpu)])
def cupy(request, monkeypatch):
    """The stand-in, which runs the kernels on the CPU; and the real CuPy where there is a GPU."""
    if request.param == "device":
        yield real_cupy()
        return
    if not have_compiler():
        pytest.skip(NO_COMPILER)
    with fake_cupy.installed(monkeypatch) as module:
        module.real = False
        yield module


def assert_close(got, wanted, tolerance):
    got = got.get()
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(np.abs(wanted).max(), 1e-30))


@pytest.mark.parametrize("name", conv_cases())
def test_reference_cases(name, cupy):
    """y and all gradients of the authors' code."""
    case = conv_case(name)
    arrays = [cupy.asarray(a) for a in case["args"]]
    *checked, taps = check_layer(*arrays, case["options"]["tree_select"], case["options"]["depth"])
    assert_close(gpu.forward(*checked, taps), case["y"], 1e-12)
    for got, wanted in zip(gpu.backward(cupy.asarray(case["dy"]), *checked, taps), case["grads"], strict=True):
        assert_close(got, wanted, 1e-12)


SETTINGS = {  # shapes, and what they exercise
    "one warp": {"L": 100, "J": 7, "K": 2},
    "two warps, three taps, float32": {"L": 700, "J": 10, "K": 3, "dtype": "float32"},
    "row longer than its items": {"L": 513, "J": 4, "K": 4},
    "dilations beyond the row": {"L": 5, "J": 40, "K": 2, "untied": True},
    "more filters than a chunk": {"L": 90, "J": 5, "K": 6, "untied": True},
    "uniform": {"L": 70, "J": 6, "K": 2, "m": 40, "tree_select": "uniform"},
    "uniform with unused weights": {"L": 9, "J": 3, "K": 3, "m": 60, "tree_select": "uniform", "untied": True},
}


def problem(L, J, K, m=None, tree_select="fading", untied=False, dtype="float64"):
    """Arguments, the gradient of the output, and the taps of a layer."""
    rng = np.random.default_rng(L + J)
    args = random_arguments(rng, B=3, D=2, L=L, K=K, J=J, m=m, untied=untied, dtype=dtype)
    g = rng.standard_normal(args[0].shape).astype(dtype)
    return args, g, kept_per_level(J, K, tree_select, args[3].shape[1])


@pytest.mark.parametrize("long", [False, True], ids=["shared", "scratch"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_layer_against_the_tree_engine(setting, long, cupy, monkeypatch):
    """In shared memory, and with so little of it that the levels go to scratch space."""
    args, g, taps = problem(**SETTINGS[setting])
    itemsize, q = args[0].itemsize, readout.fold(broadcast(args[2], len(taps)), *args[3:], taps)[0]
    enough = itemsize * (sum(q_i.shape[1] for q_i in q) + len(taps) * args[1].shape[-1] + 1)
    monkeypatch.setattr(gpu, "limits", lambda: (enough, 1) if long else (232448, 4))
    tolerance = TOLERANCE[str(g.dtype)]
    arrays = [cupy.asarray(a) for a in args]
    assert_close(gpu.forward(*arrays, taps), tree.forward(args[0], broadcast(args[1], len(taps)), q, args[3][:, 0]), tolerance)
    if not cupy.real:
        assert ("tree_forward_long" in fake_cupy.launches) == long
    for got, wanted in zip(gpu.backward(cupy.asarray(g), *arrays, taps), by_engine_adjoint(g, *args, taps, "tree"), strict=True):
        assert_close(got, wanted, tolerance)


def broadcast(h, J):
    return h if h.ndim == 3 else np.broadcast_to(h, (J, *h.shape))


def test_launches_and_no_waiting(cupy):
    args, g, taps = problem(L=64, J=6, K=2)
    arrays = [cupy.asarray(a) for a in args]
    gpu.plan(gpu.layer_of(arrays[1], arrays[3], taps))  # uploaded once for each kind of layer
    fake_cupy.log.clear()
    if cupy.real:
        pytest.skip("launches are counted on the stand-in")
    gpu.forward(*arrays, taps)
    assert fake_cupy.log == {"launch": 1}
    gpu.backward(arrays[0], *arrays, taps)
    assert fake_cupy.log == {"launch": 3}


def test_a_batch_equals_its_parts(cupy):
    """A row's result does not depend on the others, bit for bit."""
    args, g, taps = problem(L=64, J=6, K=2)
    arrays, g = [cupy.asarray(a) for a in args], cupy.asarray(g)
    whole = gpu.backward(g, *arrays, taps)
    parts = [gpu.backward(g[b : b + 1], arrays[0][b : b + 1], *arrays[1:], taps) for b in range(3)]
    np.testing.assert_array_equal(whole[0].get(), np.concatenate([p[0].get() for p in parts]))
    assert_close(whole[1], sum(p[1].get() for p in parts), 1e-14)


def emulated(name, files, settings, dtype="float64"):
    """A kernel without the engine around it."""
    options = (f"-DREAL={cuda.REAL[dtype]}", *(f"-D{k}={v}" for k, v in settings.items()))
    return Module(cuda.source(files), options)[name]


def forward_arguments():
    """Arguments of tree_forward between guards, its grid and its shared memory, and what should come out."""
    args, _, taps = problem(L=100, J=7, K=2)
    x, h0, h1, w, w_skip = (guarded(a) for a in args)
    layer = gpu.layer_of(h0, w, taps)
    at = [1 + sum(taps[i + 1 :]) for i in range(7)]
    plan = guarded(np.array([7, 2, 8, layer.Q, 0, *layer.starts, *taps, *at], np.int32))
    q, w_a = readout.fold(broadcast(args[2], 7), *args[3:], taps)
    y = tree.forward(args[0], broadcast(args[1], 7), q, w_a)
    shared = 8 * (7 * 2 + layer.Q + 1 + 2 * 32 * 4)
    return [x, guarded(np.full_like(args[0], np.nan)), h0, h1, w, w_skip, plan, np.int32(2), np.int32(100)], shared, y


FORWARD = (("engines/cuda/plan.cu", "engines/cuda/forward.cu"), {"THREADS": 32, "ITEMS": 4, "TAPS": 2})


@needs_compiler
@pytest.mark.parametrize("order", ORDERS)
def test_threads_in_any_order_and_nothing_out_of_bounds(order):
    arguments, shared, wanted = forward_arguments()
    emulated("tree_forward", *FORWARD)((6,), (32,), arguments, shared, order)
    np.testing.assert_allclose(arguments[1], wanted, rtol=1e-13, atol=1e-13)
    assert all(guards_hold(a) for a in arguments if isinstance(a, np.ndarray))


@needs_compiler
def test_the_emulator_sees_a_missing_barrier_and_too_little_shared_memory():
    """The check of the checks: the same kernel, broken on purpose."""
    arguments, shared, wanted = forward_arguments()
    files, settings = FORWARD
    options = ("-DREAL=double", *(f"-D{k}={v}" for k, v in settings.items()))
    without = cuda.source(files).replace("__syncthreads();", "")
    wrong = []
    for order in ORDERS:
        Module(without, options)["tree_forward"]((6,), (32,), arguments, shared, order)
        wrong.append(not np.allclose(arguments[1], wanted))
    assert any(wrong)
    with pytest.raises(RuntimeError, match="beyond the shared memory"):
        emulated("tree_forward", files, settings)((6,), (32,), arguments, shared - 8)
    with pytest.raises(RuntimeError, match="do not fit the kernel's parameters"):
        emulated("tree_forward", files, settings)((6,), (32,), arguments[:-1], shared)


# Compilation by NVIDIA's compilers

TREE, SMALL = "engines/cuda/plan.cu engines/cuda/", {"THREADS": 64, "ITEMS": 16}
BUILDS = {  # settings that the engine chooses, at the paper's sizes and at the ends of its ranges
    "forward, L=1024, K=2": (TREE + "forward.cu", SMALL | {"TAPS": 2}),
    "forward, L=1024, uniform": (TREE + "forward.cu", SMALL | {"TAPS": 9}),
    "forward, L=8192, K=4": (TREE + "forward.cu", {"THREADS": 512, "ITEMS": 16, "TAPS": 4}),
    "forward, any L": (TREE + "forward_long.cu", {"THREADS": 1024}),
    "backward, L=1024, K=2": (TREE + "backward.cu", {"THREADS": 128, "CHUNK": 4, "SCRATCH": 0}),
    "backward, any L": (TREE + "backward.cu", {"THREADS": 512, "CHUNK": 8, "SCRATCH": 1}),
    "norms": ("ops/cupy/norms.cu", {}),
}


@needs_nvcc
@pytest.mark.parametrize("build", BUILDS)
def test_nvcc_compiles_without_warnings_and_spills(build, tmp_path):
    """To machine code for Ampere and Hopper, in both precisions; registers that overflow into memory would cost the speed."""
    files, settings = BUILDS[build]
    (tmp_path / "kernel.cu").write_text(cuda.source(tuple(files.split())))
    for arch, real in (("sm_80", "float"), ("sm_90", "double")):
        macros = [f"-DREAL={real}", *(f"-D{k}={v}" for k, v in settings.items())]
        flags = ["-std=c++17", f"-arch={arch}", "-cubin", "-Werror", "all-warnings", "-Xptxas", "-v"]
        command = ["nvcc", *flags, *macros, "kernel.cu", "-o", "kernel.cubin"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        print(f"{build:<24} {arch} {real:<6}", *re.findall(r"Used \d+ registers|\d+ bytes spill stores", done.stderr))
        assert sum(int(n) for n in re.findall(r"(\d+) bytes spill stores", done.stderr)) <= 48, done.stderr
