"""LayerNorm of x + r over channels, compiled: `ops/layer_norm.py` has the definition.

The channels of one time step are L numbers apart, so a tile of TILE time steps is worked on at a time: its [D, TILE] numbers
stay in the cache through the passes for the mean, for the variance and for the result, and memory is read once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ...base.inner import inner_njit
from ..layer_norm import EPS, layer_norm, layer_norm_adjoint
from ._compile import SUMS, compiled, parallel_sums

TILE = 256  # time steps: in float32, 256 KiB for 256 channels. Shorter tiles jump from page to page of memory too often
PART = 8  # channels that are summed in their own dtype, which is twice as fast as in float64


@compiled(layer_norm)
def compiled_layer_norm(x: Array, r: Array, weight: Array, bias: Array) -> Array:
    """LayerNorm over channels of x + r [B, D, L]."""
    out = empty(x.shape, x.dtype)
    normalise(tiles(x), out, *(np.ascontiguousarray(a) for a in (x, r, weight, bias)))
    return out


@compiled(layer_norm_adjoint)
def compiled_layer_norm_adjoint(g: Array, x: Array, r: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]."""
    ds, parts = empty(x.shape, x.dtype), np.empty((tiles(x), 2, x.shape[1]))
    normalise_adjoint(tiles(x), ds, parts, *(np.ascontiguousarray(a) for a in (g, x, r, weight)))
    dweight, dbias = parts.sum(axis=0).astype(x.dtype)
    return ds, ds, dweight, dbias


def tiles(x: Array) -> int:
    """The number of tiles of x [B, D, L]: the units of work."""
    return x.shape[0] * -(-x.shape[2] // TILE)


@inner_njit(fastmath=SUMS, error_model="numpy")
def tile(unit: int, D: int, L: int, dtype: DTypeLike) -> tuple[int, np.unsignedinteger, Array, Array, Array]:
    """What a unit of work needs: its sequence b, where in time it begins, and space for s [D, n], mean [n] and scale [n]."""
    tiles = (L + TILE - 1) // TILE
    b, start = unit // tiles, unit % tiles * TILE
    n = min(TILE, L - start)
    return b, np.uint64(start), np.empty((D, n), dtype), np.empty(n, dtype), np.empty(n, dtype)


@inner_njit(fastmath=SUMS, error_model="numpy")
def statistics(s: Array, mean: Array, scale: Array, x: Array, r: Array, b: int, start: np.unsignedinteger) -> None:
    """s = x + r in the tile of sequence b that begins at `start` [D, n], its mean over channels [n], and 1 / sqrt(var + eps).

    Positions are unsigned because the check for negative ones would keep the compiler from using vector instructions.
    """
    D, n = s.shape
    total, part = np.zeros(n), np.zeros(n, s.dtype)
    for d in range(D):
        for t in range(np.uint64(n)):
            s[d, t] = x[b, d, start + t] + r[b, d, start + t]
            part[t] += s[d, t]
        add_part(total, part, d, D)
    for t in range(n):
        mean[t] = total[t] / D
        total[t] = 0.0
    for d in range(D):
        for t in range(n):
            centred = s[d, t] - mean[t]
            part[t] += centred * centred
        add_part(total, part, d, D)
    for t in range(n):
        scale[t] = 1.0 / np.sqrt(total[t] / D + EPS)


@inner_njit(fastmath=SUMS, error_model="numpy")
def add_part(total: Array, part: Array, d: int, D: int) -> None:
    """After PART channels, and after the last: what they have summed in their own dtype goes to the float64 total."""
    if d % PART == PART - 1 or d == D - 1:
        for t in range(total.shape[0]):
            total[t] += part[t]
            part[t] = 0


@inner_njit(fastmath={"contract"}, error_model="numpy")
def scaled(centred: float, weight: float, scale: float, bias: float) -> float:
    """centred (weight scale) + bias, in this order whatever the loop around it: no `reassoc` among the flags."""
    return centred * (weight * scale) + bias


@inner_njit(fastmath=False, error_model="numpy")  # without the option it would have its caller's
def without_means(u: float, hat: float, mean_u: float, mean_us: float) -> float:
    """u - mean(u) - s^ mean(u s^), as it stands, so that it is 0 for a single channel, where scale is large."""
    return u - mean_u - hat * mean_us


@parallel_sums
def normalise(part: Part, out: Array, x: Array, r: Array, weight: Array, bias: Array) -> None:
    """Fills out [B, D, L]."""
    _, D, L = x.shape
    for unit in range(part[0], part[1]):
        b, start, s, mean, scale = tile(unit, D, L, x.dtype)
        statistics(s, mean, scale, x, r, b, start)
        for d in range(D):
            for t in range(np.uint64(s.shape[1])):
                out[b, d, start + t] = scaled(s[d, t] - mean[t], weight[d], scale[t], bias[d])


@parallel_sums
def normalise_adjoint(part: Part, ds: Array, parts: Array, g: Array, x: Array, r: Array, weight: Array) -> None:
    """Fills ds [B, D, L] and each tile's part of the gradients of weight and bias, parts [units, 2, D].

    With s^ the normalised s and u = g weight:  ds = scale (u - mean(u) - s^ mean(u s^)), means over channels.
    """
    _, D, L = x.shape
    for unit in range(part[0], part[1]):
        b, start, hat, mean, scale = tile(unit, D, L, x.dtype)
        statistics(hat, mean, scale, x, r, b, start)
        n = np.uint64(hat.shape[1])
        mean_u, mean_us, part_u, part_us = np.zeros(n), np.zeros(n), np.zeros(n, x.dtype), np.zeros(n, x.dtype)
        for d in range(D):
            w = weight[d]
            dweight = dbias = x.dtype.type(0)
            for t in range(n):
                g_t = g[b, d, start + t]
                hat[d, t] = (hat[d, t] - mean[t]) * scale[t]
                dweight += g_t * hat[d, t]
                dbias += g_t
                u = g_t * w
                part_u[t] += u
                part_us[t] += u * hat[d, t]
            parts[unit, 0, d], parts[unit, 1, d] = dweight, dbias
            add_part(mean_u, part_u, d, D)
            add_part(mean_us, part_us, d, D)
        for t in range(n):
            part_u[t], part_us[t] = mean_u[t] / D, mean_us[t] / D  # the means, in the dtype of x
        for d in range(D):
            for t in range(n):
                u = g[b, d, start + t] * weight[d]
                ds[b, d, start + t] = scale[t] * without_means(u, hat[d, t], part_u[t], part_us[t])
