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
from ...base.inner import inner_njit
from ...base.threads import limited
from ...base.vectors import wide_vectors
from ...base.workers import share_out
from ..conv1x1 import GROUPS, PRODUCTS
from ..mixing import mixing, mixing_adjoint
from ._compile import SUMS, compiled
from ._math import normal, sigmoid

TILE = 1024  # columns of a tile, at most: with fewer of them the matrix products are slower
TILES = 8  # the least number of tiles to aim at: fixed, so that results do not depend on the number of threads
inner = inner_njit(fastmath={"contract"}, error_model="numpy")
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
    c, factors_1, factors_2 = np.ascontiguousarray(c), factors(mask_1, c), factors(mask_2, c)
    r, D, T = empty(c.shape, c.dtype), c.shape[1], tile_width(c)

    def some_tiles(begin: int, end: int) -> None:
        v_space, u_space = empty((D * T,), c.dtype), empty((2 * D * T if kept is None else 0,), c.dtype)
        for start, n in tiles(c, begin, end):
            v, u = matrix(v_space, D, n), matrix(u_space if kept is None else kept[2 * D * start :], 2 * D, n)
            gelu_columns(v, c, factors_1, start)
            np.matmul(weight, v, out=u)
            glu_columns(r, u, bias, factors_2, start)

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
    g, c, factors_1, factors_2 = np.ascontiguousarray(g), np.ascontiguousarray(c), factors(mask_1, c), factors(mask_2, c)
    u = empty((2 * c.size,), c.dtype) if kept is None else kept
    if kept is None:
        compiled_mixing(c, weight, bias, mask_1, mask_2, u)
    dc, D, T, count = empty(c.shape, c.dtype), c.shape[1], tile_width(c), count_tiles(c)
    groups = min(GROUPS, count)
    dweight, dbias = np.zeros((groups, 2 * D, D)), np.zeros((groups, 2 * D))

    def some_groups(begin: int, end: int) -> None:
        space, product = empty((4 * D * T,), c.dtype), np.empty((2 * D, D), c.dtype)
        for i in range(begin, end):
            for start, n in tiles(c, i * count // groups, (i + 1) * count // groups):
                v, slope, du = matrix(space, D, n), matrix(space[D * T :], D, n), matrix(space[2 * D * T :], 2 * D, n)
                gelu_and_slope(v, slope, c, factors_1, start)
                glu_adjoint_columns(du, dbias[i], g, matrix(u[2 * D * start :], 2 * D, n), bias, factors_2, start)
                dweight[i] += np.matmul(du, v.T, out=product)
                np.matmul(weight.T, du, out=v)  # dv
                multiply(dc, v, slope, start)

    with limited(4 * c.size * D // PRODUCTS) as threads:
        share_out(some_groups, groups, threads)
    return dc, dweight.sum(axis=0).astype(c.dtype), dbias.sum(axis=0).astype(c.dtype)


def factors(mask: Array | None, c: Array) -> Array:
    """A dropout mask [B, D, 1] as [B, D]; an array without elements where there is none."""
    return np.empty((0, 0), c.dtype) if mask is None else np.ascontiguousarray(mask).reshape(c.shape[:2])


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


@inner
def gather(row: Array, x: Array, d: int, start: int) -> None:
    """row[j] = x[b, d, t] for column start + j = b L + t of x [B, D, L]."""
    n, L, done = row.shape[0], x.shape[2], 0
    while done < n:
        b, t = (start + done) // L, np.uint64((start + done) % L)
        here, to = min(L - (start + done) % L, n - done), np.uint64(done)
        for j in range(np.uint64(here)):
            row[to + j] = x[b, d, t + j]
        done += here


@inner
def scatter(x: Array, d: int, start: int, row: Array) -> None:
    """x[b, d, t] = row[j]: the inverse of `gather`."""
    n, L, done = row.shape[0], x.shape[2], 0
    while done < n:
        b, t = (start + done) // L, np.uint64((start + done) % L)
        here, source = min(L - (start + done) % L, n - done), np.uint64(done)
        for j in range(np.uint64(here)):
            x[b, d, t + j] = row[source + j]
        done += here


@inner
def drop(row: Array, factors: Array, d: int, start: int, L: int) -> None:
    """row[j] times the factor [B, D] of channel d of its sequence; as it is where there are no factors."""
    n, done = row.shape[0] if factors.shape[0] > 0 else 0, 0
    while done < n:
        here, at = min(L - (start + done) % L, n - done), np.uint64(done)
        factor = factors[(start + done) // L, d]
        for j in range(np.uint64(here)):
            row[at + j] *= factor
        done += here


@loop
def gelu_columns(v: Array, c: Array, factors: Array, start: int) -> None:
    """v [D, n] = GELU(c) times the factors, for n columns of c [B, D, L]."""
    for d in range(v.shape[0]):
        wide_vectors()
        gather(v[d], c, d, start)
        for j in range(v.shape[1]):
            v[d, j] *= normal(v[d, j])[0]
        drop(v[d], factors, d, start, c.shape[2])


@loop
def gelu_and_slope(v: Array, slope: Array, c: Array, factors: Array, start: int) -> None:
    """The same, and GELU's derivative Phi(c) + c phi(c) times the factors: slope [D, n]."""
    for d in range(v.shape[0]):
        wide_vectors()
        gather(v[d], c, d, start)
        for j in range(v.shape[1]):
            Phi, phi = normal(v[d, j])
            slope[d, j] = Phi + v[d, j] * phi
            v[d, j] *= Phi
        drop(v[d], factors, d, start, c.shape[2])
        drop(slope[d], factors, d, start, c.shape[2])


@loop
def glu_columns(r: Array, u: Array, bias: Array, factors: Array, start: int) -> None:
    """r [B, D, L] = GLU(u + bias) times the factors, for the n columns of u [2 D, n]."""
    D, n = r.shape[1], u.shape[1]
    row = np.empty(n, u.dtype)
    for d in range(D):
        wide_vectors()
        c0, c1 = bias[d], bias[D + d]
        for j in range(n):
            row[j] = (u[d, j] + c0) * sigmoid(u[D + d, j] + c1)
        drop(row, factors, d, start, r.shape[2])
        scatter(r, d, start, row)


@loop
def glu_adjoint_columns(du: Array, dbias: Array, g: Array, u: Array, bias: Array, factors: Array, start: int) -> None:
    """du [2 D, n], and what it adds to the gradient of the bias [2 D]."""
    D, n, one = g.shape[1], u.shape[1], u.dtype.type(1)
    row = np.empty(n, u.dtype)
    for d in range(D):
        wide_vectors()
        gather(row, g, d, start)
        drop(row, factors, d, start, g.shape[2])
        c0, c1, of_value, of_gate = bias[d], bias[D + d], 0.0, 0.0
        for j in range(n):
            s = sigmoid(u[D + d, j] + c1)
            du[d, j] = row[j] * s
            du[D + d, j] = row[j] * (u[d, j] + c0) * s * (one - s)
        for j in range(n):
            of_value += du[d, j]
            of_gate += du[D + d, j]
        dbias[d] += of_value
        dbias[D + d] += of_gate


@loop
def multiply(dc: Array, dv: Array, slope: Array, start: int) -> None:
    """dc [B, D, L] = dv slope, for the n columns of dv [D, n], which is overwritten."""
    for d in range(dv.shape[0]):
        wide_vectors()
        for j in range(dv.shape[1]):
            dv[d, j] *= slope[d, j]
        scatter(dc, d, start, dv[d])
