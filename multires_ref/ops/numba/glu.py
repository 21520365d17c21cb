"""GLU with channel dropout, compiled: one reading and one writing of memory."""

from __future__ import annotations

import numpy as np
from numba import prange

from ...base.arrays import Array
from ...base.buffers import empty
from ..glu import glu, glu_adjoint
from ._compile import compiled, factors, parallel
from ._math import sigmoid


@compiled(glu)
def compiled_glu(u: Array, mask: Array | None = None) -> Array:
    """u[:, :D] sigmoid(u[:, D:]) times the mask: [B, D, L]."""
    B, two_D, L = u.shape
    out = empty((B, two_D // 2, L), u.dtype)
    glu_rows(out, np.ascontiguousarray(u), factors(mask, out))
    return out


@compiled(glu_adjoint)
def compiled_glu_adjoint(g: Array, u: Array, mask: Array | None = None) -> Array:
    """The gradient of both halves of u: [B, 2 D, L]."""
    out = empty(u.shape, u.dtype)
    glu_adjoint_rows(out, np.ascontiguousarray(g), np.ascontiguousarray(u), factors(mask, g))
    return out


@parallel
def glu_rows(out: Array, u: Array, mask: Array) -> None:
    """out [B, D, L] from u [B, 2 D, L]."""
    B, D, L = out.shape
    for row in prange(B * D):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            out[b, d, n] = u[b, d, n] * sigmoid(u[b, D + d, n]) * factor


@parallel
def glu_adjoint_rows(out: Array, g: Array, u: Array, mask: Array) -> None:
    """out and u [B, 2 D, L], g [B, D, L]."""
    (B, D, L), one = g.shape, g.dtype.type(1)
    for row in prange(B * D):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            s, scaled = sigmoid(u[b, D + d, n]), g[b, d, n] * factor
            out[b, d, n] = scaled * s
            out[b, D + d, n] = scaled * u[b, d, n] * s * (one - s)
