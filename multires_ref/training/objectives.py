"""What a task is about: the loss that is minimised and the score that is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..base.checks import check_choice
from ..network.config import NetworkConfig
from ..ops.bce_with_logits import bce_with_logits
from ..ops.cross_entropy import cross_entropy
from ..ops.mixture_nll import mixture_nll
from ..ops.squared_error import squared_error
from .metrics import accuracy, bits, macro_auroc, r_squared


@dataclass(frozen=True)
class Objective:
    """A loss for a batch and a score for a split.

    Parameters
    ----------
    name : str
    loss : function (outputs, targets) -> one number, differentiable in the outputs
    score : function (outputs, targets) -> float of a whole split; where `summed`, of the mean loss per number alone
    score_name : str, as it stands in a run's files: "accuracy" gives "test_accuracy"
    higher_is_better : bool
    summed : bool
        The loss is a sum over all numbers of the batch (nats of a density) rather than a mean over its examples.
    """

    name: str
    loss: Callable[[Any, Any], Any]
    score: Callable[..., float]
    score_name: str
    higher_is_better: bool = True
    summed: bool = False

    def better(self, score: float, than: float | None) -> bool:
        """Whether `score` beats `than`; anything beats None."""
        return than is None or (score > than if self.higher_is_better else score < than)

    def weight(self, targets: Any) -> int:
        """What a batch counts in the mean loss of an epoch: its examples, or its numbers where the loss is a sum."""
        return targets.size if self.summed else len(targets)


OBJECTIVES = {
    "classification": Objective("classification", cross_entropy, accuracy, "accuracy"),
    "multilabel": Objective("multilabel", bce_with_logits, macro_auroc, "macro_auroc"),
    "regression": Objective("regression", squared_error, r_squared, "r2"),
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
