"""Standardisation of each channel, learnt in fit, and the differences of the series that the features look at as well."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .series import Series


class Standard(NamedTuple):
    """Of each channel [channels], in float64: the mean, and 1 / standard deviation of its samples and of their differences.

    A channel that is constant in fit has nothing to say: its factors are 0, and so is then all that is made of it.
    """

    mean: np.ndarray
    factor: np.ndarray
    difference_factor: np.ndarray


def learn_standard(X: Series) -> Standard:
    """Mean and standard deviation of each channel, over all true samples of all series."""
    mean = channel_means(X, X.flat)
    centred = X.flat - per_sample(X, mean)
    changes = differences(X, X.flat)
    tiny = 8 * np.finfo(X.flat.dtype).eps * np.abs(X.flat).max()  # what rounding makes of a constant
    return Standard(mean, one_over_deviation(X, centred, tiny), one_over_deviation(X, changes, tiny))


def channel_standard(X: Series) -> tuple[np.ndarray, np.ndarray]:
    """What the network's input is standardised by: of each channel the mean, and the standard deviation, 1 for a constant one."""
    standard = learn_standard(X)
    return standard.mean, 1 / np.where(standard.factor > 0, standard.factor, 1.0)


def padded(X: Series, mean: np.ndarray, scale: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """x [n, channels, L], standardised and padded with zeros at the ends to one length; the true lengths, where these differ."""
    L = int(X.lengths.max())
    x = np.zeros((X.count, X.channels, L), dtype)
    for row, one in zip(x, X.series(), strict=True):
        row[:, : one.shape[1]] = (one - mean[:, None]) / scale[:, None]
    return x, X.lengths if (X.lengths < L).any() else None


def standardised(X: Series, standard: Standard) -> np.ndarray:
    """[2, total], packed as X is: the standardised series, and their differences, x[n] - x[n - 1], 0 for the first sample."""
    out = np.empty((2, len(X.flat)), X.flat.dtype)
    with np.errstate(over="ignore"):
        out[0] = (X.flat - per_sample(X, standard.mean)) * per_sample(X, standard.factor)
        out[1] = differences(X, X.flat) * per_sample(X, standard.difference_factor)
    if not np.isfinite(out).all():
        raise ValueError(f"X holds values that are too large for {X.flat.dtype} when standardised: {np.abs(X.flat).max():.3g}")
    return out


def differences(X: Series, flat: np.ndarray) -> np.ndarray:
    """x[n] - x[n - 1] within each channel of each series."""
    with np.errstate(over="ignore"):
        out = np.diff(flat, prepend=flat[:1])
    out[channel_starts(X)] = 0
    return out


def channel_starts(X: Series) -> np.ndarray:
    """Where each channel of each series begins in `X.flat`, [n channels]."""
    return (X.starts[:, None] + X.lengths[:, None] * np.arange(X.channels)).reshape(-1)


def per_sample(X: Series, values: np.ndarray) -> np.ndarray:
    """One value a channel [channels], repeated for every sample as `X.flat` is packed, in its dtype."""
    return np.repeat(np.tile(values, X.count), np.repeat(X.lengths, X.channels)).astype(X.flat.dtype)


def channel_means(X: Series, flat: np.ndarray) -> np.ndarray:
    """The mean of each channel over all series, [channels]."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.reduceat(flat, channel_starts(X), dtype=np.float64).reshape(-1, X.channels)
        return sums.sum(0) / X.lengths.sum()


def one_over_deviation(X: Series, centred: np.ndarray, tiny: float) -> np.ndarray:
    """1 / the root of the mean square of each channel; 0 where that is no more than rounding."""
    with np.errstate(over="ignore", divide="ignore"):
        deviation = np.sqrt(channel_means(X, centred.astype(np.float64) ** 2))
        if not np.isfinite(deviation).all():
            raise ValueError(f"X holds values that are too large to be standardised: {np.abs(X.flat).max():.3g}")
        return np.where(deviation > tiny, 1 / deviation, 0.0)
