"""GLU with channel dropout on CuPy arrays: one launch, which reads both halves where they lie."""

from __future__ import annotations

from ...base.arrays import Array
from ..glu import glu, glu_adjoint
from ._kernels import elementwise


@glu.implementation("cupy")
def one_launch(u: Array, mask: Array | None = None) -> Array:
    """u[:, :D] sigmoid(u[:, D:]), times the mask: [B, D, L] from u [B, 2 D, L]."""
    D = u.shape[1] // 2
    if mask is None:
        return elementwise("glu", "T a, T b", "T y", "y = a * sigmoid(b)")(u[:, :D], u[:, D:])
    return elementwise("glu_masked", "T a, T b, T mask", "T y", "y = mask * a * sigmoid(b)")(u[:, :D], u[:, D:], mask)


@glu_adjoint.implementation("cupy")
def adjoint_in_one_launch(g: Array, u: Array, mask: Array | None = None) -> Array:
    """The gradient of both halves of u, written into one array [B, 2 D, L]."""
    import cupy

    D, du = u.shape[1] // 2, cupy.empty_like(u)
    halves = (u[:, :D], u[:, D:])
    if mask is None:
        operation = "const T s = sigmoid(b); da = g * s; db = g * a * s * (T(1) - s)"
        elementwise("glu_adjoint", "T g, T a, T b", "T da, T db", operation)(g, *halves, du[:, :D], du[:, D:])
    else:
        operation = "const T s = sigmoid(b), h = g * mask; da = h * s; db = h * a * s * (T(1) - s)"
        elementwise("glu_adjoint_masked", "T g, T a, T b, T mask", "T da, T db", operation)(
            g, *halves, mask, du[:, :D], du[:, D:]
        )
    return du
