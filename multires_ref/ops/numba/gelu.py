"""GELU with channel dropout, compiled: one reading and one writing of memory."""

from __future__ import annotations

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ...base.vectors import wide_vectors
from ..gelu import gelu, gelu_adjoint
from ._compile import compiled, count_rows, factors, parallel, rows
from ._math import normal


@compiled(gelu)
def compiled_gelu(x: Array, mask: Array | None = None) -> Array:
    """x Phi(x) times the mask."""
    out = empty(x.shape, x.dtype)
    gelu_rows(count_rows(x), rows(out), rows(x), factors(mask, x))
    return out


@compiled(gelu_adjoint)
def compiled_gelu_adjoint(g: Array, x: Array, mask: Array | None = None) -> Array:
    """g times the mask times Phi(x) + x phi(x)."""
    out = empty(x.shape, x.dtype)
    gelu_adjoint_rows(count_rows(x), rows(out), rows(g), rows(x), factors(mask, x))
    return out


@parallel
def gelu_rows(part: Part, out: Array, x: Array, mask: Array) -> None:
    """The arrays are [rows, L] each; `mask` holds one factor for each row."""
    for row in range(part[0], part[1]):
        wide_vectors()
        factor = mask[row]
        for n in range(x.shape[1]):
            out[row, n] = x[row, n] * normal(x[row, n])[0] * factor


@parallel
def gelu_adjoint_rows(part: Part, out: Array, g: Array, x: Array, mask: Array) -> None:
    """The arrays are [rows, L] each; `mask` holds one factor for each row."""
    for row in range(part[0], part[1]):
        wide_vectors()
        factor = mask[row]
        for n in range(x.shape[1]):
            Phi, phi = normal(x[row, n])
            out[row, n] = g[row, n] * factor * (Phi + x[row, n] * phi)
