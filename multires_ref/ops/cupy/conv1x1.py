"""The 1x1 convolution on CuPy arrays, by cuBLAS."""

from __future__ import annotations

from ...base.arrays import Array
from ..conv1x1 import conv1x1, conv1x1_adjoint
from ._products import product


@conv1x1.implementation("cupy")
def one_product(x: Array, weight: Array, bias: Array) -> Array:
    """weight @ x[b] + bias at every time step: [B, E, L]."""
    out = product(weight, x)
    out += bias[:, None]
    return out


@conv1x1_adjoint.implementation("cupy")
def two_products(g: Array, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """dx [B, D, L], dweight [E, D], dbias [E]; each sequence's dweight is summed up after, in a fixed order."""
    dx = product(weight, g, transpose_a=True)
    return dx, product(g, x, transpose_b=True).sum(axis=0), g.sum(axis=2).sum(axis=0)
