"""The thresholds of the shares of time: quantiles of each row of coefficients, learnt from some series in fit.

Which quantiles they are differs from row to row: multiples of the golden ratio modulo 1, five for each row, so that all rows
together cover all of (0, 1) evenly, as in MiniRocket.
"""

from __future__ import annotations

import numpy as np

from .bank import Bank
from .series import Series
from .summaries import QUANTILES, by_length, rows_of

COEFFICIENTS = 2048  # taken of each row, of all series together
GOLDEN = (5**0.5 + 1) / 2


def learn_thresholds(bank: Bank, X: Series, flat: np.ndarray, compiled: bool) -> np.ndarray:
    """Five quantiles of each row, lowest first, [rows, 5], over the series X (standardised: flat)."""
    samples = sample_rows(bank, X, flat, -(-COEFFICIENTS // X.count), compiled)
    samples = np.sort(np.moveaxis(samples, 0, 1).reshape(samples.shape[1], -1), axis=1)  # [rows, series times count]
    levels = np.sort(np.arange(1, QUANTILES * len(samples) + 1).reshape(-1, QUANTILES) * GOLDEN % 1, axis=1)
    thresholds = np.take_along_axis(samples, (levels * samples.shape[1]).astype(int), axis=1)
    return thresholds + margin(samples, flat)


def margin(samples: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """How much the thresholds lie above the quantiles, [rows, 1], in the dtype of the samples.

    A coefficient that would equal its threshold if there were no rounding, such as that of a constant stretch of a series, is
    then below it for certain, in whatever order its sum was computed.
    """
    spread = samples[:, -1:] - samples[:, :1]
    return spread * samples.dtype.type(2.0**-16) + 4 * np.finfo(flat.dtype).eps * np.abs(flat).max()


def sample_rows(bank: Bank, X: Series, flat: np.ndarray, count: int, compiled: bool) -> np.ndarray:
    """`count` coefficients of every row of every series, evenly spaced, [n, rows, count]."""
    if compiled:
        from .features_numba import run

        return run(X, flat, bank, np.empty((0, QUANTILES), flat.dtype), np.ones(X.count), count)
    out = np.empty((X.count, sum(1 for _ in bank.rows()), count), flat.dtype)
    for which, inputs in by_length(X, flat):
        for r, row in enumerate(rows_of(bank, inputs)):
            out[which, r] = spaced_sample(row, count)
    return out


def spaced_sample(row: np.ndarray, count: int) -> np.ndarray:
    """`count` coefficients of a row [..., T], evenly spaced; some of them repeated where T is smaller than that.

    >>> spaced_sample(np.arange(10), 4), spaced_sample(np.arange(2), 4)
    (array([0, 2, 5, 7]), array([0, 0, 1, 1]))
    """
    T = row.shape[-1]
    return row[..., np.arange(count) * T // count]
