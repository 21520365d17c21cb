"""The fused engine (extra `fast`: Numba): one pass over each row through all levels, inside the cache.

The loops are in `fused_kernels.py`; here arguments are laid out for them. A sequence is a row; long sequences are cut into rows,
the coarse levels otherwise than the fine ones: see `rows.py`. The first call of a process loads the compiled loops from disk;
the first on a machine compiles them, which takes some seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.compiled import require_numba
from . import rows as cut
from .threads import limited


def load_kernels() -> Any:
    """The compiled loops; an ImportError that says what to install where Numba is missing."""
    require_numba("engine 'fused'")
    from . import fused_kernels

    return fused_kernels


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    load_kernels()
    x, f = np.ascontiguousarray(x), cut.fine_levels(x.shape[2], h0, q)
    if f == 0:
        return run_forward(x, h0, q, w_a, cut.whole(x.shape, h0, q))
    fine, coarse, top = (h0[:f], q[:f]), (h0[f:], q[f:]), None
    if f < len(q):
        top, w_a = run_forward(x, *coarse, w_a, cut.phases(x.shape, *coarse, f)), np.zeros_like(w_a)
    return run_forward(x, *fine, w_a, cut.blocks(x.shape, *fine), top)


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    load_kernels()
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


def packed(h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, Any, Any]:
    """Filters channel by channel, flat: h [D J K], q [D sum of Q_i], where each q_i begins in a channel's [J + 1], w_a [D]."""
    starts = np.cumsum([0] + [q_i.shape[1] for q_i in q])
    return h0.transpose(1, 0, 2).ravel(), np.concatenate(q, axis=1).ravel(), starts, np.ascontiguousarray(w_a)


def run_forward(x: Any, h0: Any, q: list[Any], w_a: Any, rows: cut.Rows, top: Any = None) -> Any:
    """The tree on the given rows; `top` [B, D, L] is what a coarser tree adds to w_a x."""
    top = x[..., :0].copy() if top is None else top
    y = np.empty_like(x)  # by NumPy, which asks for huge pages: touching fresh memory is a good part of the time
    with limited(work=x.size * len(q)):
        load_kernels().forward(y, x, top, packed(h0, q, w_a), rows)
    return y


def run_backward(
    g: Any, x: Any, h0: Any, q: list[Any], w_a: Any, rows: cut.Rows, top: Any = None
) -> tuple[Any, Any, list[Any], Any]:
    """All gradients on the given rows; `top` [B, D, L] is added to the gradient of a_J."""
    D, (J, _, K), filters = x.shape[1], h0.shape, packed(h0, q, w_a)
    top = x[..., :0].copy() if top is None else top
    dx, sums = np.empty_like(x), [np.zeros((rows.parts, flat.size)) for flat in (filters[0], filters[1], filters[3])]
    with limited(work=x.size * len(q)):
        load_kernels().backward((dx, *sums), g, x, top, filters, rows)
    dh, dq, dw_a = (part.sum(axis=0).astype(x.dtype) for part in sums)
    return dx, dh.reshape(D, J, K).transpose(1, 0, 2), np.split(dq.reshape(D, -1), filters[2][1:-1], axis=1), dw_a


def run_approximation(x: Any, h0: Any, rows: cut.Rows) -> Any:
    """a_J on the given rows."""
    out = np.empty_like(x)
    with limited(work=x.size * len(h0)):
        load_kernels().approximation(out, x, h0.transpose(1, 0, 2).ravel(), len(h0), rows)
    return out
