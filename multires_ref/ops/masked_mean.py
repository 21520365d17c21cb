"""Pooling: the mean over time, over the true steps only where sequences are padded."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from .registry import Example, operation

LENGTHS = np.array([3, 7])  # of the example


def pooling_weights(x: Array, lengths: Array | None) -> Array:
    """1 / length at each of a sequence's true steps, zero at its padding: [B, 1, L] (a float when there are no lengths)."""
    L = x.shape[2]
    if lengths is None:
        return 1.0 / L
    xp = get_xp(lengths)
    inside = xp.arange(L)[None, None, :] < lengths[:, None, None]
    return (inside / lengths[:, None, None]).astype(x.dtype)


@operation(Example([(2, 3, 7)]), Example([(2, 3, 7)], (LENGTHS,), "lengths"))
def masked_mean(x: Array, lengths: Array | None = None) -> Array:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    return get_xp(x).sum(x * pooling_weights(x, lengths), axis=2)


@masked_mean.adjoint(of=1)
def masked_mean_adjoint(g: Array, x: Array, lengths: Array | None = None) -> Array:
    """The gradient of x [B, D, L]: g spread evenly over the steps that were averaged."""
    return g[:, :, None] * (pooling_weights(x, lengths) + get_xp(x).zeros(x.shape, dtype=x.dtype))
