"""Binary cross-entropy with logits, for several labels an example: one number for a whole batch."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from .glu import sigmoid
from .registry import Example, operation

LABELS = np.array([[0.0, 1.0, 0.0, 1.0, 1.0]] * 3)  # of the example


@operation(Example([(3, 5)], (LABELS,)), torch="torch.nn.functional.binary_cross_entropy_with_logits")
def bce_with_logits(logits: Array, targets: Array) -> Array:
    """-1/(B C) sum t log sigmoid(x) + (1 - t) log sigmoid(-x), safe for logits x of any size.

    Computed as the mean of max(x, 0) - x t + log(1 + exp(-|x|)): no exponential overflows, no digits cancel.

    Parameters
    ----------
    logits, targets : float arrays [B, C]; targets between 0 and 1

    Returns
    -------
    loss : one number in the dtype of the logits (a 0-d array on a GPU)

    Notes
    -----
    `torch.nn.functional.binary_cross_entropy_with_logits`. Differentiable in the logits, to any order.

    Examples
    --------
    >>> print(f"{bce_with_logits(np.zeros((1, 2)), np.array([[0.0, 1.0]])):.6f}")  # log 2
    0.693147
    """
    xp = get_xp(logits, targets)
    total = xp.sum(xp.maximum(logits, 0.0) - logits * targets + xp.log1p(xp.exp(-xp.abs(logits))))
    return total * (1.0 / logits.size)


@bce_with_logits.adjoint(of=1)
def bce_with_logits_adjoint(g: Array, logits: Array, targets: Array) -> Array:
    """g (sigmoid(x) - t) / (B C): [B, C]."""
    return (sigmoid(logits) - targets) * (g * (1.0 / logits.size))
