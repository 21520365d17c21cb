"""The tree's coefficients sample by sample, from ring buffers.

Where the newest value of a ring goes is counted, and not computed by a remainder for each access, which would take most of the
time.
"""

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
    values = np.empty(len(h0) + 1, z.dtype)  # a_J, b_1 ... b_J
    for c in range(rows.shape[0]):
        at, late_at = n % length, n % np.maximum(late_length, 1)
        for t in range(rows.shape[1]):
            climb(h0, h1, start, length, at, rows[c, t], ring[c], values)
            for r in range(len(kind)):
                i = kind[r] - 1
                if lag[r]:
                    z[c, r] = late[c, late_start[i] + back(late_at[i], lag[r], late_length[i])]
                elif kind[r] >= 0:
                    z[c, r] = values[kind[r]]
            for i in range(len(h0)):
                if late_length[i]:
                    late[c, late_start[i] + late_at[i]] = values[i + 1]
                at[i] = 0 if at[i] + 1 == length[i] else at[i] + 1
                late_at[i] = 0 if late_at[i] + 1 >= late_length[i] else late_at[i] + 1
            if out.shape[1]:
                out[c, t] = z[c]


@compiled
def back(place: int, lag: int, length: int) -> int:
    """The place in a ring `lag` steps before `place`, for a lag of at most the ring's length."""
    return place - lag if place >= lag else place - lag + length


@compiled
def climb(
    h0: np.ndarray,
    h1: np.ndarray,
    start: np.ndarray,
    length: np.ndarray,
    at: np.ndarray,
    x: float,
    ring: np.ndarray,
    values: np.ndarray,
) -> None:
    """a_J and b_1 ... b_J of the newest sample into `values`; the newest a_0 ... a_{J-1} into their rings."""
    J, K = h0.shape
    values[0] = x
    a = values[0]  # in the dtype of the memory
    for i in range(J):
        above, b = h0[i, 0] * a, h1[i, 0] * a
        for k in range(1, K):
            before = ring[start[i] + back(at[i], k << i, length[i])]
            above += h0[i, k] * before
            b += h1[i, k] * before
        ring[start[i] + at[i]] = a
        values[i + 1] = b
        a = above
    values[0] = a
