"""Which series a network learns from and which it does not see, and how much its outputs then count beside the features'.

A network's outputs for series that it has learnt from are better than those for new ones; the weights are therefore learnt from
outputs for series that were held out. Up to `FEW` series, three networks learn from two thirds of them each, every series is held
out once, and the networks' outputs for new series are averaged. With more, one network learns from nine tenths.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import minimize, nnls
from scipy.special import log_softmax

FEWEST, FEW, FOLDS, HELD_OUT = 10, 1000, 3, 0.1
PRIOR = np.array([0.5, 0.05])  # of the squared weights: without it they grow without end where every series is classified rightly

Fold = tuple[np.ndarray, np.ndarray]  # indices of the series that are learned from, and of those held out


def folds(n: int, strata: np.ndarray | None, rng: np.random.Generator) -> list[Fold]:
    """The series of each network, of every class in `strata` the same share; fewer than 10 series are all learned from.

    Examples
    --------
    >>> [(len(train), len(out)) for train, out in folds(12, None, np.random.default_rng(0))]
    [(8, 4), (8, 4), (8, 4)]
    """
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    everything, seed = np.arange(n), int(rng.integers(2**31))
    if n < FEWEST:
        return [(everything, everything[:0])]
    smallest = n if strata is None else int(np.bincount(strata).min())
    if n > FEW:
        return [train_test_split(everything, test_size=HELD_OUT, stratify=strata if smallest > 1 else None, random_state=seed)]
    splitter = KFold if strata is None or np.bincount(strata).max() < FOLDS else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer members than folds: it misses in some
        return list(splitter(FOLDS, shuffle=True, random_state=seed).split(everything, strata))


def weights_of_logits(network: np.ndarray, ridge: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights (a, b), not below 0, whose a network + b ridge [n, C] have the smallest cross-entropy with the classes y [n].

    0.5 a^2 + 0.05 b^2 is added to the sum of the cross-entropies, for outputs of standard deviation 1: where only few series tell
    what the networks are worth, the features count more.

    Examples
    --------
    >>> rng, y = np.random.default_rng(0), np.arange(90) % 3
    >>> noise = rng.standard_normal((90, 3))
    >>> a, b = weights_of_logits(noise, np.eye(3)[y] + 0.3 * noise[::-1], y)
    >>> bool(a < 0.1 * b)
    True
    """
    outputs = np.stack([network, ridge]).astype(np.float64)  # [2, n, C]
    size = np.maximum(outputs.std(axis=(1, 2)), np.finfo(float).tiny)
    outputs /= size[:, None, None]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logp = log_softmax(np.tensordot(weights, outputs, 1), axis=1)
        error = np.exp(logp)
        error[np.arange(len(y)), y] -= 1  # the gradient in the logits, [n, C]
        gradient = 2 * PRIOR * weights + (outputs * error).sum((1, 2))
        return PRIOR @ weights**2 - logp[np.arange(len(y)), y].sum(), gradient

    return minimize(loss, np.ones(2), jac=True, bounds=[(0, None)] * 2).x / size


def weights_of_numbers(network: np.ndarray, ridge: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights (a, b), not below 0, of the smallest sum of squares of a network + b ridge - y, all [n, targets].

    Examples
    --------
    >>> y = np.array([[1.0], [2.0], [3.0]])
    >>> weights_of_numbers(y / 2, 0 * y, y)
    array([2., 0.])
    """
    outputs = np.stack([network.ravel(), ridge.ravel()], axis=1).astype(np.float64)
    return nnls(outputs, y.ravel().astype(np.float64))[0]
