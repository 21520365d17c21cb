"""The tree on a GPU: one CUDA block runs all levels of one (batch, channel) row. CuPy arrays in, CuPy arrays out.

    forward    x is read once and y written once; in between the row lies in registers and shared memory (`forward.cu`)
    backward   the levels are computed again and kept in shared memory, then walked from coarse to fine (`backward.cu`)

A row that is too long for that keeps its levels in global memory, in scratch space of the blocks that run at one time: the
same algorithm at the speed of the L2 cache (`forward_long.cu`, and `backward.cu` with SCRATCH=1). So every length runs.

Besides the seam of all engines (`forward`, `backward`) there are `layer_forward` and `layer_backward`, which take the layer's
own parameters: readout filters are then folded inside the kernels, and a layer is one launch forward and two backward.
Nothing here waits for the device.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .cuda import kernel, launch, limits

ITEMS = 16  # samples a thread holds in registers
MOST_THREADS = {"float32": 1024, "float64": 512}  # of a block; what ITEMS samples leave of the register file
MOST_REGISTER_TAPS = 8  # as in forward.cu
MOST_SUMS = 8  # correlations a thread sums up at a time in the backward pass


class Layer(NamedTuple):
    """The numbers that fix a launch: sizes, where each level's readout filter starts, and what the memory keeps of it."""

    J: int
    K: int
    m: int
    starts: tuple[int, ...]  # [J + 1]
    kept: tuple[int, ...]  # [J]
    untied: bool
    folds: bool

    @property
    def Q(self) -> int:
        """Length of all readout filters together."""
        return self.starts[-1]

    @property
    def most_taps(self) -> int:
        """The longest filter, low-pass or readout."""
        return max(self.K, *(b - a for a, b in zip(self.starts, self.starts[1:], strict=False)))

    @property
    def sums(self) -> int:
        """Numbers a row contributes to the gradients: those of q and h0, and w_a's."""
        return self.Q + self.J * self.K + 1


def starts_of(lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Running totals: where each filter starts when they stand one after the other."""
    return tuple(int(n) for n in np.cumsum((0, *lengths)))


def layer_of(h0: Any, w: Any, taps: tuple[int, ...]) -> Layer:
    """The layer with tied h0 [D, K] or untied [J, D, K] and weights w [D, m], as `readout.fold` lays out its filters."""
    K = h0.shape[-1]
    lengths = tuple(2 * (t - 1) + K if t else int(i == 0) for i, t in enumerate(taps))
    return Layer(len(taps), K, w.shape[1], starts_of(lengths), tuple(taps), h0.ndim == 3, True)


@cache
def plan(layer: Layer) -> Any:
    """`layer` on the device, in the order that `plan.cu` reads; one small copy for each kind of layer."""
    import cupy

    at = [1 + sum(layer.kept[i + 1 :]) for i in range(layer.J)]  # in w the details stand coarse to fine, after a_J
    head = [layer.J, layer.K, layer.m, layer.Q, int(layer.untied), int(layer.folds)]
    return cupy.asarray(np.array([*head, *layer.starts, *layer.kept, *at], dtype=np.int32))


def contiguous(*arrays: Any) -> list[Any]:
    """The arrays in C order: kernels read memory as it lies."""
    import cupy

    return [cupy.ascontiguousarray(a) for a in arrays]


def threads_for(L: int, items: int, most: int = 1024) -> int:
    """The smallest power of two of at least 32 threads (one warp) with which a thread holds at most `items` of L samples."""
    threads = 32
    while threads < most and threads * items < L:
        threads *= 2
    return threads


def run_forward(layer: Layer, x: Any, coefficients: list[Any]) -> Any:
    """y [B, D, L]; `coefficients`: h0, h1, w, w_skip, contiguous."""
    import cupy

    (B, D, L), dtype = x.shape, str(x.dtype)
    y = cupy.empty_like(x)
    threads = threads_for(L, ITEMS, MOST_THREADS[dtype])
    items = -(-L // threads)
    shared = x.itemsize * (layer.J * layer.K + layer.Q + 1 + 2 * threads * items)
    if items > ITEMS or shared > limits()[0]:
        return run_forward_long(layer, x, y, coefficients)
    taps = min(layer.most_taps, MOST_REGISTER_TAPS + 1)
    settings = (("THREADS", threads), ("ITEMS", items), ("TAPS", taps))
    function = kernel("tree_forward", ("engines/plan.cu", "engines/forward.cu"), dtype, settings)
    launch(function, (B * D,), (threads,), (x, y, *coefficients, plan(layer), D, L), shared)
    return y


def run_forward_long(layer: Layer, x: Any, y: Any, coefficients: list[Any]) -> Any:
    """`run_forward` for rows that do not fit in registers and shared memory."""
    import cupy

    B, D, L = x.shape
    threads, blocks = 1024, min(B * D, 2 * limits()[1])
    scratch = cupy.empty((blocks, 2, L), dtype=x.dtype)
    files = ("engines/plan.cu", "engines/forward_long.cu")
    function = kernel("tree_forward_long", files, str(x.dtype), (("THREADS", threads),))
    shared = x.itemsize * (layer.J * layer.K + layer.Q + 1)
    launch(function, (blocks,), (threads,), (x, y, *coefficients, plan(layer), scratch, B * D, D, L), shared)
    return y


def run_backward(layer: Layer, g: Any, x: Any, coefficients: list[Any]) -> tuple[Any, Any]:
    """dx [B, D, L], and each row's sums [B, D, layer.sums]."""
    import cupy

    (B, D, L), dtype = x.shape, str(x.dtype)
    dx, partial = cupy.empty_like(x), cupy.empty((B, D, layer.sums), dtype=x.dtype)
    threads, fits = backward_threads(layer, L, x.itemsize, limits()[0])
    own, levels = backward_numbers(layer, L, threads)
    blocks = B * D if fits else min(B * D, 2 * limits()[1])
    scratch = dx if fits else cupy.empty((blocks, levels), dtype=x.dtype)  # dx stands for "none" where it is not used
    settings = (("THREADS", threads), ("CHUNK", sums_at_a_time(layer)), ("SCRATCH", int(not fits)))
    function = kernel("tree_backward", ("engines/plan.cu", "engines/backward.cu"), dtype, settings)
    args = (g, x, dx, *coefficients, plan(layer), partial, scratch, B * D, D, L)
    launch(function, (blocks,), (threads,), args, x.itemsize * (own + levels if fits else own))
    return dx, partial


def backward_numbers(layer: Layer, L: int, threads: int) -> tuple[int, int]:
    """How many numbers a block of the backward pass holds: coefficients, and what goes to scratch space where they do not fit:
    a_0 ... a_J, g, and each warp's sums."""
    return layer.J * layer.K + layer.Q + 1, (layer.J + 2) * L + layer.sums * (threads // 32)


def backward_threads(layer: Layer, L: int, itemsize: int, shared: int) -> tuple[int, bool]:
    """Threads of a block, and whether its numbers fit in `shared` bytes; fewer threads where that makes them fit.

    Examples
    --------
    >>> layer = Layer(12, 2, 13, starts_of((2,) * 12), (1,) * 12, False, True)
    >>> backward_threads(layer, 4096, 4, 227 * 1024), backward_threads(layer, 8192, 4, 227 * 1024)
    ((256, True), (512, False))
    """
    most = threads_for(L, 8, 512)
    for threads in (most, max(32, most // 2)):
        if itemsize * sum(backward_numbers(layer, L, threads)) <= shared:
            return threads, True
    return most, False


def sums_at_a_time(layer: Layer) -> int:
    """2, 4 or 8: enough for both filters of a level of the fading tree where K is at most 4."""
    widest = max(b - a for a, b in zip(layer.starts, layer.starts[1:], strict=False)) + layer.K
    return next((n for n in (4, MOST_SUMS) if n >= widest), MOST_SUMS)


def layer_forward(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, taps: tuple[int, ...]) -> Any:
    """y [B, D, L] of the layer with its own parameters, as `multires_conv` takes them: one launch."""
    x, *coefficients = contiguous(x, h0, h1, w, w_skip)
    return run_forward(layer_of(h0, w, taps), x, coefficients)


def layer_backward(g: Any, x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, taps: tuple[int, ...]) -> tuple[Any, ...]:
    """dx, dh0, dh1, dw and dw_skip of sum(g y), in the shapes of the arguments: two launches, no atomics."""
    import cupy

    layer = layer_of(h0, w, taps)
    g, x, *coefficients = contiguous(g, x, h0, h1, w, w_skip)
    dx, partial = run_backward(layer, g, x, coefficients)
    gradients = [cupy.empty_like(c) for c in coefficients]  # h0, h1, w, w_skip
    finish(layer, partial, coefficients, gradients)
    return dx, *gradients


def finish(layer: Layer, partial: Any, coefficients: list[Any], gradients: list[Any]) -> None:
    """Add the rows' sums up over the batch, into the four gradients."""
    B, D, _ = partial.shape
    settings = (("THREADS", 128), ("CHUNK", 4), ("SCRATCH", 0))  # the last two concern the other kernel of the file
    function = kernel("backward_finish", ("engines/plan.cu", "engines/backward.cu"), str(partial.dtype), settings)
    _, h1, w, _ = coefficients
    args = (partial, h1, w, plan(layer), *gradients, B, D)
    launch(function, (D,), (128,), args, partial.itemsize * layer.sums)


def packed(h0: Any, q: list[Any], w_a: Any) -> tuple[Layer, list[Any]]:
    """The layer and coefficients for readout filters that are already folded: [D, Q + 1], w_a last."""
    import cupy

    J, _, K = h0.shape
    weights = cupy.concatenate([*q, w_a[:, None]], axis=1)
    layer = Layer(J, K, weights.shape[1], starts_of(tuple(q_i.shape[1] for q_i in q)), (0,) * J, True, False)
    h0, weights = contiguous(h0, weights)
    return layer, [h0, h0, weights, weights]  # h1 and w_skip are not read


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    layer, coefficients = packed(h0, q, w_a)
    return run_forward(layer, *contiguous(x), coefficients)


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y)."""
    import cupy

    layer, coefficients = packed(h0, q, w_a)
    dx, partial = run_backward(layer, *contiguous(g, x), coefficients)
    sums = partial.sum(axis=0)  # [D, layer.sums]: of each level q_i's and then h0_i's
    dq, dh0 = [], []
    for i, (start, stop) in enumerate(zip(layer.starts, layer.starts[1:], strict=False)):
        middle = stop + i * layer.K
        dq.append(sums[:, start + i * layer.K : middle].copy())
        dh0.append(sums[:, middle : middle + layer.K])
    return dx, cupy.stack(dh0), dq, sums[:, -1].copy()
