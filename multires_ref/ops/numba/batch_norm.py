"""BatchNorm of x + r, compiled: `ops/batch_norm.py` has the definition.

Statistics are taken row by row, each in the cache, and put together in float64. The mean of all rows is the mean of their means,
and the variance is that within rows plus that of the rows' means (Chan, Golub and LeVeque 1983): no digits cancel.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ...base.ranks import Share
from ..batch_norm import batch_norm, batch_norm_adjoint, batch_statistics, batch_sums, of_own_examples
from ..layer_norm import EPS
from ._compile import compiled, count_rows, parallel, parallel_sums


@compiled(batch_statistics)
def compiled_batch_statistics(x: Array, r: Array) -> tuple[Array, Array]:
    """Mean and biased variance of x + r over batch and time: [D] each."""
    means, squares = np.empty(x.shape[:2]), np.empty(x.shape[:2])
    row_statistics(means.size, means, squares, np.ascontiguousarray(x), np.ascontiguousarray(r))
    mean = means.mean(axis=0)
    var = squares.mean(axis=0) / x.shape[2] + ((means - mean) ** 2).mean(axis=0)
    return mean.astype(x.dtype), var.astype(x.dtype)


@compiled(batch_norm)
def compiled_batch_norm(
    x: Array, r: Array, weight: Array, bias: Array, mean: Array, var: Array, training: bool, share: Share | None = None
) -> Array:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D]."""
    out = empty(x.shape, x.dtype)
    scale = weight / np.sqrt(var + EPS)
    normalise_rows(count_rows(x), out, *(np.ascontiguousarray(a) for a in (x, r, mean, scale, bias)))
    return out


@compiled(batch_norm_adjoint)
def compiled_batch_norm_adjoint(
    g: Array,
    x: Array,
    r: Array,
    weight: Array,
    bias: Array,
    mean: Array,
    var: Array,
    training: bool,
    share: Share | None = None,
) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]; the last two are sums that the first need in training."""
    g, x, r, mean = (np.ascontiguousarray(a) for a in (g, x, r, mean))
    scale, parts = 1.0 / np.sqrt(var + EPS), np.empty((2, *x.shape[:2]))
    row_sums(count_rows(x), parts, g, x, r, mean, scale)
    dweight, dbias = parts.sum(axis=1).astype(x.dtype)
    sum_gs, sum_g, one = batch_sums(dweight, dbias, x.shape, share) if training else (dweight, dbias, 0.0)
    ds = empty(x.shape, x.dtype)
    ds_rows(count_rows(x), ds, g, x, r, (mean, scale, weight * scale, sum_gs * one, sum_g * one))
    ds = of_own_examples(ds, share)
    return ds, ds, dweight, dbias


@parallel_sums
def row_statistics(part: Part, means: Array, squares: Array, x: Array, r: Array) -> None:
    """The mean of each row of x + r, and the sum of squares about it: [B, D]."""
    _, D, L = x.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        total = square = 0.0
        for n in range(L):
            total += x[b, d, n] + r[b, d, n]
        mean = total / L
        for n in range(L):
            centred = (x[b, d, n] + r[b, d, n]) - mean
            square += centred * centred
        means[b, d], squares[b, d] = mean, square


@parallel
def normalise_rows(part: Part, out: Array, x: Array, r: Array, mean: Array, scale: Array, bias: Array) -> None:
    """out = (x + r - mean) scale + bias, the last three [D]."""
    _, D, L = x.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        m, c, e = mean[d], scale[d], bias[d]
        for n in range(L):
            out[b, d, n] = (x[b, d, n] + r[b, d, n] - m) * c + e


@parallel_sums
def row_sums(part: Part, parts: Array, g: Array, x: Array, r: Array, mean: Array, scale: Array) -> None:
    """Each row's sum of g s^ and of g, s^ = (x + r - mean) scale: parts [2, B, D]."""
    _, D, L = x.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        m, c = mean[d], scale[d]
        with_hat = alone = 0.0
        for n in range(L):
            with_hat += g[b, d, n] * ((x[b, d, n] + r[b, d, n] - m) * c)
            alone += g[b, d, n]
        parts[0, b, d], parts[1, b, d] = with_hat, alone


@parallel
def ds_rows(part: Part, ds: Array, g: Array, x: Array, r: Array, channels: tuple[Array, ...]) -> None:
    """ds = weight scale (g - mean(g) - s^ mean(g s^)); channels = (mean, scale, weight scale, mean(g s^), mean(g)), [D] each."""
    _, D, L = x.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        m, c, slope, mean_gs, mean_g = channels[0][d], channels[1][d], channels[2][d], channels[3][d], channels[4][d]
        for n in range(L):
            hat = (x[b, d, n] + r[b, d, n] - m) * c
            ds[b, d, n] = slope * (g[b, d, n] - mean_g - hat * mean_gs)
