"""Rows that a Fourier transform would spoil: those that hold NaN or infinity, or numbers so large that a sum might overflow.

The largest magnitude of a row, times a bound on how far the layer can make it grow, is compared with the largest number of its
dtype. NaN and infinity fail the same comparison. The tree computes such rows again, level by level: it touches no time before the
first bad number (in the backward pass, after the last), and it is right wherever the numbers are still finite.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array
from . import tree


def growth(h0: Array, q: list[Array], w_a: Array, L: int) -> Array:
    """For each channel, a bound on how large a row of magnitude 1 becomes anywhere in the layer, in either pass: [D], float64.

    It multiplies the sums of the filters' magnitudes, from the fine end and from the coarse end. Taps that reach back L samples
    or more meet only zeros, and are left out.
    """

    def total(h: Array, i: int) -> Array:
        return np.abs(h[:, : 1 + (L - 1) // 2**i].astype(np.float64)).sum(axis=1)

    with np.errstate(all="ignore"):
        up, down, most = np.ones(len(w_a)), np.abs(w_a.astype(np.float64)), np.ones(len(w_a))
        read = [total(q_i, i) for i, q_i in enumerate(q)]
        out = np.zeros(len(w_a))
        for i, h in enumerate(h0):
            out += read[i] * up
            up = up * total(h, i)
            most = np.maximum(most, up)
        most = np.maximum(most, out + up * np.abs(w_a.astype(np.float64)))
        for i in reversed(range(len(q))):
            down = down * total(h0[i], i) + read[i]
            most = np.maximum(most, down)
    return most


def magnitude(x: Array) -> Array:
    """The largest magnitude of each row, [B, D], float64; NaN where the row holds one."""
    with np.errstate(invalid="ignore"):
        return np.maximum(x.max(axis=-1), -x.min(axis=-1)).astype(np.float64)


def rows(x: Array, growth: Array) -> Array:
    """Which rows of x [B, D, L] could spoil their transform, or its product with the kernel's: [B, D]."""
    with np.errstate(all="ignore"):
        return ~(magnitude(x) * growth * (4.0 * x.shape[2] ** 2) < np.finfo(x.dtype).max)


def sums(g: Array, x: Array, growth: Array) -> Array:
    """Which channels of g and x [B, D, L] could spoil the filters' gradients, which are sums over batch and time: [D]."""
    with np.errstate(all="ignore"):
        largest = magnitude(g).max(axis=0) * magnitude(x).max(axis=0)
        return ~(largest * growth * (4.0 * x.shape[0] * x.shape[2] ** 2) < np.finfo(x.dtype).max)


def forward_again(y: Array, at_risk: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> None:
    """Compute the rows of y that are at risk by the tree."""
    b, d = np.nonzero(at_risk)
    if len(b):
        y[b, d] = tree.forward(x[b, d][None], h0[:, d], [q_i[d] for q_i in q], w_a[d])[0]


def backward_again(
    gradients: tuple, at_risk: Array, sums_at_risk: Array, g: Array, x: Array, h0: Array, q: list[Array], w_a: Array
) -> None:
    """Compute by the tree the rows of dx that are at risk, and the filters' gradients in the channels that are."""
    dx, dh0, dq, dw_a = gradients
    b, d = np.nonzero(at_risk)
    if len(b):
        dx[b, d] = tree.backward(g[b, d][None], x[b, d][None], h0[:, d], [q_i[d] for q_i in q], w_a[d])[0][0]
    (d,) = np.nonzero(sums_at_risk)
    if len(d):
        _, dh0[:, d], parts, dw_a[d] = tree.backward(g[:, d], x[:, d], h0[:, d], [q_i[d] for q_i in q], w_a[d])
        for whole, part in zip(dq, parts, strict=True):
            whole[d] = part
