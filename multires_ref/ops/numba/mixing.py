"""A block's GELU, 1x1 convolution and GLU, compiled around BLAS's matrix products: `ops/mixing.py` has the definition.

The time steps of all sequences, one sequence after the other, are the columns of one matrix. A tile of columns stays in a core's
cache while all steps are taken. Short sequences are side by side in a tile, because BLAS needs up to twice as long for each of
them alone. A channel is one long row of a tile, so that no loop is as short as a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import njit
from ...base.threads import limited
from ...base.vectors import wide_vectors
from ...base.workers import share_out
from ..conv1x1 import GROUPS, PRODUCTS
from ..mixing import mixing, mixing_adjoint
from ._compile import SUMS, compiled
from ._math import normal, sigmoid

TILE = 1024  # columns of a tile, at most: with fewer of them the matrix products are slower
TILES = 4  # the least number of tiles to aim at: fixed, so that results do not depend on the number of threads
loop = njit(nogil=True, fastmath=SUMS, error_model="numpy")


@compiled(mixing, pointwise=False)
def compiled_mixing(
    c: Array,
    weight: Array,
    bias: Array,
    mask_1: Array | None = None,
    mask_2: Array | None = None,
    kept: Array | None = None,
) -> Array:
    """r [B, D, L] from c [B, D, L]."""
    D, T, c, no_mask, mask_1, mask_2 = c.shape[1], tile_width(c), *contiguous(c, None, mask_1, mask_2)
    r = empty(c.shape, c.dtype)

    def some_tiles(begin: int, end: int) -> None:
        v_space, u_space = empty((D * T,), c.dtype), empty((2 * D * T if kept is None else 0,), c.dtype)
        for start, n in tiles(c, begin, end):
            v, u = matrix(v_space, D, n), matrix(u_space if kept is None else kept[2 * D * start :], 2 * D, n)
            move(READ, v, c, no_mask, start)
            gelu_in_place(v)
            drop(v, c, mask_1, start)
            np.matmul(weight, v, out=u)
            glu_of_sum(v, u, bias)  # r
            move(WRITE, v, r, mask_2, start)

    with limited(2 * c.size * D // PRODUCTS) as threads:
        share_out(some_tiles, count_tiles(c), threads)
    return r


@compiled(mixing_adjoint, pointwise=False)
def compiled_mixing_adjoint(
    g: Array,
    c: Array,
    weight: Array,
    bias: Array,
    mask_1: Array | None = None,
    mask_2: Array | None = None,
    kept: Array | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients of c, weight and bias. Each of GROUPS groups of tiles has sums of its own: see `conv1x1.py`."""
    D, T, count = c.shape[1], tile_width(c), count_tiles(c)
    g, c, no_mask, mask_1, mask_2 = contiguous(g, c, None, mask_1, mask_2)
    u = empty((2 * c.size,), c.dtype) if kept is None else kept
    if kept is None:
        compiled_mixing(c, weight, bias, mask_1, mask_2, u)
    dc, groups = empty(c.shape, c.dtype), min(GROUPS, count)
    dweight, dbias = np.zeros((groups, 2 * D, D)), np.zeros((groups, 2 * D))

    def some_groups(begin: int, end: int) -> None:
        space, product = empty((4 * D * T,), c.dtype), np.empty((2 * D, D), c.dtype)
        for i in range(begin, end):
            for start, n in tiles(c, i * count // groups, (i + 1) * count // groups):
                v, slope, du = matrix(space, D, n), matrix(space[D * T :], D, n), matrix(space[2 * D * T :], 2 * D, n)
                move(READ, v, c, no_mask, start)
                gelu_and_slope(v, slope)
                drop(v, c, mask_1, start)
                move(READ, du[:D], g, mask_2, start)
                glu_adjoint_of_sum(du, dbias[i], matrix(u[2 * D * start :], 2 * D, n), bias)
                dweight[i] += np.matmul(du, v.T, out=product)
                np.matmul(weight.T, du, out=v)  # dv
                move(WRITE, np.multiply(v, slope, out=v), dc, mask_1, start)

    with limited(4 * c.size * D // PRODUCTS) as threads:
        share_out(some_groups, groups, threads)
    return dc, dweight.sum(axis=0).astype(c.dtype), dbias.sum(axis=0).astype(c.dtype)


def contiguous(*arrays: Array | None) -> list[Array]:
    """The arrays, C-contiguous. None, for no dropout mask, becomes an array without elements."""
    none = np.empty((0, 0, 0), next(a.dtype for a in arrays if a is not None))
    return [none if a is None else np.ascontiguousarray(a) for a in arrays]


def tile_width(c: Array) -> int:
    """The columns of a tile of c [B, D, L]."""
    return min(TILE, max(TILE // 4, -(-c.shape[0] * c.shape[2] // TILES)))


def count_tiles(c: Array) -> int:
    """The tiles of c [B, D, L]: the units of work."""
    return -(-c.shape[0] * c.shape[2] // tile_width(c))


def tiles(c: Array, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The first column and the number of columns of these tiles of c [B, D, L]."""
    columns, T = c.shape[0] * c.shape[2], tile_width(c)
    for start in range(begin * T, min(end * T, columns), T):
        yield start, min(T, columns - start)


def matrix(space: Array, rows: int, columns: int) -> Array:
    """The beginning of flat memory as a matrix."""
    return space[: rows * columns].reshape(rows, columns)


READ, WRITE, SCALE = 0, 1, 2  # x into the tile, the tile into x, the tile alone


@loop
def move(way: int, tile: Array, x: Array, mask: Array, start: int) -> None:
    """Copy between tile[d, j] and x[b, d, t], where start + j = b L + t, times the dropout mask [B, D, 1] if it has elements."""
    n, L, done = tile.shape[1], x.shape[2], 0
    while done < n:
        b, t = (start + done) // L, np.uint64((start + done) % L)
        length, at = min(L - (start + done) % L, n - done), np.uint64(done)
        here = np.uint64(length)  # unsigned, like all positions: a check for negative ones would keep out vector instructions
        for d in range(tile.shape[0]):
            factor = mask[b, d, 0] if mask.size > 0 else tile.dtype.type(1)
            if way == READ:
                for j in range(here):
                    tile[d, at + j] = x[b, d, t + j] * factor
            elif way == WRITE:
                for j in range(here):
                    x[b, d, t + j] = tile[d, at + j] * factor
            else:
                for j in range(here):
                    tile[d, at + j] *= factor
        done += length


def drop(tile: Array, x: Array, mask: Array, start: int) -> None:
    """The tile of x [B, D, L] times the dropout mask, in place."""
    if mask.size > 0:
        move(SCALE, tile, x, mask, start)


@loop
def gelu_in_place(v: Array) -> None:
    """GELU of v [D, n]."""
    for d in range(v.shape[0]):
        wide_vectors()
        for j in range(v.shape[1]):
            v[d, j] *= normal(v[d, j])[0]


@loop
def gelu_and_slope(v: Array, slope: Array) -> None:
    """The same, and GELU's derivative Phi(v) + v phi(v): slope [D, n]."""
    for d in range(v.shape[0]):
        wide_vectors()
        for j in range(v.shape[1]):
            Phi, phi = normal(v[d, j])
            slope[d, j] = Phi + v[d, j] * phi
            v[d, j] *= Phi


@loop
def glu_of_sum(r: Array, u: Array, bias: Array) -> None:
    """r [D, n] = GLU(u + bias), for u [2 D, n]."""
    for d in range(r.shape[0]):
        c0, c1 = bias[d], bias[r.shape[0] + d]
        for j in range(r.shape[1]):
            r[d, j] = (u[d, j] + c0) * sigmoid(u[r.shape[0] + d, j] + c1)


@loop
def glu_adjoint_of_sum(du: Array, dbias: Array, u: Array, bias: Array) -> None:
    """The gradient of both halves, from g in the first half of du [2 D, n], and what it adds to that of the bias [2 D]."""
    D, one = du.shape[0] // 2, du.dtype.type(1)
    for d in range(D):
        c0, c1, of_value, of_gate = bias[d], bias[D + d], 0.0, 0.0
        for j in range(du.shape[1]):
            s = sigmoid(u[D + d, j] + c1)
            du[D + d, j] = du[d, j] * (u[d, j] + c0) * s * (one - s)
            du[d, j] *= s
        for j in range(du.shape[1]):
            of_value += du[d, j]
            of_gate += du[D + d, j]
        dbias[d] += of_value
        dbias[D + d] += of_gate
