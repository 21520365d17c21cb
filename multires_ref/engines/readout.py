"""Folding the memory's weights into one short filter a level, so that an engine never needs a detail b_i.

What reaches the output from level i is a comb of details, and a detail is h1 over the level below:

    sum_t w_i[t] b_i[n - t 2^i] = sum_t sum_k w_i[t] h1[k] a_{i-1}[n - (2 t + k) 2^(i-1)]
                                = sum_j q_i[j] a_{i-1}[n - j 2^(i-1)],          q_i[2 t + k] += w_i[t] h1[k].

So both TreeSelects are one algorithm: with the skip weight added to q_1[0], the layer is

    a_0 = x;    y += q_i * a_{i-1},    a_i = h0_i * a_{i-1}    (i = 1 ... J);    y += w_a a_J.

For the fading memory q_i = w_i h1 has K taps. All engines take (x, h0 [J, D, K], q, w_a [D]), q being a list of J arrays
[D, Q_i] (Q_i may be 0), and return y; or (dx, dh0 [J, D, K], dq, dw_a). The chain rule back to h1, w, w_skip is here.
"""

from __future__ import annotations

from typing import Any

from ..base.arrays import get_xp


def level_slices(taps: tuple[int, ...]) -> list[slice]:
    """Where the weights of level i = 1 ... J stand in w: after a_J come the details, coarse to fine."""
    slices, start = [], 1
    for t in reversed(taps):
        slices.append(slice(start, start + t))
        start += t
    return slices[::-1]


def fold(h1: Any, w: Any, w_skip: Any, taps: tuple[int, ...]) -> tuple[list[Any], Any]:
    """The readout filters q (J arrays [D, Q_i]) and w_a [D], from h1 [J, D, K], w [D, m] and w_skip [D]."""
    xp = get_xp(h1, w, w_skip)
    D, K = h1.shape[1:]
    q = []
    for i, (t_i, part) in enumerate(zip(taps, level_slices(taps), strict=True)):
        q_i = xp.zeros((D, 2 * (t_i - 1) + K if t_i else int(i == 0)), dtype=h1.dtype)
        for k in range(K if t_i else 0):
            q_i[:, k : k + 2 * t_i - 1 : 2] += w[:, part] * h1[i, :, k, None]
        q.append(q_i)
    q[0][:, 0] += w_skip
    return q, w[:, 0]


def unfold(dq: list[Any], dw_a: Any, h1: Any, w: Any, taps: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """The adjoint of `fold`: dh1 [J, D, K], dw [D, m] and dw_skip [D]; weights beyond the tree get zero."""
    xp = get_xp(h1, w, dw_a)
    dh1, dw = xp.zeros_like(h1), xp.zeros_like(w)
    dw[:, 0] = dw_a
    for i, (t_i, part) in enumerate(zip(taps, level_slices(taps), strict=True)):
        for k in range(h1.shape[2] if t_i else 0):
            at_k = dq[i][:, k : k + 2 * t_i - 1 : 2]  # [D, t_i]
            dh1[i, :, k] = (w[:, part] * at_k).sum(axis=1)
            dw[:, part] += h1[i, :, k, None] * at_k
    return dh1, dw, dq[0][:, 0].copy()
