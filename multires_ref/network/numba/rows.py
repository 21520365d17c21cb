"""What a network does to each time step by itself, compiled: [rows, D] arrays, a row for a stream or for a step of a sequence.

All inner loops run over channels, which lie side by side in memory, so the compiler vectorises the loops.
"""

from __future__ import annotations

import math

import numpy as np

from ...base.arrays import Array
from ...base.inner import inner_njit
from ...base.vectors import wide_vectors
from ...engines.numba import FASTMATH
from ...ops.layer_norm import EPS
from ...ops.numba._math import exact, normal, sigmoid

BATCH, LAYER, RMS = 0, 1, 2
NORMS = {"batch": BATCH, "layer": LAYER, "rms": RMS}  # the norms that are compiled here
compiled = inner_njit(fastmath=FASTMATH, error_model="numpy", _nrt=False)  # makes no arrays: no reference counts


@compiled
def after_convolution(
    x: Array, c: Array, u: Array, mix: Array, bias: Array, mix2: Array, bias2: Array, norm: int, of_norm: Array
) -> None:
    """A block from its convolution's output c [rows, D] on: x becomes the block's output.

    c and u [rows, 2 D] are space to work in. Matrices are [inputs, outputs]; `mix2` is [0, D] for networks without it.
    """
    for n in range(x.shape[0]):
        gelu(c[n])
    linear(u, c, mix, bias)
    for n in range(x.shape[0]):
        glu(c[n], u[n])
    if mix2.shape[0] > 0:
        linear(u, c, mix2, bias2)  # into the first D of 2 D
    for n in range(x.shape[0]):
        normalise(x[n], u[n] if mix2.shape[0] > 0 else c[n], norm, of_norm)


@compiled
def linear(out: Array, x: Array, weight: Array, bias: Array) -> None:
    """out[:, :E] = x [rows, D] weight [D, E] + bias, for two rows at a time: so weights that are loaded are used twice."""
    wide_vectors()
    rows, E = len(x), np.uint64(len(bias))
    for n in range(rows):
        for e in range(E):
            out[n, e] = bias[e]
    for n in range(0, rows // 2 * 2, 2):
        add_two(out, x, weight, n, E)
    if rows % 2:
        add_one(out, x, weight, rows - 1, E)


@compiled
def add_two(out: Array, x: Array, w: Array, n: int, E: np.unsignedinteger) -> None:
    """Rows n and n + 1 of out += x w, four inputs at a time: so an output that is loaded takes four products."""
    wide_vectors()
    D, m = x.shape[1], n + 1
    for d in range(0, D // 4 * 4, 4):
        s0, s1, s2, s3 = x[n, d], x[n, d + 1], x[n, d + 2], x[n, d + 3]
        t0, t1, t2, t3 = x[m, d], x[m, d + 1], x[m, d + 2], x[m, d + 3]
        for e in range(E):
            w0, w1, w2, w3 = w[d, e], w[d + 1, e], w[d + 2, e], w[d + 3, e]
            out[n, e] += s0 * w0 + s1 * w1 + s2 * w2 + s3 * w3
            out[m, e] += t0 * w0 + t1 * w1 + t2 * w2 + t3 * w3
    for d in range(D // 4 * 4, D):
        for e in range(E):
            out[n, e] += x[n, d] * w[d, e]
            out[m, e] += x[m, d] * w[d, e]


@compiled
def add_one(out: Array, x: Array, w: Array, n: int, E: np.unsignedinteger) -> None:
    """The same for row n alone."""
    wide_vectors()
    D = x.shape[1]
    for d in range(0, D // 4 * 4, 4):
        s0, s1, s2, s3 = x[n, d], x[n, d + 1], x[n, d + 2], x[n, d + 3]
        for e in range(E):
            out[n, e] += s0 * w[d, e] + s1 * w[d + 1, e] + s2 * w[d + 2, e] + s3 * w[d + 3, e]
    for d in range(D // 4 * 4, D):
        for e in range(E):
            out[n, e] += x[n, d] * w[d, e]


@exact
def gelu(x: Array) -> None:
    """x Phi(x), in place."""
    for d in range(x.shape[0]):
        x[d] = x[d] * normal(x[d])[0]


@exact
def glu(out: Array, u: Array) -> None:
    """out [D] = u[:D] sigmoid(u[D:])."""
    a, gate = u[: out.shape[0]], u[out.shape[0] :]
    for d in range(out.shape[0]):
        out[d] = a[d] * sigmoid(gate[d])


@compiled
def normalise(x: Array, r: Array, norm: int, of_norm: Array) -> None:
    """The norm of x + r [D], in place of x: by the running statistics, or by those over the channels."""
    centre, factor, bias = of_norm[0], of_norm[1], of_norm[2]
    D, mean, square = x.shape[0], 0.0, 0.0
    for d in range(D):
        x[d] += r[d]
    if norm == BATCH:
        for d in range(D):
            x[d] = (x[d] - centre[d]) * factor[d] + bias[d]
        return
    if norm == LAYER:
        for d in range(D):
            mean += x[d]
        mean /= D
    shift = x.dtype.type(mean)
    for d in range(D):
        x[d] -= shift
        square += x[d] * x[d]
    scale = x.dtype.type(1 / math.sqrt(square / D + EPS))
    for d in range(D):
        x[d] = x[d] * scale * factor[d] + bias[d]
