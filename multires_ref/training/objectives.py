"""The objective of a task: the loss that is minimised, and the score of a whole split that is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ..base.arrays import Array
from ..base.checks import check_choice
from ..base.ranks import Share
from ..network.config import NetworkConfig
from ..ops.bce_with_logits import bce_with_logits
from ..ops.cross_entropy import cross_entropy
from ..ops.mixture_nll import mixture_nll
from ..ops.squared_error import squared_error


@dataclass(frozen=True)
class Objective:
    """A loss for a batch and a score for a split.

    Parameters
    ----------
    name : str
    loss : function (outputs, targets) -> one number, differentiable in the outputs
    score : function (outputs, targets) -> float of a whole split; if `summed`, a function of the mean loss per element
    score_name : str, as it stands in a run's files: "accuracy" gives "test_accuracy"
    higher_is_better : bool
    summed : bool
        The loss is a sum over all elements of the batch (nats of a density) rather than a mean over its examples.
    also : dict
        Further scores of a split, (outputs, targets) -> float, by name. They are reported, and decide nothing.
    """

    name: str
    loss: Callable[[Array, Array], Array]
    score: Callable[..., float]
    score_name: str
    higher_is_better: bool = True
    summed: bool = False
    also: dict[str, Callable[[np.ndarray, np.ndarray], float]] = field(default_factory=dict)

    def better(self, score: float, than: float | None) -> bool:
        """Whether `score` beats `than`; anything beats None."""
        return than is None or (score > than if self.higher_is_better else score < than)

    def weight(self, targets: Array) -> int:
        """The weight of a batch in the mean loss of an epoch: the number of its examples, or of its elements if `summed`."""
        return targets.size if self.summed else len(targets)

    def part(self, share: Share) -> float:
        """What a rank's loss is multiplied by, so that the sum over the ranks is the loss of the whole batch."""
        return float(share.own > 0) if self.summed else share.weight


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


def tag_accuracy(outputs: np.ndarray, targets: np.ndarray) -> float:
    """The share of time steps with a tag, a class other than 0, whose largest output is their class.

    Class 0 is the blank: a step where nothing is to be said. Where almost every step is blank, as in the copy memory task,
    saying nothing but blanks would be right at almost all steps. Here it scores 0. With no tag in the targets the score is 0.

    Parameters
    ----------
    outputs : array [N, C, L];  targets : integer array [N, L]

    Examples
    --------
    >>> outputs = np.array([[[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]])  # says 0, 1, 2
    >>> tag_accuracy(outputs, np.array([[0, 2, 2]]))
    0.5
    """
    tags = targets != 0
    return float((outputs.argmax(axis=1) == targets)[tags].mean()) if tags.any() else 0.0


def confusion_table(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """table[c, p]: how many examples of class c were taken for class p, [C, C].

    Examples
    --------
    >>> confusion_table(np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), np.array([1, 1, 0]))
    array([[1, 0],
           [1, 1]])
    """
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(targets, outputs.argmax(axis=1), labels=np.arange(outputs.shape[1]))


def class_aurocs(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The area under each class's ROC curve, [C], by scikit-learn; NaN for `absent_classes`, which have no such curve.

    Examples
    --------
    >>> class_aurocs(np.array([[0.1, 3.0], [0.8, 2.0]]), np.array([[0.0, 0.0], [1.0, 0.0]]))
    array([ 1., nan])
    """
    from sklearn.metrics import roc_auc_score

    absent = absent_classes(targets)
    areas = [np.nan if c in absent else roc_auc_score(targets[:, c], outputs[:, c]) for c in range(outputs.shape[1])]
    return np.array(areas)


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


def mean_absolute_error(outputs: np.ndarray, targets: np.ndarray, scale: Sequence[float] = (1.0,)) -> float:
    """The mean of |outputs - targets| scale over all examples and targets [N, T]; `scale` [T] gives the data's own units back.

    Examples
    --------
    >>> mean_absolute_error(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), scale=[10])
    5.0
    """
    return float((np.abs(outputs - targets) * np.asarray(scale)).mean(dtype=np.float64))


def bits(nats: float) -> float:
    """nats / ln 2.

    Examples
    --------
    >>> bits(math.log(256))
    8.0
    """
    return nats / math.log(2)


OBJECTIVES = {
    "classification": Objective("classification", cross_entropy, accuracy, "accuracy"),
    "tagging": Objective("tagging", cross_entropy, tag_accuracy, "tag_accuracy"),
    "multilabel": Objective("multilabel", bce_with_logits, macro_auroc, "macro_auroc"),
    "regression": Objective("regression", squared_error, r_squared, "r2", also={"mae": mean_absolute_error}),
    "density": Objective("density", mixture_nll, bits, "bits_per_dim", higher_is_better=False, summed=True),
}


def get_objective(name: str, network: NetworkConfig | None = None) -> Objective:
    """The objective called `name`; a density's loss is given the network's `n_values`.

    Examples
    --------
    >>> get_objective("classification").score_name
    'accuracy'
    """
    objective = OBJECTIVES[check_choice("objective", name, OBJECTIVES)]
    if objective.summed and network is not None:
        return replace(objective, loss=partial(mixture_nll, n_values=network.n_values))
    return objective
