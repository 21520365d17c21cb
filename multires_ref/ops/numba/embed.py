"""Embedding, compiled."""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array
from ...base.buffers import empty
from ...base.compiled import Part
from ..embed import embed, embed_adjoint
from ._compile import compiled, count_rows, parallel


@compiled(embed)
def compiled_embed(table: Array, tokens: Array) -> Array:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L], laid out as the next operations read it."""
    if not inside(tokens, table.shape[0]):
        return embed.definition(table, tokens)
    out = empty((tokens.shape[0], table.shape[1], tokens.shape[1]), table.dtype)
    gather(count_rows(out), out, np.ascontiguousarray(table.T), tokens.astype(np.uintp))
    return out


@compiled(embed_adjoint)
def compiled_embed_adjoint(g: Array, table: Array, tokens: Array) -> Array:
    """The gradient of the table [V, D]: what arrived at each token's places, summed."""
    V = table.shape[0]
    if not inside(tokens, V):
        return embed_adjoint.definition(g, table, tokens)
    total = np.zeros((g.shape[1], V))
    scatter(len(total), total, np.ascontiguousarray(g), tokens.astype(np.uintp))
    return np.ascontiguousarray(total.T.astype(g.dtype))


def inside(tokens: Array, V: int) -> bool:
    """Whether all tokens are rows of the table: compiled loops do not look, so the others are left to NumPy."""
    return tokens.size > 0 and tokens.min() >= 0 and tokens.max() < V


@parallel
def gather(part: Part, out: Array, columns: Array, tokens: Array) -> None:
    """out[b, d, n] = columns[d, tokens[b, n]]."""
    _, D, L = out.shape
    for row in range(part[0], part[1]):
        b, d = row // D, row % D
        for n in range(L):
            out[b, d, n] = columns[d, tokens[b, n]]


@parallel
def scatter(part: Part, total: Array, g: Array, tokens: Array) -> None:
    """total[d, tokens[b, n]] += g[b, d, n]; in parallel over channels, so that no two threads write to one place."""
    B, D, L = g.shape
    for d in range(part[0], part[1]):
        for b in range(B):
            for n in range(L):
                total[d, tokens[b, n]] += g[b, d, n]
