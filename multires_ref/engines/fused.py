"""Engine "fused" (extra `fast`: Numba): one pass over each row through all levels, inside a CPU core's cache.

The compiled loops are in `numba/fused.py`; here their arguments are laid out. A short sequence is one row. A long one is cut into
rows, in one way for the fine levels and in another for the coarse ones: `numba/rows.py` says how. The first call of a process
loads the compiled loops from disk. The first call on a machine compiles them, which takes some seconds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType

import numpy as np

from ..base import compiled
from ..base.arrays import Array
from ..base.threads import limited
from .engine import Engine
from .numba import rows as cut
from .readout import by_readout, keeps_one_of_each

Filters = tuple[Array, Array, Array, Array]  # flat: see `packed`


def loops() -> ModuleType:
    """The compiled loops."""
    from .numba import fused

    return fused


def forward(x: Array, h0: Array, q: list[Array], w_a: Array) -> Array:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    x, f = np.ascontiguousarray(x), cut.fine_levels(x.shape[2], h0, q)
    if f == 0:
        return run_forward(x, h0, q, w_a, cut.whole(x.shape, h0, q))
    fine, coarse, top = (h0[:f], q[:f]), (h0[f:], q[f:]), None
    if f < len(q):
        top, w_a = run_forward(x, *coarse, w_a, cut.phases(x.shape, *coarse, f)), np.zeros_like(w_a)
    return run_forward(x, *fine, w_a, cut.blocks(x.shape, *fine), top)


def backward(g: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, Array, list[Array], Array]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    g, x, f = np.ascontiguousarray(g), np.ascontiguousarray(x), cut.fine_levels(x.shape[2], h0, q)
    if f == 0:
        return run_backward(g, x, h0, q, w_a, cut.whole(x.shape, h0, q))
    fine, coarse = (h0[:f], q[:f]), (h0[f:], q[f:])
    time = cut.blocks(x.shape, *fine)
    if f == len(q):
        return run_backward(g, x, h0, q, w_a, time)
    a = run_approximation(x, h0[:f], time)
    da, dh0, dq, dw_a = run_backward(g, a, *coarse, w_a, cut.phases(x.shape, *coarse, f))
    dx, dh0_fine, dq_fine, _ = run_backward(g, x, *fine, np.zeros_like(w_a), time, top=da)
    return dx, np.concatenate((dh0_fine, dh0)), dq_fine + dq, dw_a


def layer_forward(x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> Array:
    """y [B, D, L] from the layer's own arrays: see `engine.py`.

    For the fading memory and sequences that are not cut, the usual case, the filters are laid out at once, and how the rows lie
    is looked up: for a few short sequences the steps of `forward` take longer than its loops.
    """
    if x.shape[2] > cut.LONG or not keeps_one_of_each(kept):
        return by_readout(forward, backward)[0](x, h0, h1, w, w_skip, kept)
    rows, starts = whole_rows(x.shape, len(kept), h0.shape[-1])
    return run_loops(np.ascontiguousarray(x), len(kept), packed_layer(h0, h1, w, w_skip, starts), rows, x[..., :0].copy())


@lru_cache
def whole_rows(shape: tuple[int, ...], J: int, K: int) -> tuple[cut.Rows, Array]:
    """The rows of sequences that are not cut, and where each q_i begins, for the fading memory: both follow from sizes alone."""
    q = [np.empty((shape[1], K))] * J
    return cut.whole(shape, np.empty((J, shape[1], K)), q), starts_of(q)


def packed_layer(h0: Array, h1: Array, w: Array, w_skip: Array, starts: Array) -> Filters:
    """`packed` of `fold` for the fading memory, whose q_i = w_i h1 all have K taps."""
    D, J = len(w_skip), len(starts) - 1
    low, high = (h[:, None] if h.ndim == 2 else h.transpose(1, 0, 2) for h in (h0, h1))  # [D, 1 or J, K]
    h, q = np.empty((D, J, h0.shape[-1]), h0.dtype), w[:, J:0:-1, None] * high
    h[...] = low
    q[:, 0, 0] += w_skip
    return h.reshape(-1), q.reshape(-1), starts, np.ascontiguousarray(w[:, 0])


def packed(h0: Array, q: list[Array], w_a: Array) -> Filters:
    """The filters, flat by channels: h [D J K], q [D sum of Q_i], where each q_i begins in a channel's q [J + 1], and w_a [D]."""
    return h0.transpose(1, 0, 2).ravel(), np.concatenate(q, axis=1).ravel(), starts_of(q), np.ascontiguousarray(w_a)


def starts_of(q: list[Array]) -> Array:
    """Where each q_i begins in a channel's q, and where the last one ends: [J + 1]."""
    return np.cumsum([0] + [q_i.shape[1] for q_i in q])


def run_forward(x: Array, h0: Array, q: list[Array], w_a: Array, rows: cut.Rows, top: Array | None = None) -> Array:
    """The tree on the given rows; `top` [B, D, L] is what a coarser tree adds to w_a x."""
    top = x[..., :0].copy() if top is None else top
    return run_loops(x, len(q), packed(h0, q, w_a), rows, top)


def run_loops(x: Array, J: int, filters: Filters, rows: cut.Rows, top: Array) -> Array:
    """The same with filters that are laid out."""
    y = np.empty_like(x)  # by NumPy, which asks for huge pages: touching fresh memory is a good part of the time
    with limited(work=x.size * J):
        loops().forward(y, x, top, filters, rows)
    return y


def run_backward(
    g: Array, x: Array, h0: Array, q: list[Array], w_a: Array, rows: cut.Rows, top: Array | None = None
) -> tuple[Array, Array, list[Array], Array]:
    """All gradients on the given rows; `top` [B, D, L] is added to the gradient of a_J."""
    D, (J, _, K), filters = x.shape[1], h0.shape, packed(h0, q, w_a)
    top = x[..., :0].copy() if top is None else top
    dx, sums = np.empty_like(x), [np.zeros((rows.parts, flat.size)) for flat in (filters[0], filters[1], filters[3])]
    with limited(work=x.size * len(q)):
        loops().backward((dx, *sums), g, x, top, filters, rows)
    dh, dq, dw_a = (part.sum(axis=0).astype(x.dtype) for part in sums)
    return dx, dh.reshape(D, J, K).transpose(1, 0, 2), np.split(dq.reshape(D, -1), filters[2][1:-1], axis=1), dw_a


def run_approximation(x: Array, h0: Array, rows: cut.Rows) -> Array:
    """a_J on the given rows."""
    out = np.empty_like(x)
    with limited(work=x.size * len(h0)):
        loops().approximation(out, x, h0.transpose(1, 0, 2).ravel(), len(h0), rows)
    return out


def problem() -> str:
    """Why Numba cannot be used here."""
    return compiled.numba_problem()


def crossover(B: int, L: int) -> float:
    """Fitted to measurements on two cores of an AMD EPYC (Zen 5), float32, B 1 and 8, L 16 to 4096, K 2 and 8.

    The two engines take equal times at about 15 log2(L) multiplications a sample for large batches. For one sequence it is four
    times as many, because most of the work of "fft" is then to make the kernel, which is done once for each channel.
    """
    return 15 * (1 + 3 / B) * math.log2(2 * L)


LAYER = layer_forward, by_readout(forward, backward)[1]
ENGINE = Engine("fused", "Numba, {threads} threads", ("numpy",), *LAYER, "Numba", problem, speed=2, crossover=crossover)
