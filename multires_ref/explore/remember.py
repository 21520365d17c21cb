"""What a memory of the page holds at a time n, and the past recovered from it; what does not depend on n is computed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..memories import last_samples_matrix, past
from ..memories.recover import decompose
from ..tree import Row, memory_rows, receptive_field
from .hearing import impulses
from .pair import filters_of
from .recordings import recording_of
from .state import State, most_uniform
from .view import Material

KINDS = ("fading", "uniform", "last")
INDEPENDENT = 1e-8  # the smallest eigenvalue of the products of rows of length 1 that `orthonormal` takes
MOST_SHOWN = 2048  # samples of the past
TIMES = 64  # at which the sizes of the m numbers are looked at, so that the bars' axis need not change with n


class Remembered(NamedTuple):
    """A memory: M [m, R] with z_n = M p_n, its rows, and an orthonormal basis Q [r, R] of what they span.

    The past recovered by least squares is pinv(M) z_n = pinv(M) M p_n = Q^T Q p_n, the projection of the past onto that span.
    """

    M: np.ndarray
    rows: list[Row]
    Q: np.ndarray


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
        return Remembered(M, rows, M[:R])
    responses = impulses(h0, h1, depth)
    rows = memory_rows(depth, len(h0), kind, m)
    M = np.zeros((len(rows), R))
    for r, row in enumerate(rows):
        response = responses[-1 if row.kind == "a" else row.level - 1]
        M[r, row.lag : row.lag + len(response)] = response[: R - row.lag]
    return Remembered(M, rows, orthonormal(M))


def orthonormal(M: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows of M [m, R]: [r, R], r being its rank.

    The rows, each over its length, are made orthonormal by the Cholesky factor of their products, twice, as once leaves errors
    of the order of the square of their condition (Yamamoto and others 2015). It is ten times as fast as a QR factorisation of a
    long M; where the rows are almost dependent, the singular values of M decide, as in `recover_past`.
    """
    lengths = np.linalg.norm(M, axis=1, keepdims=True)
    if not lengths.all():
        return decompose(M)[2]
    Q = M / lengths
    for _ in range(2):
        products = Q @ Q.T
        if np.linalg.eigvalsh(products)[0] < INDEPENDENT:
            return decompose(M)[2]
        Q = np.linalg.inv(np.linalg.cholesky(products)) @ Q  # m x m, and then one product with the long Q
    return Q


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


def recovered(state: State, material: Material, kinds: tuple[str, ...]) -> tuple[dict[str, np.ndarray], list[float]]:
    """The newest MOST_SHOWN samples of the past at the cursor, and what each memory gives back of them; and its error.

    The columns are x, minus the lag, past, and one for each kind. The error is |recovered - past| / |past| over all R samples.
    """
    x = shown_signal(state, material)
    p = past(x, time_of(state, x), memory_of(state, kinds[0]).M.shape[1])
    size, columns, errors = float(np.linalg.norm(p)), {"x": -np.arange(min(len(p), MOST_SHOWN)), "past": p[:MOST_SHOWN]}, []
    for kind in kinds:
        memory = memory_of(state, kind)
        found = memory.Q.T @ (memory.Q @ p)
        columns[kind] = found[:MOST_SHOWN]
        errors.append(float(np.linalg.norm(found - p) / size) if size else 0.0)
    return columns, errors


LARGEST: dict[tuple[int, int, int], float] = {}


def largest_bar(state: State, x: np.ndarray) -> float:
    """The largest |z_n| / 2^(i/2) at up to TIMES evenly spaced times n; kept as long as neither memory nor signal changes."""
    memory = memory_of(state, state.tree_select)
    key = (id(memory.M), x.ctypes.data, len(x))
    if key not in LARGEST:
        LARGEST.clear()
        R = memory.M.shape[1]
        times = np.unique(np.linspace(0, len(x) - 1, int(max(4, min(TIMES, 2**20 // R)))).astype(int))
        pasts = np.stack([past(x, int(n), R) for n in times], axis=1)
        LARGEST[key] = float((abs(memory.M @ pasts) / bar_scale(memory.rows)[:, None]).max())
    return LARGEST[key]
