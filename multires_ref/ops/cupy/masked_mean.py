"""Pooling on CuPy arrays: x is read once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ...base.arrays import Array
from ..masked_mean import masked_mean, masked_mean_adjoint, pooling_weights
from ._kernels import Kernel

SPREAD = Kernel("spread", "T g, T weight", "T y", "y = g * weight")


@cache
def weighted_sum() -> Callable[..., Any]:
    """The compiled reduction sum(x weight)."""
    import cupy

    return cupy.ReductionKernel("T x, T weight", "T y", "x * weight", "a + b", "y = a", "0", "multires_weighted_sum")


@masked_mean.implementation("cupy")
def one_reduction(x: Array, lengths: Array | None = None) -> Array:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    weights = pooling_weights(x, lengths)
    return x.sum(axis=2) * weights if lengths is None else weighted_sum()(x, weights, axis=2)


@masked_mean_adjoint.implementation("cupy")
def spread_evenly(g: Array, x: Array, lengths: Array | None = None) -> Array:
    """g spread evenly over the steps that were averaged: [B, D, L]."""
    import cupy

    weights = pooling_weights(x, lengths)
    if lengths is None:  # one number
        return cupy.broadcast_to((g * weights)[:, :, None], x.shape)
    return SPREAD(g[:, :, None], weights)
