"""GELU with channel dropout on CuPy arrays: one launch."""

from __future__ import annotations

from ...base.arrays import Array
from ..gelu import gelu, gelu_adjoint
from ._kernels import Kernel

SLOPE = "(normal_cdf(x) + x * normal_density(x))"
FORWARD = Kernel("gelu", "T x", "T y", "y = x * normal_cdf(x)")
FORWARD_MASKED = Kernel("gelu_masked", "T x, T mask", "T y", "y = mask * x * normal_cdf(x)")
ADJOINT = Kernel("gelu_adjoint", "T g, T x", "T dx", f"dx = g * {SLOPE}")
ADJOINT_MASKED = Kernel("gelu_adjoint_masked", "T g, T x, T mask", "T dx", f"dx = g * mask * {SLOPE}")


@gelu.implementation("cupy")
def one_launch(x: Array, mask: Array | None = None) -> Array:
    """x Phi(x), times the mask."""
    return FORWARD(x) if mask is None else FORWARD_MASKED(x, mask)


@gelu_adjoint.implementation("cupy")
def adjoint_in_one_launch(g: Array, x: Array, mask: Array | None = None) -> Array:
    """g (Phi(x) + x phi(x)), times the mask."""
    return ADJOINT(g, x) if mask is None else ADJOINT_MASKED(g, x, mask)
