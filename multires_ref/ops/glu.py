"""GLU, the gate between the two halves of the channels, with the channel dropout that follows it.

`mask` is the dropout mask [B, D, 1] as in `gelu.py`, or None.
"""

from __future__ import annotations

from ..base.arrays import Array, get_xp
from .gelu import MASK, masked
from .registry import Example, operation


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), written with tanh so that no exponential overflows."""
    return 0.5 * get_xp(x).tanh(0.5 * x) + 0.5


@operation(Example([(2, 6, 7)]), Example([(2, 6, 7)], (MASK,), "dropout"), torch="torch.nn.functional.glu")
def glu(u: Array, mask: Array | None = None) -> Array:
    """u[:, :D] sigmoid(u[:, D:]) for u [B, 2 D, L], times the mask: [B, D, L]."""
    D = u.shape[1] // 2
    return masked(u[:, :D] * sigmoid(u[:, D:]), mask)


@glu.adjoint(of=1)
def glu_adjoint(g: Array, u: Array, mask: Array | None = None) -> Array:
    """The gradient of both halves of u: [B, 2 D, L]."""
    D = u.shape[1] // 2
    g, s = masked(g, mask), sigmoid(u[:, D:])
    return get_xp(g, u).concatenate((g * s, g * u[:, :D] * s * (1.0 - s)), axis=1)
