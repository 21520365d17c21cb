"""The mean squared error of a regression: one number for a whole batch."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from .registry import Example, operation

TARGETS = np.array([[0.5, -1.0], [2.0, 0.0], [-0.3, 1.0]])  # of the example


@operation(Example([(3, 2)], (TARGETS,)), torch="torch.nn.functional.mse_loss")
def squared_error(out: Array, targets: Array) -> Array:
    """1/(B T) sum (out - t)^2.

    Parameters
    ----------
    out, targets : float arrays [B, T]

    Returns
    -------
    loss : one number in the dtype of the outputs (a 0-d array on a GPU)

    Notes
    -----
    `torch.nn.functional.mse_loss`. Differentiable in the outputs, to any order.

    Examples
    --------
    >>> print(squared_error(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]])))
    2.5
    """
    difference = out - targets
    return get_xp(out, targets).sum(difference * difference) * (1.0 / out.size)


@squared_error.adjoint(of=1)
def squared_error_adjoint(g: Array, out: Array, targets: Array) -> Array:
    """2 g (out - t) / (B T): [B, T]."""
    return (out - targets) * (g * (2.0 / out.size))
