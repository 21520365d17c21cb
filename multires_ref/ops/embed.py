"""Embedding: a row of a table for each token."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp
from .registry import Example, operation

TOKENS = np.array([[0, 2, 2, 1, 0, 3, 3], [1, 1, 1, 1, 0, 0, 2]])  # of the example


@operation(Example([(4, 3)], (TOKENS,)), torch="torch.nn.functional.embedding")
def embed(table: Array, tokens: Array) -> Array:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L] from a table [V, D] and integer tokens [B, L]."""
    return get_xp(table).swapaxes(table[tokens], 1, 2)


@embed.adjoint(of=1)
def embed_adjoint(g: Array, table: Array, tokens: Array) -> Array:
    """The gradient of the table [V, D]: what arrived at each token's places, summed, as a one-hot matrix product."""
    xp = get_xp(g, tokens)
    one_hot = (tokens.reshape(1, -1) == xp.arange(len(table))[:, None]).astype(g.dtype)  # [V, B L]
    return one_hot @ xp.swapaxes(g, 1, 2).reshape(-1, g.shape[1])
