"""Filters over a signal that arrives in pieces, compiled: what the streams of `signals/` use.

No sum may be reordered here, so that every number is, bit for bit, the one that the array operations of `tree.py` give. The loops
along time are still turned into vector instructions: each result keeps the order of its own sum.

A ring of H elements holds the last H values v[n - H] ... v[n - 1], v[m] at the place m mod H.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.compiled import njit

BLOCK = 2048  # samples of a piece: its levels fit in a core's cache
compiled = njit()


@compiled
def add_product(out: Array, c: float, v: Array) -> None:
    """out += c v."""
    for t in range(len(out)):
        out[t] += c * v[t]


@compiled
def add_four(out: Array, c: Array, u: Array, v: Array, w: Array, z: Array) -> None:
    """out += c[0] u, then c[1] v, c[2] w and c[3] z: four products for one visit to `out`, added in this order."""
    c0, c1, c2, c3 = c[0], c[1], c[2], c[3]
    for t in range(len(out)):
        out[t] = (((out[t] + c0 * u[t]) + c1 * v[t]) + c2 * w[t]) + c3 * z[t]


@compiled
def add_taps(out: Array, x: Array, ring: Array, n: int, h: Array, lag: int, spacing: int) -> None:
    """out[t] += sum_k h[k] v[n + t - lag - k spacing]: v is x from time n on, and the ring holds what was before."""
    T, F = len(out), len(h)
    head = min(T, lag + (F - 1) * spacing)
    add_taps_of_head(out[:head], x, ring, n, h, lag, spacing)
    four = F - F % 4
    for k in range(0, four, 4):
        a, b, c, d = head - lag - k * spacing, spacing, 2 * spacing, 3 * spacing
        add_four(out[head:], h[k : k + 4], x[a:], x[a - b :], x[a - c :], x[a - d :])
    for k in range(four, F):
        add_product(out[head:], h[k], x[head - lag - k * spacing :])


@compiled
def add_taps_of_head(out: Array, x: Array, ring: Array, n: int, h: Array, lag: int, spacing: int) -> None:
    """The same for the first results, whose taps reach back into the ring."""
    T, H = len(out), len(ring)
    for k in range(len(h)):
        back = lag + k * spacing
        old = min(T, back)  # so many values are in the ring, from this place on, perhaps around its end
        place = (n - back) % H
        straight = min(old, H - place)
        add_product(out[:straight], h[k], ring[place : place + straight])
        add_product(out[straight:old], h[k], ring[: old - straight])
        add_product(out[old:], h[k], x[: T - old])


@compiled
def write(ring: Array, x: Array, n: int) -> None:
    """Put x, which begins at time n, into the ring."""
    T, H = len(x), len(ring)
    first = max(0, T - H)
    place = (n + first) % H
    straight = min(T - first, H - place)
    ring[place : place + straight] = x[first : first + straight]
    ring[: T - first - straight] = x[first + straight :]


@compiled
def analyse(out: Array, x: Array, ring: Array, rings: Array, n: int, h: Array) -> None:
    """out [J, 2, C, T], zero before, becomes (a_J, d_J), ..., (a_1, d_1) of x [C, T], which begins at time n.

    The ring of level i is ring[c, rings[0, i] : rings[0, i] + rings[1, i]]; it holds a_{i-1}. h [2, F]: h0 and h1.
    """
    (C, T), J = x.shape, rings.shape[1]
    for c in range(C):
        for first in range(0, T, BLOCK):
            last = min(first + BLOCK, T)
            a = x[c, first:last]
            for i in range(J):
                start, length = rings[0, i], rings[1, i]
                past, spacing = ring[c, start : start + length], length // (h.shape[1] - 1)
                low, high = out[J - 1 - i, 0, c, first:last], out[J - 1 - i, 1, c, first:last]
                add_taps(low, a, past, n + first, h[0], 0, spacing)
                add_taps(high, a, past, n + first, h[1], 0, spacing)
                write(past, a, n + first)
                a = low


@compiled
def analyse_sample(out: Array, x: Array, ring: Array, rings: Array, n: int, h: Array) -> None:
    """The same for one sample, T = 1, without what pieces cost: out [J, 2, C, 1], x [C, 1]."""
    F, J, zero = h.shape[1], rings.shape[1], x.dtype.type(0)
    for c in range(len(x)):
        a = x[c, 0]
        for i in range(J):
            start, length = rings[0, i], rings[1, i]
            newest, spacing = start + n % length, length // (F - 1)
            low, high, place = zero + h[0, 0] * a, zero + h[1, 0] * a, newest
            for k in range(1, F):
                place -= spacing
                if place < start:
                    place += length
                low += h[0, k] * ring[c, place]
                high += h[1, k] * ring[c, place]
            ring[c, newest] = a
            out[J - 1 - i, 0, c, 0], out[J - 1 - i, 1, c, 0], a = low, high, low


@compiled
def synthesise(out: Array, coeffs: Array, ring: Array, rings: Array, n: int, g: Array) -> None:
    """out [C, T] becomes the signal, delayed, of coeffs [1 + J, C, T] = (a_J, d_J, ..., d_1), which begin at time n.

    rings [2, 2 J] are beginnings and lengths: of r_J ... r_1, then of d_J ... d_1; see `signals/inverse_stream.py`. g [2, F].
    """
    (_, C, T), J = coeffs.shape, len(coeffs) - 1
    low, high, half = np.empty((2, BLOCK), out.dtype), np.empty(BLOCK, out.dtype), out.dtype.type(0.5)
    for c in range(C):
        for first in range(0, T, BLOCK):
            last = min(first + BLOCK, T)
            r, of_d = coeffs[0, c, first:last], high[: last - first]
            for i in range(J):
                d, of_r, spacing = coeffs[1 + i, c, first:last], low[i % 2, : last - first], rings[1, i] // (g.shape[1] - 1)
                past_r = ring[c, rings[0, i] : rings[0, i] + rings[1, i]]
                past_d = ring[c, rings[0, J + i] : rings[0, J + i] + rings[1, J + i]]
                of_r[:] = 0
                of_d[:] = 0
                add_taps(of_r, r, past_r, n + first, g[0], 0, spacing)
                add_taps(of_d, d, past_d, n + first, g[1], len(past_d) - len(past_r), spacing)
                write(past_r, r, n + first)
                write(past_d, d, n + first)
                for t in range(last - first):
                    of_r[t] = half * (of_r[t] + of_d[t])
                r = of_r
            out[c, first:last] = r


@compiled
def synthesise_sample(out: Array, coeffs: Array, ring: Array, rings: Array, n: int, g: Array) -> None:
    """The same for one time, T = 1: out [C, 1], coeffs [1 + J, C, 1]."""
    F, J, zero, half = g.shape[1], len(coeffs) - 1, out.dtype.type(0), out.dtype.type(0.5)
    for c in range(out.shape[0]):
        r = coeffs[0, c, 0]
        for i in range(J):
            spacing = rings[1, i] // (F - 1)
            of_r = one_sum(zero, r, ring[c], rings[0, i], rings[1, i], n, g[0], 0, spacing)
            lag = rings[1, J + i] - rings[1, i]
            of_d = one_sum(zero, coeffs[1 + i, c, 0], ring[c], rings[0, J + i], rings[1, J + i], n, g[1], lag, spacing)
            r = half * (of_r + of_d)
        out[c, 0] = r


@compiled
def one_sum(total: float, v: float, ring: Array, start: int, length: int, n: int, g: Array, lag: int, spacing: int) -> float:
    """total + sum_k g[k] v[n - lag - k spacing], added in this order; then v, the newest, is written into its ring."""
    newest, place = start + n % length, start + (n - lag) % length
    for k in range(len(g)):
        total += g[k] * (v if lag + k == 0 else ring[place])
        place -= spacing
        if place < start:
            place += length
    ring[newest] = v
    return total
