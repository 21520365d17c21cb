"""Engine "gpu" (CuPy): the tree on a GPU, where one block of threads runs all levels of one (batch, channel) row.

    forward    x is read once and y written once; in between, the row is in registers and shared memory (`cuda/forward.cu`)
    backward   the levels are computed again, kept in shared memory and walked from coarse to fine (`cuda/backward.cu`)

The kernels fold the readout filters (`readout.py`) themselves, so the layer is one launch forward and two backward. A row that is
too long for registers and shared memory keeps its levels in global memory, in scratch space for the blocks that run at one time.
This is the same algorithm at the speed of the L2 cache (`cuda/forward_long.cu`, and `cuda/backward.cu` with SCRATCH=1), so that
every length runs. Nothing here waits for the GPU.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from ..base.arrays import Array
from .cuda import contiguous, kernel, launch, limits
from .cuda.plan import Layer, backward_elements, backward_threads, layer_of, plan, sums_at_a_time, threads_for
from .engine import Engine

INSTALL = "pip install 'cupy-cuda13x[ctk]'"
ITEMS = 16  # samples that a thread holds in registers
MOST_THREADS = {"float32": 1024, "float64": 512}  # of a block; what ITEMS samples leave of the registers
MOST_REGISTER_TAPS = 8  # as in forward.cu
FORWARD = ("engines/cuda/plan.cu", "engines/cuda/forward.cu")
FORWARD_LONG = ("engines/cuda/plan.cu", "engines/cuda/forward_long.cu")
BACKWARD = ("engines/cuda/plan.cu", "engines/cuda/backward.cu")


def forward(x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> Array:
    """y [B, D, L]: one launch."""
    x, *coefficients = contiguous(x, h0, h1, w, w_skip)
    return run_forward(layer_of(h0, w, kept), x, coefficients)


def backward(
    g: Array, x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]
) -> tuple[Array, Array, Array, Array, Array]:
    """dx, dh0, dh1, dw and dw_skip of sum(g y): two launches, no atomics."""
    import cupy

    layer = layer_of(h0, w, kept)
    g, x, *coefficients = contiguous(g, x, h0, h1, w, w_skip)
    dx, partial = run_backward(layer, g, x, coefficients)
    dh0, dh1, dw, dw_skip = gradients = [cupy.empty_like(c) for c in coefficients]
    finish(layer, partial, coefficients, gradients)
    return dx, dh0, dh1, dw, dw_skip


def run_forward(layer: Layer, x: Array, coefficients: list[Array]) -> Array:
    """y [B, D, L]; `coefficients`: h0, h1, w, w_skip, contiguous."""
    import cupy

    (B, D, L), dtype = x.shape, str(x.dtype)
    y = cupy.empty_like(x)
    threads = threads_for(L, ITEMS, MOST_THREADS[dtype])
    items = -(-L // threads)
    shared = x.itemsize * (layer.coefficients + 2 * threads * items)
    if items > ITEMS or shared > limits()[0]:
        return run_forward_long(layer, x, y, coefficients)
    taps = min(layer.most_taps, MOST_REGISTER_TAPS + 1)
    function = kernel("tree_forward", FORWARD, dtype, (("THREADS", threads), ("ITEMS", items), ("TAPS", taps)))
    launch(function, (B * D,), (threads,), (x, y, *coefficients, plan(layer), D, L), shared)
    return y


def run_forward_long(layer: Layer, x: Array, y: Array, coefficients: list[Array]) -> Array:
    """`run_forward` for rows that do not fit in registers and shared memory."""
    import cupy

    B, D, L = x.shape
    threads, blocks = 1024, min(B * D, 2 * limits()[1])
    scratch = cupy.empty((blocks, 2, L), dtype=x.dtype)
    function = kernel("tree_forward_long", FORWARD_LONG, str(x.dtype), (("THREADS", threads),))
    args = (x, y, *coefficients, plan(layer), scratch, B * D, D, L)
    launch(function, (blocks,), (threads,), args, x.itemsize * layer.coefficients)
    return y


def run_backward(layer: Layer, g: Array, x: Array, coefficients: list[Array]) -> tuple[Array, Array]:
    """dx [B, D, L], and the sums of each row [B, D, layer.coefficients]."""
    import cupy

    (B, D, L), dtype = x.shape, str(x.dtype)
    dx, partial = cupy.empty_like(x), cupy.empty((B, D, layer.coefficients), dtype=x.dtype)
    threads, fits = backward_threads(layer, L, x.itemsize, limits()[0])
    own, levels = backward_elements(layer, L, threads)
    blocks = B * D if fits else min(B * D, 2 * limits()[1])
    scratch = dx if fits else cupy.empty((blocks, levels), dtype=x.dtype)  # dx stands for "none" where it is not used
    settings = (("THREADS", threads), ("CHUNK", sums_at_a_time(layer)), ("SCRATCH", int(not fits)))
    function = kernel("tree_backward", BACKWARD, dtype, settings)
    args = (g, x, dx, *coefficients, plan(layer), partial, scratch, B * D, D, L)
    launch(function, (blocks,), (threads,), args, x.itemsize * (own + levels if fits else own))
    return dx, partial


def finish(layer: Layer, partial: Array, coefficients: list[Array], gradients: list[Array]) -> None:
    """Add up the sums of the rows over the batch, into the gradients of h0, h1, w and w_skip."""
    B, D, _ = partial.shape
    settings = (("THREADS", 128), ("CHUNK", 4), ("SCRATCH", 0))  # the last two concern the other kernel of the file
    function = kernel("backward_finish", BACKWARD, str(partial.dtype), settings)
    _, h1, w, _ = coefficients
    args = (partial, h1, w, plan(layer), *gradients, B, D)
    launch(function, (D,), (128,), args, partial.itemsize * layer.coefficients)


def problem() -> str:
    """Why CuPy cannot be used here."""
    return "" if sys.modules.get("cupy") or find_spec("cupy") else INSTALL


ENGINE = Engine("gpu", "CuPy arrays", ("cupy",), forward, backward, needs="CuPy", problem=problem, speed=2)
