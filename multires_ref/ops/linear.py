"""The linear map of a vector for each example: what follows the pooling."""

from __future__ import annotations

from ..base.arrays import Array, get_xp
from .registry import Example, operation


@operation(Example([(2, 3), (5, 3), (5,)]), torch="torch.nn.functional.linear")
def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x [B, D] times weight.T [D, E], plus bias: [B, E]."""
    return get_xp(x, weight).matmul(x, weight.T) + bias


@linear.adjoint(of=3)
def linear_adjoint(g: Array, x: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array]:
    """dx [B, D], dweight [E, D], dbias [E]."""
    xp = get_xp(g, x, weight)
    return xp.matmul(g, weight), xp.matmul(g.T, x), xp.sum(g, axis=0)
