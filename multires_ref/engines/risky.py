"""Rows that a Fourier transform would spoil: those with NaN or infinity in them, or so large that a sum might overflow.

The largest magnitude of a row, times a bound on how far the layer can make it grow, is held against the largest number of its
dtype. NaN and infinity fail the same comparison. Such rows are computed again by the tree, level by level, which touches no time
before the first bad number (in the backward pass: after the last), and is right wherever the numbers still are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import tree


def growth(h0: Any, q: list[Any], w_a: Any, L: int) -> Any:
    """A bound for each channel on what 1 can grow to anywhere in the layer, at either pass: [D], float64.

    The products of the filters' absolute sums, from the fine end and from the coarse end; taps beyond L samples only meet zeros.
    """

    def total(h: Any, i: int) -> Any:
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


def magnitude(x: Any) -> Any:
    """The largest magnitude of each row, [B, D], float64; NaN where there is one."""
    with np.errstate(invalid="ignore"):
        return np.maximum(x.max(axis=-1), -x.min(axis=-1)).astype(np.float64)


def rows(x: Any, growth: Any) -> Any:
    """Which rows of x [B, D, L] could spoil a transform and a product with the kernel's: [B, D]."""
    with np.errstate(all="ignore"):
        return ~(magnitude(x) * growth * (4.0 * x.shape[2] ** 2) < np.finfo(x.dtype).max)


def sums(g: Any, x: Any, growth: Any) -> Any:
    """Which channels of g and x [B, D, L] could spoil the sums over batch and time that the filters' gradients are: [D]."""
    with np.errstate(all="ignore"):
        largest = magnitude(g).max(axis=0) * magnitude(x).max(axis=0)
        return ~(largest * growth * (4.0 * x.shape[0] * x.shape[2] ** 2) < np.finfo(x.dtype).max)


def forward_again(y: Any, at_risk: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> None:
    """Fill the rows of y that are at risk by the tree."""
    b, d = np.nonzero(at_risk)
    if len(b):
        y[b, d] = tree.forward(x[b, d][None], h0[:, d], [q_i[d] for q_i in q], w_a[d])[0]


def backward_again(gradients: Any, at_risk: Any, sums_at_risk: Any, g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> None:
    """Fill by the tree the rows of dx that are at risk, and the gradients of the filters of the channels that are."""
    dx, dh0, dq, dw_a = gradients
    b, d = np.nonzero(at_risk)
    if len(b):
        dx[b, d] = tree.backward(g[b, d][None], x[b, d][None], h0[:, d], [q_i[d] for q_i in q], w_a[d])[0][0]
    (d,) = np.nonzero(sums_at_risk)
    if len(d):
        _, dh0[:, d], parts, dw_a[d] = tree.backward(g[:, d], x[:, d], h0[:, d], [q_i[d] for q_i in q], w_a[d])
        for whole, part in zip(dq, parts, strict=True):
            whole[d] = part
