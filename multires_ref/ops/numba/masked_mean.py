"""Pooling, compiled."""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ..masked_mean import masked_mean, masked_mean_adjoint, pooling_weights
from ._compile import compiled, count_rows, parallel, parallel_sums


@compiled(masked_mean)
def compiled_masked_mean(x: Array, lengths: Array | None = None) -> Array:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    out = np.empty(x.shape[:2], x.dtype)
    weighted_sums(out.size, out, np.ascontiguousarray(x), weights_of(x, lengths))
    return out


@compiled(masked_mean_adjoint)
def compiled_masked_mean_adjoint(g: Array, x: Array, lengths: Array | None = None) -> Array:
    """The gradient of x [B, D, L]: g spread evenly over the steps that were averaged."""
    out = empty(x.shape, x.dtype)
    spread(count_rows(out), out, np.ascontiguousarray(g), weights_of(x, lengths))
    return out


def weights_of(x: Array, lengths: Array | None) -> Array:
    """What each step counts, [B, L]."""
    B, _, L = x.shape
    weights = np.asarray(pooling_weights(x, lengths), x.dtype)
    return np.ascontiguousarray(np.broadcast_to(weights, (B, 1, L))[:, 0])


@parallel_sums
def weighted_sums(part: Part, out: Array, x: Array, weights: Array) -> None:
    """out[b, d] = sum_n x[b, d, n] weights[b, n]."""
    _, D, L = x.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        total = 0.0
        for n in range(L):
            total += x[b, d, n] * weights[b, n]
        out[b, d] = total


@parallel
def spread(part: Part, out: Array, g: Array, weights: Array) -> None:
    """out[b, d, n] = g[b, d] weights[b, n]."""
    _, D, L = out.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        c = g[b, d]
        for n in range(L):
            out[b, d, n] = c * weights[b, n]
