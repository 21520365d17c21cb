"""The fused engine (extra `fast`: Numba): one pass over each row through all levels, inside the cache.

The loops are in `fused_kernels.py`; here arguments are laid out for them, and long sequences are cut so that rows stay short:
see `long.py`. The first call of a process loads the compiled loops from disk; the first on a machine compiles them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import long
from .threads import limited

UNITS = 64  # pieces of work to aim at where channels are few: fixed, so that results do not depend on the number of threads
GROUP = 2**24  # numbers of a long array rearranged at a time (64 MiB in float32)


def load_kernels() -> Any:
    """The compiled loops; an ImportError that says what to install where Numba is missing."""
    try:
        from . import fused_kernels
    except ImportError as error:
        raise ImportError(f"engine 'fused' needs Numba: pip install 'multires-ref[fast]' ({error})") from error
    return fused_kernels


def packed(h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, Any, Any]:
    """Filters channel by channel, flat: h [D, J K], q [D, sum of Q_i], where each q_i begins [J + 1], w_a [D]."""
    J, D, K = h0.shape
    h = np.ascontiguousarray(h0.transpose(1, 0, 2)).reshape(D, J * K)
    starts = np.cumsum([0] + [q_i.shape[1] for q_i in q])
    return h, np.concatenate(q, axis=1), starts, np.ascontiguousarray(w_a)


def padding(L: int, h0: Any, q: list[Any]) -> int:
    """The longest shift any tap needs, at most L."""
    reach = [(max(h0.shape[2], q_i.shape[1]) - 1) * 2**i for i, q_i in enumerate(q)]
    return min(L, max(reach))


def chunks_of(B: int, D: int) -> int:
    """Into how many parts the batch is cut, so that there are about UNITS pieces of work."""
    return min(B, -(-UNITS // D))


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    x, fine = np.ascontiguousarray(x), cut(x, h0, q)
    if not fine:
        return rows_forward(x, h0, q, w_a)
    y = np.empty_like(x)
    for d in channel_groups(x):
        y[:, d] = long_forward(x[:, d], h0[:, d], [q_i[d] for q_i in q], w_a[d], fine)
    return y


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    g, x, fine = np.ascontiguousarray(g), np.ascontiguousarray(x), cut(x, h0, q)
    if not fine:
        return rows_backward(g, x, h0, q, w_a)
    dx, dh0, dq, dw_a = np.empty_like(x), np.empty(h0.shape, h0.dtype), [np.empty_like(q_i) for q_i in q], np.empty_like(w_a)
    for d in channel_groups(x):
        parts = long_backward(g[:, d], x[:, d], h0[:, d], [q_i[d] for q_i in q], w_a[d], fine)
        dx[:, d], dh0[:, d], dw_a[d] = parts[0], parts[1], parts[3]
        for dq_i, part in zip(dq, parts[2], strict=True):
            dq_i[d] = part
    return dx, dh0, dq, dw_a


def cut(x: Any, h0: Any, q: list[Any]) -> int:
    """At which level to cut the tree of a long sequence; 0 for a short one, and where blocks would be mostly halo."""
    L, fine = x.shape[2], long.fine_levels(x.shape[2], h0.shape[0])
    return fine if 4 * long.halo(h0, q, fine) <= L else 0


def channel_groups(x: Any) -> Iterator[slice]:
    """Slices of the channels of about GROUP numbers each: what long sequences are copied and rearranged by."""
    step = max(1, GROUP // (x.shape[0] * x.shape[2]))
    return (slice(d, d + step) for d in range(0, x.shape[1], step))


def long_forward(x: Any, h0: Any, q: list[Any], w_a: Any, fine: int) -> Any:
    """`forward` by phases for the levels above `fine`, then by blocks of time for the others."""
    L, S, before = x.shape[2], 2**fine, long.halo(h0, q, fine)
    T, top = max(long.ROW, 4 * before), None
    if fine < len(q):
        r = rows_forward(long.to_phases(x, S), h0[fine:], q[fine:], w_a)
        top, w_a = long.to_blocks(long.from_phases(r, S, L), T, before), np.zeros_like(w_a)
    y = rows_forward(long.to_blocks(x, T, before), h0[:fine], q[:fine], w_a, top)
    return long.from_blocks(y, T, before, L)


def long_backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any, fine: int) -> tuple[Any, Any, list[Any], Any]:
    """`backward`: the fine tree up to a_f, the coarse tree's gradient of a_f, and with it the fine tree's of x."""
    L, S, before = x.shape[2], 2**fine, long.halo(h0, q, fine)
    T, top = max(long.ROW, 4 * before), None
    x_blocks, g_blocks, coarse = long.to_blocks(x, T, before), long.to_blocks(g, T, before), (h0[:0], [], None)
    g_blocks[..., :before] = 0  # a block's first outputs belong to the block before it
    if fine < len(q):
        a = long.from_blocks(rows_approximation(x_blocks, h0[:fine]), T, before, L)
        da, *coarse = rows_backward(long.to_phases(g, S), long.to_phases(a, S), h0[fine:], q[fine:], w_a)
        top, w_a = long.to_blocks(long.from_phases(da, S, L), T, before), np.zeros_like(w_a)
        top[..., :before] = 0
    dx, dh0, dq, dw_a = rows_backward(g_blocks, x_blocks, h0[:fine], q[:fine], w_a, top)
    dw_a = dw_a if coarse[2] is None else coarse[2]
    return long.add_blocks(dx, T, before, L), np.concatenate((dh0, coarse[0])), dq + coarse[1], dw_a


def rows_forward(x: Any, h0: Any, q: list[Any], w_a: Any, top: Any = None) -> Any:
    """The whole tree on short rows; `top` [B, D, L] is what a coarser tree adds to w_a x."""
    kernels, (B, D, L) = load_kernels(), x.shape
    top = np.empty((B, D, 0), x.dtype) if top is None else top
    y = np.empty_like(x)  # by NumPy, which asks for huge pages: touching fresh memory is a good part of the time
    with limited():
        kernels.forward(y, x, top, packed(h0, q, w_a), (h0.shape[2], padding(L, h0, q)), chunks_of(B, D))
    return y


def rows_backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any, top: Any = None) -> tuple[Any, Any, list[Any], Any]:
    """All gradients on short rows; `top` [B, D, L] is added to the gradient of a_J."""
    kernels, (B, D, L), (J, _, K) = load_kernels(), x.shape, h0.shape
    top = np.empty((B, D, 0), x.dtype) if top is None else top
    filters, chunks = packed(h0, q, w_a), chunks_of(B, D)
    dx, parts = np.empty_like(x), [np.zeros((chunks, D, n)) for n in (J * K, filters[1].shape[1], 1)]
    with limited():
        kernels.backward((dx, *parts), g, x, top, filters, (K, padding(L, h0, q)), chunks)
    dh, dq, dw_a = (part.sum(axis=0).astype(x.dtype) for part in parts)
    starts = filters[2]
    return dx, dh.reshape(D, J, K).transpose(1, 0, 2), np.split(dq, starts[1:-1], axis=1), dw_a[:, 0]


def rows_approximation(x: Any, h0: Any) -> Any:
    """a_J of short rows."""
    kernels, (B, D, L), (J, _, K) = load_kernels(), x.shape, h0.shape
    h, out = np.ascontiguousarray(h0.transpose(1, 0, 2)).reshape(D, J * K), np.empty_like(x)
    with limited():
        kernels.approximation(out, x, h, J, (K, min(L, (K - 1) * 2 ** (J - 1))), chunks_of(B, D))
    return out
