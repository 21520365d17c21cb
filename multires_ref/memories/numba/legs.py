"""The steps of LegS: the exponential series of F, and the bilinear transform, each by running sums."""

from __future__ import annotations

import math

import numpy as np

from ...base.compiled import njit
from . import FASTMATH

compiled = njit(fastmath=FASTMATH)
HALF_ULP = 2.0**-54


@compiled
def exact(d: np.ndarray, k1: np.ndarray, norm: float, rows: np.ndarray, n: int, z: np.ndarray, out: np.ndarray) -> None:
    """z = e_0 x + exp(F log(n / (n + 1))) (z - e_0 x), for rows [C, T] and z [C, m]; n samples came before them."""
    term = np.empty(len(d), z.dtype)
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            count = n + t
            if count == 0:
                z[c] = 0
                z[c, 0] = rows[c, 0]
            else:
                z[c, 0] -= rows[c, t]
                stretch(z[c], term, d, k1, math.log1p(1 / count), norm)
                z[c, 0] += rows[c, t]
            if out.shape[1]:
                out[c, t] = z[c]


@compiled
def stretch(z: np.ndarray, term: np.ndarray, d: np.ndarray, k1: np.ndarray, h: float, norm: float) -> None:
    """z = exp(-h F) z, in equal parts whose series is cut where the bound on its next term is below rounding."""
    parts = max(1, math.ceil(h * norm))
    for _ in range(parts):
        term[:] = z
        bound, p = 1.0, 0
        while bound > HALF_ULP:
            p += 1
            bound *= h * norm / (parts * p)
            factor, total = z.dtype.type(-h / (parts * p)), z.dtype.type(0)
            for k in range(len(z)):
                before = term[k]
                term[k] = factor * (k1[k] * before + d[k] * total)
                total += d[k] * before
                z[k] += term[k]


@compiled
def bilinear(d: np.ndarray, k1: np.ndarray, rows: np.ndarray, n: int, z: np.ndarray, out: np.ndarray) -> None:
    """(I + F / (2 (n + 1))) z = (I - F / (2 n)) z_before + G x / (n + 1), by forward substitution with running sums."""
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            count = n + t
            if count == 0:
                z[c] = 0
                z[c, 0] = rows[c, 0]
            else:
                bilinear_step(z[c], d, k1, rows[c, t], z.dtype.type(0.5 / count), z.dtype.type(0.5 / (count + 1)))
            if out.shape[1]:
                out[c, t] = z[c]


@compiled
def bilinear_step(z: np.ndarray, d: np.ndarray, k1: np.ndarray, x: float, before: float, after: float) -> None:
    """One step, with before = 1 / (2 n) and after = 1 / (2 (n + 1))."""
    old, new = z.dtype.type(0), z.dtype.type(0)  # sum_{j < k} d_j z_j, of the old state and of the new one
    for k in range(len(z)):
        right = z[k] - before * (k1[k] * z[k] + d[k] * old) + 2 * after * d[k] * x
        old += d[k] * z[k]
        z[k] = (right - after * d[k] * new) / (1 + after * k1[k])
        new += d[k] * z[k]
