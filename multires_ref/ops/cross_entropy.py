"""Cross-entropy of classes, of an example or of each of its time steps: one number for a batch.

Means are products with a Python float, so that float32 stays float32.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp, unboxed
from .registry import Example, operation

CLASSES = np.array([2, 0, 4])  # of the examples
CLASSES_OF_STEPS = np.array([[2, 0, 4], [1, 1, 3]])


def log_softmax(a: Array, axis: int = -1) -> Array:
    """a - log sum exp(a) along an axis; the largest element is subtracted first, so that nothing overflows."""
    xp, plain = get_xp(a), unboxed(a)
    shifted = a - get_xp(plain).max(plain, axis=axis, keepdims=True)  # the shift cancels, so it needs no gradient
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def one_hot(targets: Array, logits: Array) -> Array:
    """1 at each example's (and step's) target, else 0: [B, C] or [B, C, L] in the logits' dtype."""
    classes = get_xp(targets).arange(logits.shape[1]).reshape(-1, *[1] * (logits.ndim - 2))  # [C] or [C, 1]
    return (targets[:, None] == classes).astype(logits.dtype)


@operation(
    Example([(3, 5)], (CLASSES,)),
    Example([(2, 5, 3)], (CLASSES_OF_STEPS,), "every step"),
    torch="torch.nn.functional.cross_entropy",
)
def cross_entropy(logits: Array, targets: Array) -> Array:
    """-1/B sum_b log softmax(logits[b])[targets[b]]; for classes of every step n the mean over all b and n.

    Parameters
    ----------
    logits : float array [B, C], or [B, C, L] for a class at every step
    targets : integer array [B] or [B, L], the classes 0 ... C - 1

    Returns
    -------
    loss : one number in the dtype of the logits (a 0-d array on a GPU)

    Notes
    -----
    `torch.nn.functional.cross_entropy`. Differentiable in the logits, to any order.

    Examples
    --------
    >>> print(f"{cross_entropy(np.zeros((1, 10)), np.array([3])):.6f}")  # log 10
    2.302585
    """
    picked = get_xp(logits).sum(log_softmax(logits, axis=1) * one_hot(targets, logits))
    return picked * (-1.0 / targets.size)


@cross_entropy.adjoint(of=1)
def cross_entropy_adjoint(g: Array, logits: Array, targets: Array) -> Array:
    """g (softmax - one hot) / B, or / (B L): [B, C] or [B, C, L]."""
    softmax = get_xp(logits).exp(log_softmax(logits, axis=1))
    return (softmax - one_hot(targets, logits)) * (g * (1.0 / targets.size))
