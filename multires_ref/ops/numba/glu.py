"""GLU with channel dropout, compiled: one reading and one writing of memory."""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ..glu import glu, glu_adjoint
from ._compile import compiled, count_rows, factors, parallel
from ._math import sigmoid


@compiled(glu)
def compiled_glu(u: Array, mask: Array | None = None) -> Array:
    """u[:, :D] sigmoid(u[:, D:]) times the mask: [B, D, L]."""
    B, two_D, L = u.shape
    out = empty((B, two_D // 2, L), u.dtype)
    glu_rows(count_rows(out), out, np.ascontiguousarray(u), factors(mask, out))
    return out


@compiled(glu_adjoint)
def compiled_glu_adjoint(g: Array, u: Array, mask: Array | None = None) -> Array:
    """The gradient of both halves of u: [B, 2 D, L]."""
    out = empty(u.shape, u.dtype)
    glu_adjoint_rows(count_rows(g), out, np.ascontiguousarray(g), np.ascontiguousarray(u), factors(mask, g))
    return out


@parallel
def glu_rows(part: Part, out: Array, u: Array, mask: Array) -> None:
    """out [B, D, L] from u [B, 2 D, L]."""
    _, D, L = out.shape
    for row in range(part[0], part[1]):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            out[b, d, n] = u[b, d, n] * sigmoid(u[b, D + d, n]) * factor


@parallel
def glu_adjoint_rows(part: Part, out: Array, g: Array, u: Array, mask: Array) -> None:
    """out and u [B, 2 D, L], g [B, D, L]."""
    (_, D, L), one = g.shape, g.dtype.type(1)
    for row in range(part[0], part[1]):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            s, scaled = sigmoid(u[b, D + d, n]), g[b, d, n] * factor
            out[b, d, n] = scaled * s
            out[b, D + d, n] = scaled * u[b, d, n] * s * (one - s)
