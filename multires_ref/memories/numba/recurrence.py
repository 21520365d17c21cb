"""z_n = A z_{n-1} + B x[n], with A dense or diagonal."""

from __future__ import annotations

import numpy as np

from ...base.compiled import njit
from . import FASTMATH

compiled = njit(fastmath=FASTMATH)


@compiled
def dense(A: np.ndarray, B: np.ndarray, rows: np.ndarray, z: np.ndarray, out: np.ndarray) -> None:
    """A [m, m], B [m], rows [C, T], z [C, m]."""
    m = len(B)
    before = np.empty(m, z.dtype)
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            before[:] = z[c]
            for i in range(m):
                total = B[i] * rows[c, t]
                for j in range(m):
                    total += A[i, j] * before[j]
                z[c, i] = total
            if out.shape[1]:
                out[c, t] = z[c]


@compiled
def diagonal(a: np.ndarray, B: np.ndarray, rows: np.ndarray, z: np.ndarray, out: np.ndarray) -> None:
    """The diagonal a [m] of A, B [m], rows [C, T], z [C, m]."""
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            for i in range(len(B)):
                z[c, i] = a[i] * z[c, i] + B[i] * rows[c, t]
            if out.shape[1]:
                out[c, t] = z[c]
