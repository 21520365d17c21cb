"""RMSNorm of x + r over channels, compiled: `ops/rms_norm.py` has the definition.

As in `layer_norm.py`, a tile of time steps is worked on at a time, so that its numbers stay in the cache.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ...base.inner import inner_njit
from ..layer_norm import EPS
from ..rms_norm import rms_norm, rms_norm_adjoint
from ._compile import SUMS, compiled, parallel_sums
from .layer_norm import scaled, tile, tiles


@compiled(rms_norm)
def compiled_rms_norm(x: Array, r: Array, weight: Array) -> Array:
    """RMSNorm over channels of x + r [B, D, L]."""
    out = empty(x.shape, x.dtype)
    normalise(tiles(x), out, *(np.ascontiguousarray(a) for a in (x, r, weight)))
    return out


@compiled(rms_norm_adjoint)
def compiled_rms_norm_adjoint(g: Array, x: Array, r: Array, weight: Array) -> tuple[Array, Array, Array]:
    """The gradients of x, r [B, D, L] and weight [D]."""
    ds, parts = empty(x.shape, x.dtype), np.empty((tiles(x), x.shape[1]))
    normalise_adjoint(tiles(x), ds, parts, *(np.ascontiguousarray(a) for a in (g, x, r, weight)))
    return ds, ds, parts.sum(axis=0).astype(x.dtype)


@inner_njit(fastmath=SUMS, error_model="numpy")
def sum_and_scale(s: Array, scale: Array, x: Array, r: Array, b: int, start: np.unsignedinteger) -> None:
    """s = x + r in the tile of sequence b that begins at `start` [D, n], and 1 / sqrt(mean(s^2) + eps) at each step [n]."""
    D, n = s.shape
    total = np.zeros(n)
    for d in range(D):
        for t in range(np.uint64(n)):
            s[d, t] = x[b, d, start + t] + r[b, d, start + t]
            total[t] += s[d, t] * s[d, t]
    for t in range(n):
        scale[t] = 1.0 / np.sqrt(total[t] / D + EPS)


@parallel_sums
def normalise(part: Part, out: Array, x: Array, r: Array, weight: Array) -> None:
    """Fills out [B, D, L]."""
    _, D, L = x.shape
    for unit in range(part[0], part[1]):
        b, start, s, _, scale = tile(unit, D, L, x.dtype)
        sum_and_scale(s, scale, x, r, b, start)
        for d in range(D):
            for t in range(np.uint64(s.shape[1])):
                out[b, d, start + t] = scaled(s[d, t], weight[d], scale[t], x.dtype.type(0))


@parallel_sums
def normalise_adjoint(part: Part, ds: Array, parts: Array, g: Array, x: Array, r: Array, weight: Array) -> None:
    """Fills ds [B, D, L] and each tile's part of the gradient of weight, parts [units, D].

    With s^ the normalised s and u = g weight:  ds = scale (u - s^ mean(u s^)), the mean over channels.
    """
    _, D, L = x.shape
    for unit in range(part[0], part[1]):
        b, start, hat, _, scale = tile(unit, D, L, x.dtype)
        sum_and_scale(hat, scale, x, r, b, start)
        n = np.uint64(hat.shape[1])
        mean_us = np.zeros(n)
        for d in range(D):
            dweight = 0.0
            for t in range(n):
                hat[d, t] = hat[d, t] * scale[t]
                dweight += g[b, d, start + t] * hat[d, t]
                mean_us[t] += g[b, d, start + t] * weight[d] * hat[d, t]
            parts[unit, d] = dweight
        for t in range(n):
            mean_us[t] = mean_us[t] / D
        for d in range(D):
            for t in range(n):
                ds[b, d, start + t] = scale[t] * (g[b, d, start + t] * weight[d] - hat[d, t] * mean_us[t])
