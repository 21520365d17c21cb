"""The tree's coefficients sample by sample, from ring buffers."""

from __future__ import annotations

import numpy as np

from ...base.compiled import njit
from . import FASTMATH

compiled = njit(fastmath=FASTMATH)


@compiled
def coefficients(
    h0: np.ndarray,
    h1: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    late_start: np.ndarray,
    late_length: np.ndarray,
    kind: np.ndarray,
    lag: np.ndarray,
    rows: np.ndarray,
    n: int,
    ring: np.ndarray,
    late: np.ndarray,
    z: np.ndarray,
    out: np.ndarray,
) -> None:
    """For every sample the new a_i and b_i, then the m numbers, then the rings."""
    J = len(h0)
    values = np.empty(J + 1, z.dtype)  # a_J, b_1 ... b_J
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            climb(h0, h1, start, length, rows[c, t], n + t, ring[c], values)
            for r in range(len(kind)):
                i = kind[r] - 1
                if lag[r]:
                    z[c, r] = late[c, late_start[i] + (n + t - lag[r]) % late_length[i]]
                elif kind[r] >= 0:
                    z[c, r] = values[kind[r]]
            for i in range(J):
                if late_length[i]:
                    late[c, late_start[i] + (n + t) % late_length[i]] = values[i + 1]
            if out.shape[1]:
                out[c, t] = z[c]


@compiled
def climb(
    h0: np.ndarray, h1: np.ndarray, start: np.ndarray, length: np.ndarray, x: float, n: int, ring: np.ndarray, values: np.ndarray
) -> None:
    """a_J and b_1 ... b_J at time n into `values`; the newest a_0 ... a_{J-1} into their rings."""
    J, K = h0.shape
    a = values[0]
    a = x
    for i in range(J):
        above, b = h0[i, 0] * a, h1[i, 0] * a
        for k in range(1, K):
            before = ring[start[i] + (n - k * 2**i) % length[i]]
            above += h0[i, k] * before
            b += h1[i, k] * before
        ring[start[i] + n % length[i]] = a
        values[i + 1] = b
        a = above
    values[0] = a
