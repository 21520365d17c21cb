"""Folding the memory's weights into one short filter for each level, so that an engine never needs a detail b_i.

Several details of one level reach the output, 2^i samples apart. A detail is h1 applied to the level below, so that

    sum_t w_i[t] b_i[n - t 2^i] = sum_t sum_k w_i[t] h1[k] a_{i-1}[n - (2 t + k) 2^(i-1)]
                                = sum_j q_i[j] a_{i-1}[n - j 2^(i-1)],          q_i[2 t + k] += w_i[t] h1[k].

We call q_i the readout filter of level i. With it, both TreeSelects are one algorithm. The skip weight is added to q_1[0], and
the layer is

    a_0 = x;    y += q_i * a_{i-1},    a_i = h0_i * a_{i-1}    (i = 1 ... J);    y += w_a a_J.

For the fading memory q_i = w_i h1 has K taps. An algorithm that works with readout filters is a pair of functions,

    forward(x, h0, q, w_a) -> y                       x, y [B, D, L]; h0 [J, D, K]; q: J arrays [D, Q_i]; w_a [D]
    backward(g, x, h0, q, w_a) -> dx, dh0, dq, dw_a   the gradient of sum(g y)

where Q_i may be 0. `by_readout` makes the layer's two functions from such a pair; the chain rule from q and w_a back to h1, w and
w_skip is `unfold`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..base.arrays import Array, get_xp
from ..tree import made_from
from .engine import Backward, Forward, Gradients

ReadoutForward = Callable[[Array, Array, list[Array], Array], Array]
ReadoutBackward = Callable[[Array, Array, Array, list[Array], Array], tuple[Array, Array, list[Array], Array]]


def filter_length(kept: int, K: int) -> int:
    """Q_i, the taps of the readout filter of a level: as many as its kept details were made from; 0 where none is kept."""
    return made_from(kept, K) if kept else 0


def filter_lengths(kept: tuple[int, ...], K: int) -> tuple[int, ...]:
    """Q_i of each level; at least 1 for the finest, whose first tap carries the skip weight."""
    return tuple(max(filter_length(t, K), int(i == 0)) for i, t in enumerate(kept))


def level_slices(kept: tuple[int, ...]) -> list[slice]:
    """Where the weights of level i = 1 ... J are in w: the weight of a_J comes first, then the details' from coarse to fine."""
    slices, start = [], 1
    for t in reversed(kept):
        slices.append(slice(start, start + t))
        start += t
    return slices[::-1]


def untied(h: Array, J: int) -> Array:
    """[J, D, K] from filters [D, K] that all levels share, as a view that copies nothing; untied filters stay as they are."""
    return h if h.ndim == 3 else get_xp(h).broadcast_to(h, (J, *h.shape))


def keeps_one_of_each(kept: tuple[int, ...]) -> bool:
    """Whether the memory is the fading one, for whose levels `fold` and `unfold` need no loop."""
    return kept == (1,) * len(kept)


def coarse_last(w: Array, J: int) -> Array:
    """The weights of the details b_1 ... b_J of a fading memory, a view [J, D] of w [D, m]."""
    return w[:, J:0:-1].T


def fold(h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> tuple[list[Array], Array]:
    """The readout filters q (J arrays [D, Q_i]) and w_a [D], from h1 [J, D, K], w [D, m] and w_skip [D]."""
    xp = get_xp(h1, w, w_skip)
    (J, D, K), q = h1.shape, []
    if keeps_one_of_each(kept):
        all_q = xp.zeros((J, D, K), dtype=h1.dtype)
        all_q += coarse_last(w, J)[:, :, None] * h1
        all_q[0, :, 0] += w_skip
        return list(all_q), w[:, 0]
    for i, (t, length, part) in enumerate(zip(kept, filter_lengths(kept, K), level_slices(kept), strict=True)):
        q_i = xp.zeros((D, length), dtype=h1.dtype)
        for k in range(K if t else 0):
            q_i[:, k : k + 2 * t - 1 : 2] += w[:, part] * h1[i, :, k, None]
        q.append(q_i)
    q[0][:, 0] += w_skip
    return q, w[:, 0]


def unfold(dq: list[Array], dw_a: Array, h1: Array, w: Array, kept: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """The adjoint of `fold`: dh1 [J, D, K], dw [D, m] and dw_skip [D]. Weights beyond the tree get zero."""
    xp, J = get_xp(h1, w, dw_a), len(kept)
    dh1, dw = xp.zeros_like(h1), xp.zeros_like(w)
    dw[:, 0] = dw_a
    if keeps_one_of_each(kept):
        all_dq, of_details = xp.stack(dq), coarse_last(dw, J)  # [J, D, K], and a view of dw: [J, D]
        for k in range(h1.shape[2]):
            of_details += h1[:, :, k] * all_dq[:, :, k]
        return coarse_last(w, J)[:, :, None] * all_dq, dw, all_dq[0, :, 0].copy()
    for i, (t, part) in enumerate(zip(kept, level_slices(kept), strict=True)):
        for k in range(h1.shape[2] if t else 0):
            at_k = dq[i][:, k : k + 2 * t - 1 : 2]  # [D, t]
            dh1[i, :, k] = (w[:, part] * at_k).sum(axis=1)
            dw[:, part] += h1[i, :, k, None] * at_k
    return dh1, dw, dq[0][:, 0].copy()


def by_readout(forward: ReadoutForward, backward: ReadoutBackward) -> tuple[Forward, Backward]:
    """An engine's `forward` and `backward` (see `engine.py`) from an algorithm that works with readout filters."""

    def layer_forward(x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> Array:
        J = len(kept)
        q, w_a = fold(untied(h1, J), w, w_skip, kept)
        return forward(x, untied(h0, J), q, w_a)

    def layer_backward(g: Array, x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> Gradients:
        J = len(kept)
        h1_of_level = untied(h1, J)
        q, w_a = fold(h1_of_level, w, w_skip, kept)
        dx, dh0, dq, dw_a = backward(g, x, untied(h0, J), q, w_a)
        dh1, dw, dw_skip = unfold(dq, dw_a, h1_of_level, w, kept)
        if h0.ndim == 2:  # the gradient of filters that all levels share is the sum over the levels
            dh0, dh1 = dh0.sum(axis=0), dh1.sum(axis=0)
        return dx, dh0, dh1, dw, dw_skip

    return layer_forward, layer_backward
