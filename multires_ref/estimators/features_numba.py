"""The loops of `MultiresFeatures`: the numbers of `summaries.py`, one series at a time, all rows of a tree while they are in the cache.

Series run in parallel, and each writes its own part of the result, so this does not depend on the number of threads. Counts are
kept in the dtype of the series, in blocks that are short enough for them to be exact: the compiler then uses vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from ..base.compiled import njit, parallel_njit
from ..base.threads import limited
from .bank import Bank
from .series import Series
from .summaries import QUANTILES, SUMMARIES

FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
BLOCK = 4096
compiled = njit(fastmath=FASTMATH)


@compiled
def sum_channels(a, x, mix):
    """a[n] = sum_c mix[c] x[c, n], zero from the end of x on."""
    L = x.shape[1]
    a[:] = 0
    for c in range(x.shape[0]):
        if mix[c] != 0:
            row = x[c]
            for n in range(L):
                a[n] += mix[c] * row[n]


@compiled
def one_level(a, b, previous, h0, h1, steps):
    """a[n], b[n] = sum_k h0[k], h1[k] times previous[n - k steps]."""
    N = previous.shape[0]
    for n in range(N):
        a[n] = h0[0] * previous[n]
        b[n] = h1[0] * previous[n]
    for k in range(1, len(h0)):
        at = k * steps
        if at >= N:
            break
        later_a, later_b, old = a[at:], b[at:], previous[: N - at]
        if h0[k] == 0:
            for n in range(N - at):
                later_b[n] += h1[k] * old[n]
        else:
            for n in range(N - at):
                later_a[n] += h0[k] * old[n]
                later_b[n] += h1[k] * old[n]


@compiled
def count(row, t, counts):
    """The number of coefficients above each of the five thresholds, and of crossings of the middle one."""
    zero, one = row.dtype.type(0), row.dtype.type(1)
    t0, t1, t2, t3, t4 = t[0], t[1], t[2], t[3], t[4]
    counts[:] = 0
    for first in range(0, len(row), BLOCK):
        v = row[first : first + BLOCK]
        before = row[first - 1 : first + BLOCK - 1] if first > 0 else v
        c0 = c1 = c2 = c3 = c4 = crossed = zero
        for n in range(len(v)):
            c0 += one if v[n] > t0 else zero
            c1 += one if v[n] > t1 else zero
            c2 += one if v[n] > t2 else zero
            c3 += one if v[n] > t3 else zero
            c4 += one if v[n] > t4 else zero
        if first > 0:
            for n in range(len(v)):
                crossed += one if (v[n] > t2) != (before[n] > t2) else zero
        else:
            for n in range(1, len(v)):
                crossed += one if (v[n] > t2) != (v[n - 1] > t2) else zero
        counts[0] += c0
        counts[1] += c1
        counts[2] += c2
        counts[3] += c3
        counts[4] += c4
        counts[5] += crossed


@compiled
def extremes(row):
    """The largest and the smallest coefficient."""
    high = low = row[0]
    for n in range(len(row)):
        high = row[n] if row[n] > high else high
        low = row[n] if row[n] < low else low
    return high, low


@compiled
def longest(row, t):
    """The longest run of coefficients above t."""
    run = best = 0
    for n in range(len(row)):
        run = run + 1 if row[n] > t else 0
        best = max(best, run)
    return best


@compiled
def summarise(out, row, t, long, longer, counts):
    """The nine summaries of a row."""
    unit = out.dtype.type(len(row) * longer)
    count(row, t, counts)
    for k in range(5):
        out[k] = out.dtype.type(counts[k]) / unit
    out[5], out[6] = extremes(row)
    out[7] = out.dtype.type(longest(row, t[long])) / unit
    out[8] = out.dtype.type(counts[5]) / unit


@compiled
def window(turn, level, d, L):
    """Which coefficients count, as (first, end): `summaries.window`."""
    if (turn + level) % 2 == 1 and d < L - 1:
        return d, L
    return d // 2, L + d // 2


@compiled
def take(values, row):
    """Evenly spaced coefficients of a row."""
    for n in range(len(values)):
        values[n] = row[n * len(row) // len(values)]


@compiled
def one_series(out, values, inputs, longer, bank, thresholds):
    """All rows of a series: summaries into out [rows, 9]; where that is empty, a sample of each into values [rows, count]."""
    h0, h1, taps, spacing, levels, mix, of_differences, first_kind = bank
    L, r, counts = inputs.shape[2], 0, np.zeros(6)
    for p in range(len(taps)):
        K, J, turn = taps[p], levels[p], (p + p // 8) % 2
        N = L + (K - 1) * spacing[p] * ((1 << J) - 1) // 2
        rows = np.empty((4, N), inputs.dtype)  # a_{i-1}, a_i, b_i
        sum_channels(rows[0], inputs[of_differences[p]], mix[p])
        for i in range(1, J + 1):
            previous, a, b = rows[(i + 1) % 2], rows[i % 2], rows[2]
            one_level(a, b, previous, h0[p, :K], h1[p, :K], spacing[p] * (1 << (i - 1)))
            first, end = window(turn, i, (K - 1) * spacing[p] * ((1 << i) - 1), L)
            for kind in range(first_kind[p], 2):
                row = (a if kind == 0 else b)[first:end]
                if len(out):
                    summarise(out[r], row, thresholds[r], 1 + 2 * turn, longer, counts)
                else:
                    take(values[r], row)
                r += 1


@parallel_njit(fastmath=FASTMATH)
def all_series(out, values, flat, where, bank, thresholds):
    """out [n, rows, 9] or, where that is [n, 0, 9], values [n, rows, count]; where = (starts, lengths, longer, channels)."""
    starts, lengths, longer, channels = where
    for s in prange(len(lengths)):
        L, first = lengths[s], starts[s]
        inputs = np.empty((2, channels, L), flat.dtype)
        for part in range(2):
            inputs[part] = flat[part, first : first + channels * L].reshape(channels, L)
        one_series(out[s], values[s], inputs, longer[s], bank, thresholds)


def run(X: Series, flat: np.ndarray, bank: Bank, thresholds: np.ndarray, longer: np.ndarray, count: int) -> np.ndarray:
    """The summaries [n, rows, 9] or, for a `count` of more than 0, so many coefficients of every row, [n, rows, count]."""
    n, rows, dtype = X.count, sum(1 for _ in bank.rows()), flat.dtype
    out = np.empty((n, 0 if count else rows, len(SUMMARIES)), dtype)
    values = np.empty((n, rows, count), dtype)
    trees = tuple(part.astype(dtype) if part.dtype.kind == "f" else part for part in bank)
    with limited(work=2 * X.lengths.sum() * rows * (bank.h0.shape[1] + QUANTILES)):
        all_series(out, values, flat, (X.starts, X.lengths, longer, X.channels), trees, thresholds)
    return values if count else out
