"""GELU and GLU with channel dropout, compiled: see `pointwise.py` for the definitions. Each reads and writes once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from . import pointwise as definition
from .numba_math import normal, sigmoid
from .numba_ops import compiled, factors, parallel, rows


@compiled(definition.gelu)
def gelu(x: Any, mask: Any = None) -> Any:
    """x Phi(x) times the mask."""
    out = np.empty(x.shape, x.dtype)
    gelu_rows(rows(out), rows(x), factors(mask, x))
    return out


@compiled(definition.gelu_adjoint)
def gelu_adjoint(g: Any, x: Any, mask: Any = None) -> Any:
    """g times the mask times Phi(x) + x phi(x)."""
    out = np.empty(x.shape, x.dtype)
    gelu_adjoint_rows(rows(out), rows(g), rows(x), factors(mask, x))
    return out


@compiled(definition.glu)
def glu(u: Any, mask: Any = None) -> Any:
    """u[:, :D] sigmoid(u[:, D:]) times the mask: [B, D, L]."""
    B, two_D, L = u.shape
    out = np.empty((B, two_D // 2, L), u.dtype)
    glu_rows(out, np.ascontiguousarray(u), factors(mask, out))
    return out


@compiled(definition.glu_adjoint)
def glu_adjoint(g: Any, u: Any, mask: Any = None) -> Any:
    """The gradient of both halves of u: [B, 2 D, L]."""
    out = np.empty(u.shape, u.dtype)
    glu_adjoint_rows(out, np.ascontiguousarray(g), np.ascontiguousarray(u), factors(mask, g))
    return out


@parallel
def gelu_rows(out, x, mask):
    """[rows, L] each, and a factor a row."""
    for row in prange(x.shape[0]):
        factor = mask[row]
        for n in range(x.shape[1]):
            out[row, n] = x[row, n] * normal(x[row, n])[0] * factor


@parallel
def gelu_adjoint_rows(out, g, x, mask):
    """[rows, L] each, and a factor a row."""
    for row in prange(x.shape[0]):
        factor = mask[row]
        for n in range(x.shape[1]):
            Phi, phi = normal(x[row, n])
            out[row, n] = g[row, n] * factor * (Phi + x[row, n] * phi)


@parallel
def glu_rows(out, u, mask):
    """out [B, D, L] from u [B, 2 D, L]."""
    B, D, L = out.shape
    for row in prange(B * D):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            out[b, d, n] = u[b, d, n] * sigmoid(u[b, D + d, n]) * factor


@parallel
def glu_adjoint_rows(out, g, u, mask):
    """out and u [B, 2 D, L], g [B, D, L]."""
    (B, D, L), one = g.shape, g.dtype.type(1)
    for row in prange(B * D):
        b, d, factor = row // D, row % D, mask[row]
        for n in range(L):
            s, scaled = sigmoid(u[b, D + d, n]), g[b, d, n] * factor
            out[b, d, n] = scaled * s
            out[b, D + d, n] = scaled * u[b, d, n] * s * (one - s)
