"""What each scale hears, as columns of pictures: impulse and frequency responses of b_1 ... b_J and a_J, by NumPy.

`impulse_responses` filters an impulse as long as the coarsest level sees, and `frequency_responses` takes each level's transfer
function anew; for filters of a hundred taps and ten levels that takes half a second, too long for a picture that follows the
hand. Here each level is computed in its own length, and each transfer function once; tests hold both to those of the package.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..response import transfer

FLOOR = -60.0  # dB, below which nothing is drawn
PER_OCTAVE = 25  # frequencies
POINTS_PER_OCTAVE = 24  # of a response over lags on the axis of octaves; more cannot be distinguished
HEIGHT = 0.42  # of a response about the line on which it stands
Pair = tuple[np.ndarray, np.ndarray]


def scale_names(J: int) -> list[str]:
    """b_1 ... b_J, a_J, fine to coarse, in letters of the screen.

    Examples
    --------
    >>> scale_names(2)
    ['b₁', 'b₂', 'a₂']
    """
    return [f"b{subscript(i)}" for i in range(1, J + 1)] + [f"a{subscript(J)}"]


def subscript(i: int) -> str:
    """A whole number in small digits below the line."""
    return str(i).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def impulses(h0: np.ndarray, h1: np.ndarray, depth: int) -> list[np.ndarray]:
    """The impulse responses of b_1, ..., b_J and a_J, each [(K - 1)(2^i - 1) + 1]: what `impulse_responses` gives.

        g_i[t] = sum_k h0[k] g_{i-1}[t - k 2^(i-1)],    d_i[t] = sum_k h1[k] g_{i-1}[t - k 2^(i-1)],    g_0 = (1)

    Examples
    --------
    >>> impulses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    [array([ 1., -1.]), array([ 1.,  1., -1., -1.]), array([1., 1., 1., 1.])]
    """
    return list(impulses_of(h0.tobytes(), h1.tobytes(), depth))


@lru_cache(maxsize=4)
def impulses_of(low: bytes, high: bytes, depth: int) -> tuple[np.ndarray, ...]:
    """The same from the bytes of h0 and h1, as several pictures ask for them."""
    h0, h1, details, g = np.frombuffer(low), np.frombuffer(high), [], np.ones(1)
    for i in range(1, depth + 1):
        details.append(spread(g, h1, 2 ** (i - 1)))
        g = spread(g, h0, 2 ** (i - 1))
    return (*details, g)


def spread(g: np.ndarray, h: np.ndarray, dilation: int) -> np.ndarray:
    """The full convolution of g [N] with h [K] whose taps stand `dilation` samples apart: [N + (K - 1) dilation]."""
    out = np.zeros(len(g) + (len(h) - 1) * dilation)
    for k, tap in enumerate(h):
        out[k * dilation : k * dilation + len(g)] += tap * g
    return out


def gains(h0: np.ndarray, h1: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the frequencies [N] in cycles per sample, PER_OCTAVE in each octave up to 1/2; |B_1|, ..., |B_J|, |A_J| [J + 1, N].

    On this grid the double of a frequency stands PER_OCTAVE places further on, so that H0 and H1 are computed once.
    """
    octaves = np.arange((-depth - 2) * PER_OCTAVE, (depth - 2) * PER_OCTAVE + 1) / PER_OCTAVE
    N = (depth + 1) * PER_OCTAVE + 1
    low, high = (abs(transfer(h, 2.0**octaves)) for h in (h0, h1))
    found, A = [], np.ones(N)
    for i in range(depth):
        here = slice(i * PER_OCTAVE, i * PER_OCTAVE + N)
        found.append(A * high[here])
        A = A * low[here]
    return octaves[:N], np.array([*found, A])


def gain_columns(h0: np.ndarray, h1: np.ndarray, depth: int, colours: list[str]) -> dict[str, Any]:
    """One row for each scale: its name, level and colour, its gain, and the points of its curve in dB over octaves.

    As in `plots.plot_frequency_responses`, each gain is divided by 2^(i/2), which an orthogonal wavelet's grows by, and 0 dB is
    the largest of all.
    """
    octaves, gain = gains(h0, h1, depth)
    levels = [*range(1, depth + 1), depth]
    relative = gain / 2 ** (np.array(levels) / 2)[:, None]
    decibels = 20 * np.log10(np.maximum(relative / max(relative.max(), 1e-300), 10 ** (FLOOR / 10)))
    return {
        "name": scale_names(depth),
        "level": levels,
        "colour": [colours[i - 1] for i in levels],
        "dash": ["solid"] * depth + ["dashed"],
        "gain": list(gain),
        "octave": [octaves] * (depth + 1),
        "decibels": list(decibels),
    }


def chosen_lags(values: np.ndarray) -> np.ndarray:
    """Which lags of a long response are drawn on an axis of octaves: all up to POINTS_PER_OCTAVE, then of each small piece the
    smallest and the largest value, so that no peak is lost.

    Examples
    --------
    >>> len(chosen_lags(np.ones(10))), len(chosen_lags(np.sin(np.arange(100_000.0)))) < 1000
    (10, True)
    """
    first = 2 * POINTS_PER_OCTAVE
    if len(values) <= first:
        return np.arange(len(values))
    count = int(np.ceil(POINTS_PER_OCTAVE / 2 * np.log2(len(values) / first))) + 1
    edges = np.unique(np.geomspace(first, len(values), count + 1).astype(int))
    chosen = [*range(first), len(values) - 1]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        piece = values[low:high]
        chosen += [low + piece.argmin(), low + piece.argmax()]
    return np.unique(chosen)


def extremes(values: np.ndarray, most: int) -> np.ndarray:
    """Which of many values [N] are drawn on an even axis: the smallest and the largest of each of `most` / 2 pieces.

    Examples
    --------
    >>> extremes(np.array([0.0, 3.0, 1.0, -2.0, 0.0, 5.0]), most=2)
    array([3, 5])
    """
    if len(values) <= most:
        return np.arange(len(values))
    pieces = np.array_split(np.arange(len(values)), most // 2)
    return np.unique([t for piece in pieces for t in (piece[values[piece].argmin()], piece[values[piece].argmax()])])


def impulse_columns(responses: list[np.ndarray], colours: list[str]) -> dict[str, dict[str, Any]]:
    """The responses of b_1, ..., b_J, a_J as steps above one another, each over its largest magnitude; and their points.

    "impulses" has a row for each scale: name, level, colour, x, y [points] of the steps, and bottom [points] of the area below.
    "points" has a row for each drawn lag: name, lag, value, x, y. x is log2(1 + lag), so that the newest sample stands at 0.
    """
    J, rows, points = len(responses) - 1, [], []
    for r, (name, values) in enumerate(zip(scale_names(J), responses, strict=True)):
        lags = chosen_lags(values)
        heights = r + HEIGHT * values[lags] / max(abs(values).max(), 1e-300)
        edges = 1 + np.concatenate(([-0.5], (lags[1:] + lags[:-1]) / 2, [lags[-1] + 0.5]))
        x, y = np.repeat(np.log2(edges), 2)[1:-1], np.repeat(heights, 2)
        level = min(r + 1, J)
        rows.append((name, level, colours[level - 1], np.concatenate((x, x[[-1, 0]])), np.concatenate((y, [r, r])), x, y))
        points.append((np.full(len(lags), name), lags, values[lags], np.log2(1 + lags), heights))
    names = ("name", "level", "colour", "area_x", "area_y", "x", "y")
    flat = [np.concatenate(column) for column in zip(*points, strict=True)]
    return {
        "impulses": {n: list(column) for n, column in zip(names, zip(*rows, strict=True), strict=True)},
        "points": dict(zip(("name", "lag", "value", "x", "y"), flat, strict=True)),
    }
