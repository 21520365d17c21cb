"""The arithmetic of one level for one row: what the loops of `fused.py` are made of.

A row is a position in a thread's buffer `work`, and a shifted row is another position. (A slice would cost an atomic reference
count; a few of these cost as much as the arithmetic of a level. The positions are unsigned, because the check for negative
indices would stop the compiler from using vector instructions.) Around every row lie `pad` zeros, so a shift needs no beginning
and no end of its own. Taps are taken two at a time, which saves loads and stores for any K, and a strip of a row at a time.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.inner import inner_njit
from . import FASTMATH

STRIP = 2048  # samples: a result so long stays in a core's first cache while all taps of a level are added to it

Position = int | np.unsignedinteger  # of a row in `work`
Positions = tuple[Position, Position]
Taps = tuple[float, float]
Frame = tuple[int, int, int]  # (L, pad, -1 for a delay or 1 for an advance)

compiled = inner_njit(fastmath=FASTMATH, _nrt=False)  # makes no arrays, so needs no reference counts


@compiled
def add_one(work: Array, out: Position, v: Position, c: float, L: int) -> None:
    """out += c v."""
    out, v = np.uint64(out), np.uint64(v)
    for n in range(np.uint64(L)):
        work[out + n] += c * work[v + n]


@compiled
def set_one(work: Array, out: Position, v: Position, c: float, L: int) -> None:
    """out = c v."""
    out, v = np.uint64(out), np.uint64(v)
    for n in range(np.uint64(L)):
        work[out + n] = c * work[v + n]


@compiled
def add_two(work: Array, out: Position, v: Positions, c: Taps, L: int) -> None:
    """out += c[0] v[0] + c[1] v[1]."""
    out, v0, v1, c0, c1 = np.uint64(out), np.uint64(v[0]), np.uint64(v[1]), c[0], c[1]
    for n in range(np.uint64(L)):
        work[out + n] += c0 * work[v0 + n] + c1 * work[v1 + n]


@compiled
def set_two(work: Array, out: Position, v: Positions, c: Taps, L: int) -> None:
    """out = c[0] v[0] + c[1] v[1]."""
    out, v0, v1, c0, c1 = np.uint64(out), np.uint64(v[0]), np.uint64(v[1]), c[0], c[1]
    for n in range(np.uint64(L)):
        work[out + n] = c0 * work[v0 + n] + c1 * work[v1 + n]


@compiled
def set_four(work: Array, out: Position, v: Positions, c: Taps, u: Positions, e: Taps, L: int) -> None:
    """out = c[0] v[0] + c[1] v[1] + e[0] u[0] + e[1] u[1]."""
    out, v0, v1, c0, c1 = np.uint64(out), np.uint64(v[0]), np.uint64(v[1]), c[0], c[1]
    u0, u1, e0, e1 = np.uint64(u[0]), np.uint64(u[1]), e[0], e[1]
    for n in range(np.uint64(L)):
        work[out + n] = c0 * work[v0 + n] + c1 * work[v1 + n] + e0 * work[u0 + n] + e1 * work[u1 + n]


@compiled
def add_four(work: Array, out: Position, v: Positions, c: Taps, u: Positions, e: Taps, L: int) -> None:
    """out += c[0] v[0] + c[1] v[1] + e[0] u[0] + e[1] u[1]."""
    out, v0, v1, c0, c1 = np.uint64(out), np.uint64(v[0]), np.uint64(v[1]), c[0], c[1]
    u0, u1, e0, e1 = np.uint64(u[0]), np.uint64(u[1]), e[0], e[1]
    for n in range(np.uint64(L)):
        work[out + n] += c0 * work[v0 + n] + c1 * work[v1 + n] + e0 * work[u0 + n] + e1 * work[u1 + n]


@compiled
def dot_two(work: Array, a: Position, v: Positions, L: int) -> tuple[float, float]:
    """sum a v[0] and sum a v[1]."""
    a, v0, v1 = np.uint64(a), np.uint64(v[0]), np.uint64(v[1])
    t0 = t1 = work.dtype.type(0)
    for n in range(np.uint64(L)):
        t0 += work[a + n] * work[v0 + n]
        t1 += work[a + n] * work[v1 + n]
    return t0, t1


@compiled
def pair(row: int, k: int, s: int, frame: Frame) -> Positions:
    """Where `row` begins when it is shifted by k s and by (k + 1) s; frame = (L, pad, -1 for a delay or 1 for an advance)."""
    _, pad, sign = frame
    return row + sign * min(k * s, pad), row + sign * min((k + 1) * s, pad)


@compiled
def add_taps(work: Array, out: int, row: int, c: Array, taps: tuple[int, int, int], s: int, frame: Frame) -> None:
    """out[n] += sum of c[k] row[n -+ k s] over the taps = (first k, end of k, where tap 0 stands in c)."""
    k, end, at = taps
    while k < end - 1:
        add_two(work, out, pair(row, k, s, frame), (c[at + k], c[at + k + 1]), frame[0])
        k += 2
    if k < end:
        add_one(work, out, pair(row, k, s, frame)[0], c[at + k], frame[0])


@compiled
def strip(n: int, frame: Frame) -> Frame:
    """The frame of the STRIP samples of a row from sample n on, or of the rest of the row."""
    return min(STRIP, frame[0] - n), frame[1], frame[2]


@compiled
def low_pass(work: Array, out: int, a: int, h: Array, level: tuple[int, int, int], frame: Frame) -> None:
    """out[n] = sum_k h[k] a[n - k s]: from a_{i-1} to a_i, level = (s, where the level begins in h, K)."""
    s, at, K = level
    for n in range(0, frame[0], STRIP):
        part = strip(n, frame)
        set_two(work, out + n, pair(a + n, 0, s, part), (h[at], h[at + 1]), part[0])
        add_taps(work, out + n, a + n, h, (2, K, at), s, part)


@compiled
def horner_step(
    work: Array, out: int, rows: tuple[int, int], h: Array, q: Array, level: tuple[int, int, int, int, int], frame: Frame
) -> None:
    """out[n] = sum_k h[k] r[n -+ k s] + sum_j q[j] x[n -+ j s]: from r_{i+1} to r_i; level = (s, in h, K, in q, Q_i)."""
    for n in range(0, frame[0], STRIP):
        horner_strip(work, out + n, (rows[0] + n, rows[1] + n), h, q, level, strip(n, frame))


@compiled
def horner_strip(
    work: Array, out: int, rows: tuple[int, int], h: Array, q: Array, level: tuple[int, int, int, int, int], frame: Frame
) -> None:
    """The same for a strip. Two taps of each filter are taken at a time, as long as both have them."""
    (r, x), (s, in_h, K, in_q, Q), k = rows, level, 2
    shifted, taps = pair(r, 0, s, frame), (h[in_h], h[in_h + 1])
    if Q < 2:
        set_two(work, out, shifted, taps, frame[0])
        add_taps(work, out, x, q, (0, Q, in_q), s, frame)
    else:
        set_four(work, out, shifted, taps, pair(x, 0, s, frame), (q[in_q], q[in_q + 1]), frame[0])
        while k + 1 < min(K, Q):
            shifted, taps = pair(r, k, s, frame), (h[in_h + k], h[in_h + k + 1])
            add_four(work, out, shifted, taps, pair(x, k, s, frame), (q[in_q + k], q[in_q + k + 1]), frame[0])
            k += 2
        add_taps(work, out, x, q, (k, Q, in_q), s, frame)
    add_taps(work, out, r, h, (k, K, in_h), s, frame)


@compiled
def add_correlations(total: Array, taps: tuple[int, int], work: Array, a: int, row: int, s: int, frame: Frame) -> None:
    """total[at + k] += sum_n row[n + k s] a[n] for the taps = (at, K)."""
    at, K = taps
    for n in range(0, frame[0], STRIP):
        for k in range(0, K, 2):
            t0, t1 = dot_two(work, a + n, pair(row + n, k, s, frame), strip(n, frame)[0])
            total[at + k] += t0
            if k + 1 < K:
                total[at + k + 1] += t1
