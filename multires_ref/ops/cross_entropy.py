"""Cross-entropy of classes: one number for a batch. Means are products with a Python float, so that float32 stays float32."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp, unboxed
from .registry import Example, operation

CLASSES = np.array([2, 0, 4])  # of the example


def log_softmax(a: Array, axis: int = -1) -> Array:
    """a - log sum exp(a) along an axis; the largest element is subtracted first, so that nothing overflows."""
    xp, plain = get_xp(a), unboxed(a)
    shifted = a - get_xp(plain).max(plain, axis=axis, keepdims=True)  # the shift cancels, so it needs no gradient
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def one_hot(targets: Array, logits: Array) -> Array:
    """1 at each row's target, else 0: [B, C] in the logits' dtype."""
    classes = get_xp(targets).arange(logits.shape[1])
    return (targets[:, None] == classes[None, :]).astype(logits.dtype)


@operation(Example([(3, 5)], (CLASSES,)), torch="torch.nn.functional.cross_entropy")
def cross_entropy(logits: Array, targets: Array) -> Array:
    """-1/B sum_b log softmax(logits[b])[targets[b]].

    Parameters
    ----------
    logits : float array [B, C]
    targets : integer array [B], the classes 0 ... C - 1

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
    picked = get_xp(logits).sum(log_softmax(logits) * one_hot(targets, logits))
    return picked * (-1.0 / logits.shape[0])


@cross_entropy.adjoint(of=1)
def cross_entropy_adjoint(g: Array, logits: Array, targets: Array) -> Array:
    """g (softmax - one hot) / B: [B, C]."""
    softmax = get_xp(logits).exp(log_softmax(logits))
    return (softmax - one_hot(targets, logits)) * (g * (1.0 / logits.shape[0]))
