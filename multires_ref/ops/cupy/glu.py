"""GLU with channel dropout on CuPy arrays: one launch, which reads both halves where they lie."""

from __future__ import annotations

from ...base.arrays import Array
from ..glu import glu, glu_adjoint
from ._kernels import Kernel

FORWARD = Kernel("glu", "T a, T b", "T y", "y = a * sigmoid(b)")
FORWARD_MASKED = Kernel("glu_masked", "T a, T b, T mask", "T y", "y = mask * a * sigmoid(b)")
ADJOINT = Kernel("glu_adjoint", "T g, T a, T b", "T da, T db", "const T s = sigmoid(b); da = g * s; db = g * a * s * (T(1) - s)")
ADJOINT_MASKED = Kernel(
    "glu_adjoint_masked",
    "T g, T a, T b, T mask",
    "T da, T db",
    "const T s = sigmoid(b), h = g * mask; da = h * s; db = h * a * s * (T(1) - s)",
)


@glu.implementation("cupy")
def one_launch(u: Array, mask: Array | None = None) -> Array:
    """u[:, :D] sigmoid(u[:, D:]), times the mask: [B, D, L] from u [B, 2 D, L]."""
    D = u.shape[1] // 2
    halves = (u[:, :D], u[:, D:])
    return FORWARD(*halves) if mask is None else FORWARD_MASKED(*halves, mask)


@glu_adjoint.implementation("cupy")
def adjoint_in_one_launch(g: Array, u: Array, mask: Array | None = None) -> Array:
    """The gradient of both halves of u, written into one array [B, 2 D, L]."""
    import cupy

    D, du = u.shape[1] // 2, cupy.empty_like(u)
    kernel, masks = (ADJOINT, ()) if mask is None else (ADJOINT_MASKED, (mask,))
    kernel(g, u[:, :D], u[:, D:], *masks, du[:, :D], du[:, D:])
    return du
