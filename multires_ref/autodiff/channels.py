"""Linear maps across channels, embedding and pooling, and their adjoints."""

from __future__ import annotations

from typing import Any

from ..arrays import get_xp


def conv1x1(x: Any, weight: Any, bias: Any) -> Any:
    """out[b, e, n] = sum_d weight[e, d] x[b, d, n] + bias[e]: the same linear map at every time step. [B, E, L]"""
    return get_xp(x, weight).matmul(weight, x) + bias[:, None]


def conv1x1_adjoint(g: Any, x: Any, weight: Any) -> tuple[Any, Any, Any]:
    """dx [B, D, L], dweight [E, D], dbias [E]."""
    xp = get_xp(g, x, weight)
    dweight = xp.sum(xp.matmul(g, xp.swapaxes(x, 1, 2)), axis=0)
    return xp.matmul(weight.T, g), dweight, xp.sum(g, axis=(0, 2))


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """x [B, D] times weight.T [D, E], plus bias: [B, E]."""
    return get_xp(x, weight).matmul(x, weight.T) + bias


def linear_adjoint(g: Any, x: Any, weight: Any) -> tuple[Any, Any, Any]:
    """dx [B, D], dweight [E, D], dbias [E]."""
    xp = get_xp(g, x, weight)
    return xp.matmul(g, weight), xp.matmul(g.T, x), xp.sum(g, axis=0)


def embed(table: Any, tokens: Any) -> Any:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L] from a table [V, D] and integer tokens [B, L]."""
    return get_xp(table).swapaxes(table[tokens], 1, 2)


def embed_adjoint(g: Any, tokens: Any, V: int) -> Any:
    """The gradient of the table [V, D]: what arrived at each token's places, summed, as a one-hot matrix product."""
    xp = get_xp(g, tokens)
    one_hot = (tokens.reshape(1, -1) == xp.arange(V)[:, None]).astype(g.dtype)  # [V, B L]
    return one_hot @ xp.swapaxes(g, 1, 2).reshape(-1, g.shape[1])


def pooling_weights(x: Any, lengths: Any) -> Any:
    """1 / length at each of a sequence's true steps, zero at its padding: [B, 1, L] (a float when there are no lengths)."""
    L = x.shape[2]
    if lengths is None:
        return 1.0 / L
    xp = get_xp(lengths)
    inside = xp.arange(L)[None, None, :] < lengths[:, None, None]
    return (inside / lengths[:, None, None]).astype(x.dtype)


def masked_mean(x: Any, lengths: Any = None) -> Any:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    return get_xp(x).sum(x * pooling_weights(x, lengths), axis=2)


def masked_mean_adjoint(g: Any, x: Any, lengths: Any = None) -> Any:
    """The gradient of x [B, D, L]: g spread evenly over the steps that were averaged."""
    return g[:, :, None] * (pooling_weights(x, lengths) + get_xp(x).zeros(x.shape, dtype=x.dtype))
