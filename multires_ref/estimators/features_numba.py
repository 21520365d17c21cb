"""The loops of `MultiresFeatures`: the numbers of `summaries.py`, one series and one tree at a time, inside a core's cache.

Series run in parallel, and each writes its own part of the result, so this does not depend on the number of threads.

How the loops are made fast: as in `engines/numba/fused.py`, all rows lie in one buffer, `work`, with zeros before them, so that
a row, and a row shifted by a tap, is a position in it; the positions are unsigned. Taps are taken three at a time. Each summary
is a loop of its own, which the compiler turns into vector instructions; it does so with a maximum only if it is LLVM's own.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from ..base.compiled import parallel_njit
from ..base.inner import inner_njit
from ..base.threads import limited
from .bank import Bank
from .series import Series
from .summaries import QUANTILES, SUMMARIES

FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
AT_ONCE = 3  # taps
EXACT = 2**23  # samples: float32 counts them without rounding
compiled = inner_njit(fastmath=FASTMATH, _nrt=False)  # makes no arrays, so needs no reference counts


def llvm_choice(name):
    """A function of two numbers that is one of LLVM's own."""

    def choice(typing_context, x, y):
        def code(context, builder, signature, arguments):
            number = arguments[0].type
            function = builder.module.declare_intrinsic(name, [number], ir.FunctionType(number, [number, number]))
            return builder.call(function, arguments, fastmath=("nnan", "nsz"))

        return x(x, x), code

    return intrinsic(choice)


larger, smaller = llvm_choice("llvm.maxnum"), llvm_choice("llvm.minnum")


@compiled
def sum_channels(work, a, N, flat, part, first, L, mix):
    """a[n] = sum_c mix[c] x[c, n]; zero from the end of x on, up to N."""
    a = np.uint64(a)
    for n in range(np.uint64(N)):
        work[a + n] = 0
    for c in range(len(mix)):
        x = np.uint64(first + c * L)
        if mix[c] != 0:
            for n in range(np.uint64(L)):
                work[a + n] += mix[c] * flat[part, x + n]


@compiled
def three_taps(work, outs, shifted, h0, h1, k, N):
    """a[n], b[n] = sum of three taps, from tap k on, of the row at three positions; for k of more than 0, += this."""
    a, b = np.uint64(outs[0]), np.uint64(outs[1])
    u, v, w = np.uint64(shifted[0]), np.uint64(shifted[1]), np.uint64(shifted[2])
    c0, c1, c2, d0, d1, d2 = h0[k], h0[k + 1], h0[k + 2], h1[k], h1[k + 1], h1[k + 2]
    if k == 0:
        for n in range(np.uint64(N)):
            work[a + n] = c0 * work[u + n] + c1 * work[v + n] + c2 * work[w + n]
            work[b + n] = d0 * work[u + n] + d1 * work[v + n] + d2 * work[w + n]
    else:
        for n in range(np.uint64(N)):
            work[a + n] += c0 * work[u + n] + c1 * work[v + n] + c2 * work[w + n]
            work[b + n] += d0 * work[u + n] + d1 * work[v + n] + d2 * work[w + n]


@compiled
def more_details(work, b, shifted, h1, k, N):
    """b[n] += three taps, where h0 has no more of them."""
    b, u, v, w = np.uint64(b), np.uint64(shifted[0]), np.uint64(shifted[1]), np.uint64(shifted[2])
    d0, d1, d2 = h1[k], h1[k + 1], h1[k + 2]
    for n in range(np.uint64(N)):
        work[b + n] += d0 * work[u + n] + d1 * work[v + n] + d2 * work[w + n]


@compiled
def one_level(work, row, a, b, filters, steps, sizes):
    """a[n], b[n] = sum_k h0[k], h1[k] times row[n - k steps]; sizes = (N, how much of it is not zero, zeros before a row)."""
    (h0, h1, K0, K1), (N, full, pad) = filters, sizes
    for k in range(0, K1, AT_ONCE):
        shifted = row - min(k * steps, pad), row - min((k + 1) * steps, pad), row - min((k + 2) * steps, pad)
        if k < K0:
            three_taps(work, (a, b), shifted, h0, h1, k, full)
        else:
            more_details(work, b, shifted, h1, k, full)
    for n in range(np.uint64(a + full), np.uint64(a + N)):
        work[n] = 0


@compiled
def shares(out, work, row, T, t, unit):
    """The shares of time above five thresholds."""
    row, zero, one = np.uint64(row), work.dtype.type(0), work.dtype.type(1)
    t0, t1, t2, t3, t4 = t[0], t[1], t[2], t[3], t[4]
    c0 = c1 = c2 = c3 = c4 = zero
    for n in range(np.uint64(T)):
        c0 += one if work[row + n] > t0 else zero
        c1 += one if work[row + n] > t1 else zero
        c2 += one if work[row + n] > t2 else zero
        c3 += one if work[row + n] > t3 else zero
        c4 += one if work[row + n] > t4 else zero
    out[0], out[1], out[2], out[3], out[4] = c0 / unit, c1 / unit, c2 / unit, c3 / unit, c4 / unit


@compiled
def extremes(work, row, T):
    """The largest and the smallest coefficient."""
    row = np.uint64(row)
    high = low = work[row]
    for n in range(np.uint64(T)):
        high = larger(high, work[row + n])
        low = smaller(low, work[row + n])
    return high, low


@compiled
def longest(work, row, T, t):
    """The longest run above t. It is enough to look, from the end backwards, whether a run of `best` + 1 can begin at n."""
    best = n = 0
    while n + best < T:
        m = n + best
        while m >= n and work[np.uint64(row + m)] > t:
            m -= 1
        if m >= n:
            n = m + 1
            continue
        best += 1
        while n + best < T and work[np.uint64(row + n + best)] > t:
            best += 1
        n += best + 1
    return best


@compiled
def crossings(work, row, T, t):
    """How often neighbours lie on different sides of t."""
    before, row, zero, one = np.uint64(row), np.uint64(row + 1), work.dtype.type(0), work.dtype.type(1)
    total = zero
    for n in range(np.uint64(T - 1)):
        total += one if (work[row + n] > t) != (work[before + n] > t) else zero
    return total


@compiled
def window(turn, level, d, L):
    """Which coefficients count, as (first, how many): `summaries.window`."""
    if (turn + level) % 2 == 1 and d < L - 1:
        return d, L - d
    return d // 2, L


@compiled
def summarise(out, work, row, T, t, long, longer):
    """The nine summaries of a row of T coefficients."""
    unit = work.dtype.type(T * longer)
    shares(out, work, row, T, t, unit)
    out[5], out[6] = extremes(work, row, T)
    out[7] = work.dtype.type(longest(work, row, T, t[long])) / unit
    out[8] = crossings(work, row, T, t[2]) / unit


@compiled
def take(values, work, row, T):
    """Evenly spaced coefficients of a row."""
    for n in range(len(values)):
        values[n] = work[np.uint64(row + n * T // len(values))]


@compiled
def one_tree(out, values, work, r, p, series, size, bank, thresholds):
    """All rows of tree p, from row r on; series = (flat, first, L, longer); the next row. See `one_series`."""
    (flat, first, L, longer), (h0, h1, taps, spacing, levels, mix, of_differences, first_kind) = series, bank
    K, turn, row, a, b = taps[p], (p + p // 8) % 2, size, 3 * size, 4 * size
    low = 2 if first_kind[p] == 1 else K
    N = L + (K - 1) * spacing[p] * ((1 << levels[p]) - 1) // 2
    sum_channels(work, row, N, flat, of_differences[p], first, L, mix[p])
    for i in range(1, levels[p] + 1):
        d = (K - 1) * spacing[p] * ((1 << i) - 1)
        one_level(work, row, a, b, (h0[p], h1[p], low, K), spacing[p] << (i - 1), (N, min(N, L + d), size))
        begin, T = window(turn, i, d, L)
        for kind in range(first_kind[p], 2):
            at = (a if kind == 0 else b) + begin
            if len(out):
                summarise(out[r], work, at, T, thresholds[r], 1 + 2 * turn, longer)
            else:
                take(values[r], work, at, T)
            r += 1
        row, a = a, row
    return r


@inner_njit(fastmath=FASTMATH)
def one_series(out, values, flat, first, L, longer, bank, thresholds):
    """All rows of a series: summaries into out [rows, 9]; where that is empty, a sample of each into values [rows, count]."""
    taps, spacing, levels = bank[2], bank[3], bank[4]
    size = r = 0
    for p in range(len(taps)):
        size = max(size, L + (taps[p] - 1) * spacing[p] * ((1 << levels[p]) - 1) // 2)
    work = np.zeros(5 * size, flat.dtype)  # zeros, a row, zeros, a row (for a_{i-1} and a_i by turns), b_i
    for p in range(len(taps)):
        r = one_tree(out, values, work, r, p, (flat, first, L, longer), size, bank, thresholds)


@parallel_njit(fastmath=FASTMATH)
def all_series(part, out, values, flat, where, bank, thresholds):
    """out [n, rows, 9] or, where that is [n, 0, 9], values [n, rows, count]; where = (starts, lengths, longer)."""
    starts, lengths, longer = where
    for s in range(part[0], part[1]):
        one_series(out[s], values[s], flat, starts[s], lengths[s], longer[s], bank, thresholds)


def run(X: Series, flat: np.ndarray, bank: Bank, thresholds: np.ndarray, longer: np.ndarray, count: int) -> np.ndarray:
    """The summaries [n, rows, 9] or, for a `count` of more than 0, so many coefficients of every row, [n, rows, count]."""
    if flat.dtype == np.float32 and X.lengths.max() > EXACT:
        return run(X, flat.astype(np.float64), bank, thresholds.astype(np.float64), longer, count).astype(np.float32)
    n, rows, dtype = X.count, sum(1 for _ in bank.rows()), flat.dtype
    out = np.empty((n, 0 if count else rows, len(SUMMARIES)), dtype)
    values = np.empty((n, rows, count), dtype)
    wide = ((0, 0), (0, -bank.h0.shape[1] % AT_ONCE))
    filters = tuple(np.pad(h, wide).astype(dtype) for h in (bank.h0, bank.h1))
    trees = (*filters, bank.taps, bank.spacing, bank.levels, bank.mix.astype(dtype), bank.of_differences, bank.first_kind)
    with limited(work=2 * int(X.lengths.sum()) * rows * (bank.h0.shape[1] + QUANTILES)):
        all_series(n, out, values, flat, (X.starts, X.lengths, longer), trees, thresholds)
    return values if count else out
