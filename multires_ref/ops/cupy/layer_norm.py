"""LayerNorm on CuPy arrays: one launch, and one and a sum for its gradients."""

from __future__ import annotations

from ...base.arrays import Array
from ..layer_norm import EPS, layer_norm, layer_norm_adjoint
from ._kernels import contiguous
from ._norms import run


@layer_norm.implementation("cupy")
def one_launch(x: Array, r: Array, weight: Array, bias: Array) -> Array:
    """LayerNorm over channels of x + r [B, D, L]."""
    import cupy

    (B, D, L), out = x.shape, cupy.empty(x.shape, dtype=x.dtype)
    run("layer_norm", (-(-L // 32), B), *contiguous(x, r, weight, bias), out, D, L, EPS)
    return out


@layer_norm_adjoint.implementation("cupy")
def one_launch_and_a_sum(g: Array, x: Array, r: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]."""
    import cupy

    (B, D, L), ds = x.shape, cupy.empty(x.shape, dtype=x.dtype)
    partial = cupy.empty((B * -(-L // 32), 2, D), dtype=x.dtype)
    run("layer_norm_adjoint", (-(-L // 32), B), *contiguous(g, x, r, weight), ds, partial, D, L, EPS)
    sums = partial.sum(axis=0)
    return ds, ds, sums[0], sums[1]
