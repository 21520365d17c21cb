"""Scores of a whole split: accuracy, confusion table, area under the ROC curve, bits per dimension. NumPy arrays."""

from __future__ import annotations

import math

import numpy as np


def accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The share of examples whose largest output is their class.

    Parameters
    ----------
    outputs : array [N, C];  targets : integer array [N]

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    return float((outputs.argmax(axis=1) == targets).mean())


def confusion_table(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """table[c, p]: how many examples of class c were taken for class p, [C, C].

    Examples
    --------
    >>> confusion_table(np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), np.array([1, 1, 0]))
    array([[1, 0],
           [1, 1]])
    """
    table = np.zeros((outputs.shape[1], outputs.shape[1]), np.int64)
    np.add.at(table, (targets, outputs.argmax(axis=1)), 1)
    return table


def class_aurocs(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The area under each class's ROC curve, [C]; NaN where the targets hold no positive or no negative example.

    By `sklearn.metrics.roc_auc_score`.

    Examples
    --------
    >>> class_aurocs(np.array([[0.1, 3.0], [0.8, 2.0]]), np.array([[0.0, 0.0], [1.0, 0.0]]))
    array([ 1., nan])
    """
    from sklearn.metrics import roc_auc_score

    areas = np.full(outputs.shape[1], np.nan)
    for c in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
        areas[c] = roc_auc_score(targets[:, c], outputs[:, c])
    return areas


def macro_auroc(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The mean of `class_aurocs` over the classes that have one.

    Raises
    ------
    ValueError
        If no class has both a positive and a negative example.

    Examples
    --------
    >>> macro_auroc(np.array([[0.1, 3.0], [0.8, 2.0]]), np.array([[0.0, 0.0], [1.0, 0.0]]))
    1.0
    """
    areas = class_aurocs(outputs, targets)
    if np.isnan(areas).all():
        raise ValueError("macro AUROC needs a class with positive and negative examples; the targets hold none")
    return float(areas[~np.isnan(areas)].mean())


def absent_classes(targets: np.ndarray) -> list[int]:
    """The classes of multilabel targets [N, C] that a ROC curve cannot be drawn for: all their labels are equal.

    Examples
    --------
    >>> absent_classes(np.array([[0.0, 0.0], [1.0, 0.0]]))
    [1]
    """
    return np.flatnonzero(~(targets.any(axis=0) & ~targets.all(axis=0))).tolist()


def r_squared(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The coefficient of determination R^2, the mean over the targets [N, T] of 1 - sum (out - t)^2 / sum (t - mean t)^2.

    It is 1 where all outputs are right, and 0 for outputs that are always the mean. For targets that do not vary it is 1 where
    all outputs are right, otherwise 0, as in scikit-learn.

    Examples
    --------
    >>> r_squared(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]))
    0.5
    """
    errors = ((outputs - targets) ** 2).sum(axis=0, dtype=np.float64)
    spread = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0, dtype=np.float64)
    shares = np.where(spread > 0, errors / np.where(spread > 0, spread, 1), errors > 0)
    return float(1 - shares.mean())


def bits(nats: float) -> float:
    """nats / ln 2.

    Examples
    --------
    >>> bits(math.log(256))
    8.0
    """
    return nats / math.log(2)


def bits_per_dimension(nats: float, count: int) -> float:
    """nats / (count ln 2): `nats` summed over `count` elements of the data.

    Examples
    --------
    >>> bits_per_dimension(math.log(256) * 12, 12)
    8.0
    """
    return float(nats) / (count * math.log(2))
