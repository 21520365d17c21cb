"""What `MultiresFeatures` says about a row of coefficients, and of which coefficients: the definition, in NumPy.

A row is a_i or b_i of one tree: the series, filtered by levels 1 ... i of a causal cascade that looks d = (K - 1) spacing
(2^i - 1) samples back. Which of its coefficients count alternates from level to level and from tree to tree:

    whole     d/2 <= n < L + d/2: as many as samples; the first and the last see zeros (the mean of the channel) around the series
    inside    d <= n < L: those that see nothing but the series; where there is at most one of them: whole

The causal tree runs on after the last sample, as `causal_swt(..., tail=True)` does. Nine numbers sum up a row, t_0 < ... < t_4
being quantiles that fit has learnt:

    share0 ... share4    the share of time above t_0 ... t_4
    max, min             the largest and the smallest coefficient
    longest              the longest stretch of time above t_1 or t_3 (in turn, tree by tree)
    crossings            how often the row crosses t_2

Shares, stretches and crossings are divided by the number of coefficients in the row and, where the series of fit differ in
length, multiplied by L / L_max: they are then times, not shares, and also tell how long a series is.

Why these. They were chosen by cross-validation within training data (sets of the UCR and UEA archives, MNIST-1D, digits, five
made-up sets; ridge regression; mean accuracy over the sets and three draws of filters). On 14 sets, where MiniRocket has .914:
shares .921; with max and min .931; with longest .933. On 15, where it has .899: these .923; with max and min at the weight that
they have here .925; with crossings .925, and a squared error smaller by 1 %.

Tried and left out, because they brought no more: mean, standard deviation, mean of what lies above a quantile and where in time
that is, shares within each half of the time, the newest coefficient, and which of eight filters responds most (as in Hydra).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..tree import pyramid
from .bank import Bank
from .series import Series

QUANTILES = 5
AT_ONCE = 2**18  # samples of series that go through the trees together
SUMMARIES = (*(f"share{k}" for k in range(QUANTILES)), "max", "min", "longest", "crossings")


def turn(p: int) -> int:
    """0 or 1 for tree p: from tree to tree, and, as trees of one kind come back every 8 trees, from tree p to p + 8 as well.

    >>> [turn(p) for p in range(10)]
    [0, 1, 0, 1, 0, 1, 0, 1, 1, 0]
    """
    return (p + p // 8) % 2


def window(p: int, level: int, taps: int, spacing: int, length: int) -> tuple[int, int]:
    """Which coefficients of tree p's level count, as (first, end): see above.

    >>> window(0, level=1, taps=3, spacing=1, length=10), window(1, level=1, taps=3, spacing=1, length=10)
    ((2, 10), (1, 11))
    """
    d = (taps - 1) * spacing * (2**level - 1)
    if (turn(p) + level) % 2 == 1 and d < length - 1:
        return d, length
    return d // 2, length + d // 2


def rows_of(bank: Bank, inputs: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of `bank.rows()`, [n, T] each, of n series of one length: inputs [2, n, channels, L], series and differences."""
    L = inputs.shape[-1]
    for p in range(len(bank.taps)):
        K, step, J = bank.taps[p], bank.spacing[p], int(bank.levels[p])
        x = np.tensordot(inputs[bank.of_differences[p]], bank.mix[p].astype(inputs.dtype), axes=([1], [0]))  # [n, L]
        x = np.pad(x, ((0, 0), (0, (K - 1) * step * (2**J - 1) // 2)))
        h0, h1 = (spread(h[p, :K], step).astype(inputs.dtype) for h in (bank.h0, bank.h1))
        for i, level in enumerate(pyramid(x, h0, h1, J), start=1):
            first, end = window(p, i, K, step, L)
            yield from (row[:, first:end] for row in level[bank.first_kind[p] :])


def spread(h: np.ndarray, spacing: int) -> np.ndarray:
    """The filter with `spacing` - 1 zeros between its taps.

    >>> spread(np.array([1.0, 2.0]), 3)
    array([1., 0., 0., 2.])
    """
    out = np.zeros((len(h) - 1) * spacing + 1)
    out[::spacing] = h
    return out


def summarise(row: np.ndarray, thresholds: np.ndarray, tree: int, unit: float) -> np.ndarray:
    """The nine summaries [n, 9] of a row [n, T]; `unit` is what times are divided by.

    Examples
    --------
    >>> summarise(np.array([[0.0, 1.0, 2.0, 3.0, 0.0]]), np.array([-1.0, 0.5, 1.5, 2.5, 9.0]), tree=0, unit=5)
    array([[1. , 0.6, 0.4, 0.2, 0. , 3. , 0. , 0.6, 0.4]])
    """
    above = row[:, None, :] > thresholds[:, None]  # [n, 5, T]
    times = [above.sum(-1), longest(above[:, longest_above(tree)])[:, None], crossings(above[:, 2])[:, None]]
    shares, stretch, crossed = (time.astype(row.dtype) / row.dtype.type(unit) for time in times)
    return np.concatenate([shares, row.max(-1, keepdims=True), row.min(-1, keepdims=True), stretch, crossed], axis=1)


def longest_above(p: int) -> int:
    """Which of the five quantiles `longest` looks at."""
    return 1 + 2 * turn(p)


def longest(above: np.ndarray) -> np.ndarray:
    """The length of the longest run of True along the last axis.

    >>> longest(np.array([[True, True, False, True], [False] * 4]))
    array([2, 0])
    """
    now = np.arange(above.shape[-1])
    last_below = np.maximum.accumulate(np.where(above, -1, now), axis=-1)
    return (now - last_below).max(-1)


def crossings(above: np.ndarray) -> np.ndarray:
    """How often neighbours along the last axis differ.

    >>> crossings(np.array([[True, True, False, True]]))
    array([2])
    """
    return (above[..., 1:] != above[..., :-1]).sum(-1)


def by_length(X: Series, flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some series of one length at a time: their numbers, and [2, n, channels, L] of flat [2, total]."""
    for L in np.unique(X.lengths):
        same, size = np.flatnonzero(X.lengths == L), X.channels * L
        for which in np.array_split(same, -(-len(same) * size // AT_ONCE)):
            if len(which):
                samples = X.starts[which][:, None] + np.arange(size)
                yield which, flat[:, samples].reshape(2, len(which), X.channels, L)
