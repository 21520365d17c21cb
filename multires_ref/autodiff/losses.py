"""Cross-entropy and binary cross-entropy with logits, and their adjoints: one number for a whole batch.

    cross_entropy      -1/B sum_b log softmax(logits[b])[targets[b]]           gradient (softmax - one hot) / B
    bce_with_logits    -1/(B C) sum t log sigmoid(x) + (1 - t) log sigmoid(-x)  gradient (sigmoid(x) - t) / (B C)

Means are products with a Python float, so that float32 stays float32.
"""

from __future__ import annotations

from typing import Any

from autograd.tracer import getval

from ..arrays import get_xp
from .pointwise import sigmoid


def log_softmax(logits: Any) -> Any:
    """logits - log sum exp(logits) over the last axis [B, C]; the largest is subtracted first, so that nothing overflows."""
    xp = get_xp(logits)
    plain = getval(logits)  # the shift cancels, so it needs no gradient
    shifted = logits - get_xp(plain).max(plain, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def one_hot(targets: Any, logits: Any) -> Any:
    """1 at each row's target, else 0: [B, C] in the logits' dtype."""
    classes = get_xp(targets).arange(logits.shape[1])
    return (targets[:, None] == classes[None, :]).astype(logits.dtype)


def cross_entropy(logits: Any, targets: Any) -> Any:
    """Mean over the batch of -log softmax(logits [B, C]) at the integer targets [B]."""
    picked = get_xp(logits).sum(log_softmax(logits) * one_hot(targets, logits))
    return picked * (-1.0 / logits.shape[0])


def cross_entropy_adjoint(g: Any, logits: Any, targets: Any) -> Any:
    """g (softmax - one hot) / B: [B, C]."""
    softmax = get_xp(logits).exp(log_softmax(logits))
    return (softmax - one_hot(targets, logits)) * (g * (1.0 / logits.shape[0]))


def bce_with_logits(logits: Any, targets: Any) -> Any:
    """Mean of max(x, 0) - x t + log(1 + exp(-|x|)) over all numbers [B, C]: no exponential overflows, no digits cancel."""
    xp = get_xp(logits, targets)
    total = xp.sum(xp.maximum(logits, 0.0) - logits * targets + xp.log1p(xp.exp(-xp.abs(logits))))
    return total * (1.0 / logits.size)


def bce_with_logits_adjoint(g: Any, logits: Any, targets: Any) -> Any:
    """g (sigmoid(x) - t) / (B C): [B, C]."""
    return (sigmoid(logits) - targets) * (g * (1.0 / logits.size))
