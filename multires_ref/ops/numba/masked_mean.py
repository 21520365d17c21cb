"""Pooling, compiled."""

from __future__ import annotations

import numpy as np
from numba import prange

from ...base.arrays import Array
from ...base.buffers import empty
from ..masked_mean import masked_mean, masked_mean_adjoint, pooling_weights
from ._compile import compiled, parallel, parallel_sums


@compiled(masked_mean)
def compiled_masked_mean(x: Array, lengths: Array | None = None) -> Array:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    out = np.empty(x.shape[:2], x.dtype)
    weighted_sums(out, np.ascontiguousarray(x), weights_of(x, lengths))
    return out


@compiled(masked_mean_adjoint)
def compiled_masked_mean_adjoint(g: Array, x: Array, lengths: Array | None = None) -> Array:
    """The gradient of x [B, D, L]: g spread evenly over the steps that were averaged."""
    out = empty(x.shape, x.dtype)
    spread(out, np.ascontiguousarray(g), weights_of(x, lengths))
    return out


def weights_of(x: Array, lengths: Array | None) -> Array:
    """What each step counts, [B, L]."""
    B, _, L = x.shape
    weights = np.asarray(pooling_weights(x, lengths), x.dtype)
    return np.ascontiguousarray(np.broadcast_to(weights, (B, 1, L))[:, 0])


@parallel_sums
def weighted_sums(out: Array, x: Array, weights: Array) -> None:
    """out[b, d] = sum_n x[b, d, n] weights[b, n]."""
    B, D, L = x.shape
    for row in prange(B * D):
        b, d = row // D, row % D
        total = 0.0
        for n in range(L):
            total += x[b, d, n] * weights[b, n]
        out[b, d] = total


@parallel
def spread(out: Array, g: Array, weights: Array) -> None:
    """out[b, d, n] = g[b, d] weights[b, n]."""
    B, D, L = out.shape
    for row in prange(B * D):
        b, d = row // D, row % D
        c = g[b, d]
        for n in range(L):
            out[b, d, n] = c * weights[b, n]
