"""The 1x1 convolution: the same linear map across channels at every time step.

On NumPy arrays it runs with few temporary arrays: sequences are taken a few at a time, so that what a matrix product has written
is still in the cache when the bias is added or when it is summed. Long sums of weight gradients are taken in float64.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from ..base.buffers import empty
from ..base.threads import limited
from ..base.workers import share_out
from .registry import Example, operation

BLOCK = 2**19  # elements of a product's result that are worked on at a time: 2 MiB in float32
GROUPS = 16  # of sequences, whose weight gradients are summed first: fixed, so that the sum does not depend on the threads
SUMMED = 8  # sequences whose weight gradients are summed in their own dtype; more of them in float64
PRODUCTS = 8  # multiplications of a matrix product that take as long as handling one element elsewhere


@operation(Example([(2, 3, 7), (5, 3), (5,)]), torch="torch.nn.functional.conv1d")
def conv1x1(x: Array, weight: Array, bias: Array) -> Array:
    """out[b, e, n] = sum_d weight[e, d] x[b, d, n] + bias[e]: [B, E, L]."""
    return get_xp(x, weight).matmul(weight, x) + bias[:, None]


@conv1x1.adjoint(of=3)
def conv1x1_adjoint(g: Array, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """dx [B, D, L], dweight [E, D], dbias [E]."""
    xp = get_xp(g, x, weight)
    dweight = xp.sum(xp.matmul(g, xp.swapaxes(x, 1, 2)), axis=0)
    return xp.matmul(weight.T, g), dweight, xp.sum(g, axis=(0, 2))


def blocks(x: Array, begin: int, end: int, most: int) -> list[slice]:
    """Slices of the batch from `begin` to `end`, each of at most about BLOCK elements of x and of `most` sequences."""
    per_block = min(most, max(1, BLOCK // (x.shape[1] * x.shape[2])))
    return [slice(b, min(b + per_block, end)) for b in range(begin, end, per_block)]


@conv1x1.implementation("numpy")
def conv1x1_by_blocks(x: Array, weight: Array, bias: Array) -> Array:
    """The same, a few sequences at a time, on several threads."""
    B, _, L = x.shape
    out = empty((B, weight.shape[0], L), np.result_type(x, weight, bias))

    def some_sequences(begin: int, end: int) -> None:
        for part in blocks(out, begin, end, end - begin):
            multiply = np.multiply if weight.shape[1] == 1 else np.matmul  # one input channel: faster than BLAS, and the same
            multiply(weight, x[part], out=out[part])
            out[part] += bias[:, None]

    with limited(out.size * weight.shape[1] // PRODUCTS) as threads:
        share_out(some_sequences, B, threads)
    return out


@conv1x1_adjoint.implementation("numpy")
def conv1x1_adjoint_by_blocks(g: Array, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """The same, a few sequences at a time, on several threads. Each of GROUPS groups of sequences has a sum of its own."""
    B, dtype, groups = len(g), np.result_type(g, x, weight), min(GROUPS, len(g))
    dx, dweight, dbias = empty(x.shape, dtype), np.zeros((groups, *weight.shape)), np.zeros((groups, weight.shape[0]))
    ones = np.ones(g.shape[2], dtype)  # a sum as a matrix product, which is faster

    def some_groups(begin: int, end: int) -> None:
        for i in range(begin, end):
            for part in blocks(g, i * B // groups, (i + 1) * B // groups, SUMMED):
                np.matmul(weight.T, g[part], out=dx[part])
                dweight[i] += np.matmul(g[part], x[part].swapaxes(1, 2)).sum(axis=0)
                dbias[i] += np.matmul(g[part], ones).sum(axis=0)

    with limited(2 * g.size * weight.shape[1] // PRODUCTS) as threads:
        share_out(some_groups, groups, threads)
    return dx, dweight.sum(axis=0).astype(dtype), dbias.sum(axis=0).astype(dtype)
