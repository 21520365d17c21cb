"""Engine "fused" (extra `fast`: Numba): one pass over each row through all levels, inside a CPU core's cache.

The compiled loops are in `numba/fused.py`; here their arguments are laid out. A sequence is a row; short ones share a row, and
long ones are cut into rows, in one way for the fine levels and in another for the coarse ones: `numba/rows.py` says how. The
first call of a process loads the compiled loops from disk. The first call on a machine compiles them, which takes some seconds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType

import numpy as np

from ..base import compiled
from ..base.arrays import Array
from ..base.buffers import empty, used_again
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
    x, top = np.ascontiguousarray(x), None
    with used_again():
        for h0_group, q_group, w_a_group, rows in reversed(groups(x.shape, h0, q, w_a, cut.FORWARD)):
            top = run_forward(x, h0_group, q_group, w_a_group, rows, top)
    assert top is not None
    return top


def backward(g: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, Array, list[Array], Array]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    dh0: list[Array] = []
    dq: list[Array] = []
    g, dx, dw_a = np.ascontiguousarray(g), None, None
    all_groups, inputs = groups(x.shape, h0, q, w_a, cut.BACKWARD), [np.ascontiguousarray(x)]
    with used_again():
        for h0_group, _, _, rows in all_groups[:-1]:
            inputs.append(run_approximation(inputs[-1], h0_group, rows))
        for h0_group, q_group, w_a_group, rows in reversed(all_groups):
            dx, dh0_group, dq_group, dw_a_group = run_backward(g, inputs.pop(), h0_group, q_group, w_a_group, rows, top=dx)
            dh0, dq, dw_a = [dh0_group, *dh0], dq_group + dq, dw_a_group if dw_a is None else dw_a
    return dx, np.concatenate(dh0), dq, dw_a


def groups(
    shape: tuple[int, ...], h0: Array, q: list[Array], w_a: Array, sizes: cut.Sizes
) -> list[tuple[Array, list[Array], Array, cut.Rows]]:
    """The levels in groups, fine to coarse: (h0, q, w_a, rows) of each. w_a weights a_J, so it is zero in all but the last."""
    ends, found = cut.cuts(shape[2], h0, q, sizes), []
    if not ends:
        return [(h0, q, w_a, cut.whole(shape, h0, q))]
    for f, end in zip(ends, ends[1:], strict=False):
        args, last = (shape, h0[f:end], q[f:end]), end == len(q)
        rows = cut.phases(*args, f, sizes) if f else cut.blocks(*args, sizes)
        found.append((*args[1:], w_a if last else np.zeros_like(w_a), rows))
    return found


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
    y = empty(x.shape, x.dtype)  # by NumPy, which asks for huge pages
    with limited(work=x.size * J):
        loops().forward(rows.units, y, x, top, filters, rows)
    return y


def run_backward(
    g: Array, x: Array, h0: Array, q: list[Array], w_a: Array, rows: cut.Rows, top: Array | None = None
) -> tuple[Array, Array, list[Array], Array]:
    """All gradients on the given rows; `top` [B, D, L] is added to the gradient of a_J."""
    D, (J, _, K), filters = x.shape[1], h0.shape, packed(h0, q, w_a)
    top = x[..., :0].copy() if top is None else top
    dx, sums = empty(x.shape, x.dtype), [np.zeros((rows.parts, flat.size)) for flat in (filters[0], filters[1], filters[3])]
    with limited(work=3 * x.size * len(q)):
        loops().backward(rows.units, (dx, *sums), g, x, top, filters, rows)
    dh, dq, dw_a = (part.sum(axis=0).astype(x.dtype) for part in sums)
    return dx, dh.reshape(D, J, K).transpose(1, 0, 2), np.split(dq.reshape(D, -1), filters[2][1:-1], axis=1), dw_a


def run_approximation(x: Array, h0: Array, rows: cut.Rows) -> Array:
    """a_J on the given rows."""
    out = empty(x.shape, x.dtype)
    with limited(work=x.size * len(h0)):
        loops().approximation(rows.units, out, x, h0.transpose(1, 0, 2).ravel(), len(h0), rows)
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
