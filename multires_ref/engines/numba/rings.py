"""`conv_step` of `engines/rings.py` as one compiled loop, without an array for every intermediate value.

All inner loops run over the channels of one stream. These lie side by side in every array, so the compiler vectorises the loops.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.compiled import njit
from ..rings import LayerWeights
from . import FASTMATH

compiled = njit(fastmath=FASTMATH, _nrt=False)  # makes no arrays, so needs no reference counts


def conv_step(x: Array, ring: Array, weights: LayerWeights, reading: Array, writing: Array) -> Array:
    """One layer's convolution at one time step: x [B, D] -> y [B, D]. The newest values are written to `ring` [size, B, D]."""
    y = np.zeros_like(x)
    work = np.empty((2, x.shape[1]), x.dtype)
    loop(x, ring, weights.now, weights.past[:, :, 0], weights.readout, reading, writing, work, y)
    return y


@compiled
def loop(
    x: Array, ring: Array, now: Array, past: Array, readout: Array, reading: Array, writing: Array, work: Array, y: Array
) -> None:
    """For every stream, the readout's further taps and then the levels, whose newest values may overwrite what those taps read.

    `work` holds a_{i-1} and a_i of one stream, in turn.
    """
    J, taps = past.shape[0], past.shape[1]
    for b in range(x.shape[0]):
        out, a, above = y[b], work[0], work[1]
        copy(a, x[b])
        for r in range(J * taps, reading.shape[0]):
            add_product(out, readout[J + 1 + r], ring[reading[r], b])
        for i in range(J):
            set_and_add(above, now[i], out, readout[i], a)
            for k in range(taps):
                r = i * taps + k
                add_two(above, past[i, k], out, readout[J + 1 + r], ring[reading[r], b])
            copy(ring[writing[i], b], a)
            a, above = above, a
        add_product(out, readout[J], a)


@compiled
def copy(out: Array, v: Array) -> None:
    """out = v."""
    for d in range(out.shape[0]):
        out[d] = v[d]


@compiled
def add_product(out: Array, c: Array, v: Array) -> None:
    """out += c v."""
    for d in range(out.shape[0]):
        out[d] += c[d] * v[d]


@compiled
def set_and_add(above: Array, c: Array, out: Array, e: Array, v: Array) -> None:
    """above = c v;  out += e v."""
    for d in range(out.shape[0]):
        above[d] = c[d] * v[d]
        out[d] += e[d] * v[d]


@compiled
def add_two(above: Array, c: Array, out: Array, e: Array, v: Array) -> None:
    """above += c v;  out += e v."""
    for d in range(out.shape[0]):
        above[d] += c[d] * v[d]
        out[d] += e[d] * v[d]
