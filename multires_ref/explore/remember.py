"""What a memory of the page holds at a time n, and the past recovered from it; what does not depend on n is computed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..memories import last_samples_matrix, past
from ..memories.recover import recovery_matrix
from ..tree import Row, memory_rows, receptive_field
from .hearing import impulses
from .pair import filters_of
from .recordings import recording_of
from .state import State, most_uniform
from .view import Material

KINDS = ("fading", "uniform", "last")
TIMES = 64  # at which the sizes of the m numbers are looked at, so that the bars' axis need not change with n


class Remembered(NamedTuple):
    """A memory: M [m, R] with z_n = M p_n, its rows, and pinv(M) [R, m], which recovers the past from z_n."""

    M: np.ndarray
    rows: list[Row]
    recovery: np.ndarray


def memory_of(state: State, kind: str) -> Remembered:
    """The fading memory (m = J + 1), the uniform one (m of the page) or the last m samples."""
    h0, h1 = filters_of(state)
    m = state.depth + 1 if kind == "fading" else uniform_size(state)
    return remembered(h0.tobytes(), h1.tobytes(), state.depth, kind, m)


def uniform_size(state: State) -> int:
    """m of the uniform memory and of the last m samples: as set, J + 1 if nothing is, but no more than the tree has."""
    return min(state.m or state.depth + 1, most_uniform(state.depth, len(filters_of(state)[0])))


@lru_cache(maxsize=6)
def remembered(low: bytes, high: bytes, depth: int, kind: str, m: int) -> Remembered:
    """The same from the bytes of h0 and h1; the rows of M are impulse responses."""
    h0, h1 = np.frombuffer(low), np.frombuffer(high)
    R = receptive_field(depth, len(h0))
    if kind == "last":
        M, rows = last_samples_matrix(m, R), [Row(0, "x", t) for t in range(m)]
        return Remembered(M, rows, np.eye(R, m))
    responses = impulses(h0, h1, depth)
    rows = memory_rows(depth, len(h0), kind, m)
    M = np.zeros((len(rows), R))
    for r, row in enumerate(rows):
        response = responses[-1 if row.kind == "a" else row.level - 1]
        M[r, row.lag : row.lag + len(response)] = response[: R - row.lag]
    return Remembered(M, rows, recovery_matrix(M, R))


def shown_signal(state: State, material: Material) -> np.ndarray:
    """The channel of the signal that is shown, [L]; the last one where it has fewer."""
    x = recording_of(state.signal, material).x
    return x[min(state.channel, len(x) - 1)]


def time_of(state: State, x: np.ndarray) -> int:
    """The cursor's n, inside the signal."""
    return min(state.n, len(x) - 1)


def bar_scale(rows: list[Row]) -> np.ndarray:
    """2^(i/2) for each row of level i, [m], by which an orthonormal wavelet's coefficients grow."""
    return np.array([2.0 ** (row.level / 2) for row in rows])


def largest_bar(x: np.ndarray, memory: Remembered) -> float:
    """The largest |z_n| / 2^(i/2) at up to TIMES evenly spaced times n."""
    R = memory.M.shape[1]
    count = int(max(4, min(TIMES, 2**21 // R)))
    times = np.unique(np.linspace(0, len(x) - 1, count).astype(int))
    pasts = np.stack([past(x, int(n), R) for n in times], axis=1)
    return float((abs(memory.M @ pasts) / bar_scale(memory.rows)[:, None]).max())
