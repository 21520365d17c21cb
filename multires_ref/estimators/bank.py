"""The trees of `MultiresFeatures`: which filters, levels, channels and inputs each of them has.

A tree is a pair (h0, h1) at a spacing: level i has the dilation spacing 2^(i-1). It runs on a sum of some channels, of the series
or of their differences. Its rows are the coefficients a_1, b_1, a_2, b_2 ...; of a Haar tree, whose approximations are the same
means whatever h1 is, b_1, b_2 ... only.

Random pairs have 2 to 9 taps, h1 with zero sum, absolute values that sum to 1, and a low-pass drawn in one of four ways, in turn:

    "normal"     h0 normal: not smooth at all, a product of random filters from level to level
    "spaced"     the same at spacing 3: dilations 3, 6, 12 ... between the powers of two
    "positive"   h0 uniform on (0, 1): smoothing, as a wavelet's low-pass
    "haar"       h0 = (1, 1) / 2: details of the plain means of 2^(i-1) samples

No kind is best for all data, and together they are better than any: in cross-validation within the training data of 12 sets, with
nothing but shares of time, .925, .935, .937 and .935 each and .953 together; without the differences of the series .947.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..filters import wavelet_filters
from ..tree import depth_for

KINDS = ("normal", "haar", "positive", "haar", "spaced", "haar", "positive", "haar")  # in turn: half of the trees are Haar's
OF_DIFFERENCES = (False, True, False, True, False)  # in turn, for each round of KINDS
MOST_CHANNELS = 9  # in a sum of channels


class Bank(NamedTuple):
    """P trees. Filters are in lag order, zeros behind their taps."""

    h0: np.ndarray  # [P, K] float64
    h1: np.ndarray  # [P, K] float64
    taps: np.ndarray  # [P]
    spacing: np.ndarray  # [P]
    levels: np.ndarray  # [P]
    mix: np.ndarray  # [P, channels] float64: 1 for the channels that are summed up
    of_differences: np.ndarray  # [P]: 0 for the series, 1 for their differences
    first_kind: np.ndarray  # [P]: 0 where the rows of a level are a_i and b_i, 1 where they are b_i only

    def rows(self) -> Iterator[tuple[int, int, int]]:
        """(tree, level, kind) of every row in order; kind 0 is a, kind 1 is b."""
        for p in range(len(self.taps)):
            for i in range(1, self.levels[p] + 1):
                yield from ((p, i, kind) for kind in range(self.first_kind[p], 2))


class Pair(NamedTuple):
    """The filters of one tree."""

    h0: np.ndarray
    h1: np.ndarray
    spacing: int = 1
    details_only: bool = False


def random_pair(rng: np.random.Generator, kind: str) -> Pair:
    """One random pair, as the head of this file says.

    Examples
    --------
    >>> pair = random_pair(np.random.default_rng(0), "haar")
    >>> pair.h0, bool(abs(pair.h1.sum()) < 1e-15), pair.details_only
    (array([0.5, 0.5, 0. , 0. , 0. , 0. , 0. , 0. ]), True, True)
    """
    K = int(rng.integers(2, 10))
    h1 = rng.normal(size=K)
    if kind == "haar":
        h0 = np.zeros(K)
        h0[:2] = 1
    else:
        h0 = rng.random(K) if kind == "positive" else rng.normal(size=K)
    h1 -= h1.mean()
    return Pair(h0 / np.abs(h0).sum(), h1 / np.abs(h1).sum(), 3 if kind == "spaced" else 1, kind == "haar")


def random_channels(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Ones for a few of the channels: how many is uniform on a logarithmic scale, as in MiniRocket.

    >>> random_channels(np.random.default_rng(0), 1)
    array([1.])
    """
    chosen = np.zeros(channels)
    if channels == 1:
        return chosen + 1
    count = int(2 ** rng.uniform(0, np.log2(min(channels, MOST_CHANNELS) + 1)))
    chosen[rng.choice(channels, count, replace=False)] = 1
    return chosen


def trees(filters: Any, channels: int, rng: np.random.Generator) -> Iterator[tuple[Pair, np.ndarray, bool, bool]]:
    """Trees without end, as (pair, channels, of differences or not, must it be in the bank)."""
    given = None if isinstance(filters, str) and filters == "random" else as_pairs(filters)
    for p in range(2**31):
        if given is None:
            kind, of_differences = KINDS[p % len(KINDS)], OF_DIFFERENCES[p // len(KINDS) % len(OF_DIFFERENCES)]
            yield random_pair(rng, kind), random_channels(rng, channels), of_differences, p == 0
        else:
            pass_, p = divmod(p, len(given))
            if channels == 1 and pass_ == 2:
                return
            yield given[p], random_channels(rng, channels), pass_ % 2 == 1, pass_ < 2


def draw_bank(filters: Any, channels: int, length: int, level: int | None, most_rows: int, rng: np.random.Generator) -> Bank:
    """Trees for series of up to `length` samples, until the next one would have more than `most_rows` rows in all.

    Given pairs are all taken, once for the series and once for their differences, whatever `most_rows` is.
    """
    bank, rows = [], 0
    for pair, mix, of_differences, must in trees(filters, channels, rng):
        levels = depth_for(length, (len(pair.h0) - 1) * pair.spacing + 1)
        levels = levels if level is None else min(level, levels)
        rows += levels * (1 if pair.details_only else 2)
        if rows > most_rows and not must:
            break
        bank.append((pair, mix, of_differences, levels))
    pairs = [pair for pair, *_ in bank]
    return Bank(
        h0=padded([pair.h0 for pair in pairs]),
        h1=padded([pair.h1 for pair in pairs]),
        taps=np.array([len(pair.h0) for pair in pairs]),
        spacing=np.array([pair.spacing for pair in pairs]),
        levels=np.array([levels for *_, levels in bank]),
        mix=np.array([mix for _, mix, _, _ in bank]),
        of_differences=np.array([int(of) for _, _, of, _ in bank]),
        first_kind=np.array([int(pair.details_only) for pair in pairs]),
    )


def padded(filters: Sequence[np.ndarray]) -> np.ndarray:
    """Filters of several lengths as the rows of one array, with zeros behind."""
    out = np.zeros((len(filters), max(map(len, filters))))
    for row, h in zip(out, filters, strict=True):
        row[: len(h)] = h
    return out


def as_pairs(filters: Any) -> list[Pair]:
    """The pairs of a wavelet's name, a list of names, a pair (h0, h1), a stack [P, 2, K] or a list that mixes names and pairs.

    Examples
    --------
    >>> [len(pair.h0) for pair in as_pairs(["haar", "db2", ([0.5, 0.5], [1, -1])])]
    [2, 4, 2]
    """
    if isinstance(filters, str):
        return [Pair(*wavelet_filters(filters))]
    wanted = "'random', a wavelet, a list of wavelets, a pair (h0, h1) or an array of pairs [P, 2, K]"
    if not isinstance(filters, (list, tuple, np.ndarray)) or len(filters) == 0:
        raise TypeError(f"filters must be {wanted}; got {filters!r}")
    if len(filters) == 2 and all(is_filter(h) for h in filters):
        return [own_pair(filters, "filters")]
    return [Pair(*wavelet_filters(f)) if isinstance(f, str) else own_pair(f, f"filters[{n}]") for n, f in enumerate(filters)]


def is_filter(h: Any) -> bool:
    """Whether it is a list of numbers, not the name of a wavelet, a pair of names or a pair of filters."""
    try:
        return np.asarray(h, dtype=np.float64).ndim == 1
    except (TypeError, ValueError):
        return False


def own_pair(pair: Any, name: str) -> Pair:
    """A pair of the user's, checked."""
    try:
        h0, h1 = (np.asarray(h, dtype=np.float64) for h in pair)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a pair (h0, h1) of filters [K]; got {pair!r}") from None
    if h0.ndim != 1 or h0.shape != h1.shape or len(h0) < 2:
        raise ValueError(f"{name} must be a pair of filters of one length K, at least 2; got shapes {h0.shape} and {h1.shape}")
    if not (np.isfinite(h0).all() and np.isfinite(h1).all()):
        raise ValueError(f"{name} must hold finite numbers")
    return Pair(h0, h1)
