"""The losses as autograd knows them. The formulas and their adjoints are in `autodiff/losses.py`."""

from __future__ import annotations

from typing import Any

from autograd.extend import defvjp, primitive

from ..autodiff.dispatch import call


@primitive
def cross_entropy(logits: Any, targets: Any) -> Any:
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
    >>> import numpy as np
    >>> print(f"{cross_entropy(np.zeros((1, 10)), np.array([3])):.6f}")  # log 10
    2.302585
    """
    return call("cross_entropy", logits, targets)


@primitive
def bce_with_logits(logits: Any, targets: Any) -> Any:
    """-1/(B C) sum t log sigmoid(x) + (1 - t) log sigmoid(-x), safe for logits x of any size.

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
    >>> import numpy as np
    >>> print(f"{bce_with_logits(np.zeros((1, 2)), np.array([[0.0, 1.0]])):.6f}")  # log 2
    0.693147
    """
    return call("bce_with_logits", logits, targets)


defvjp(cross_entropy, lambda ans, x, t: lambda g: call("cross_entropy_adjoint", g, x, t), None)
defvjp(bce_with_logits, lambda ans, x, t: lambda g: call("bce_with_logits_adjoint", g, x, t), None)
