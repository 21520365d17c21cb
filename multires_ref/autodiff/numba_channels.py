"""Embedding and pooling, compiled: see `channels.py` for the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from . import channels as definition
from .numba_ops import compiled, parallel, parallel_sums


@compiled(definition.embed)
def embed(table: Any, tokens: Any) -> Any:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L], laid out as the next operations read it."""
    if not inside(tokens, table.shape[0]):
        return definition.embed(table, tokens)
    out = np.empty((tokens.shape[0], table.shape[1], tokens.shape[1]), table.dtype)
    gather(out, np.ascontiguousarray(table.T), tokens.astype(np.uintp))
    return out


@compiled(definition.embed_adjoint)
def embed_adjoint(g: Any, tokens: Any, V: int) -> Any:
    """The gradient of the table [V, D]: what arrived at each token's places, summed."""
    if not inside(tokens, V):
        return definition.embed_adjoint(g, tokens, V)
    total = np.zeros((g.shape[1], V))
    scatter(total, np.ascontiguousarray(g), tokens.astype(np.uintp))
    return np.ascontiguousarray(total.T.astype(g.dtype))


@compiled(definition.masked_mean)
def masked_mean(x: Any, lengths: Any = None) -> Any:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]."""
    out = np.empty(x.shape[:2], x.dtype)
    weighted_sums(out, np.ascontiguousarray(x), weights_of(x, lengths))
    return out


@compiled(definition.masked_mean_adjoint)
def masked_mean_adjoint(g: Any, x: Any, lengths: Any = None) -> Any:
    """The gradient of x [B, D, L]: g spread evenly over the steps that were averaged."""
    out = np.empty(x.shape, x.dtype)
    spread(out, np.ascontiguousarray(g), weights_of(x, lengths))
    return out


def inside(tokens: Any, V: int) -> bool:
    """Whether all tokens are rows of the table: compiled loops do not look, so the others are left to NumPy."""
    return tokens.size > 0 and tokens.min() >= 0 and tokens.max() < V


def weights_of(x: Any, lengths: Any) -> Any:
    """What each step counts, [B, L]."""
    B, _, L = x.shape
    weights = np.asarray(definition.pooling_weights(x, lengths), x.dtype)
    return np.ascontiguousarray(np.broadcast_to(weights, (B, 1, L))[:, 0])


@parallel
def gather(out, columns, tokens):
    """out[b, d, n] = columns[d, tokens[b, n]]."""
    B, D, L = out.shape
    for row in prange(B * D):
        b, d = row // D, row % D
        for n in range(L):
            out[b, d, n] = columns[d, tokens[b, n]]


@parallel
def scatter(total, g, tokens):
    """total[d, tokens[b, n]] += g[b, d, n]; in parallel over channels, so that no two threads write to one place."""
    B, D, L = g.shape
    for d in prange(D):
        for b in range(B):
            for n in range(L):
                total[d, tokens[b, n]] += g[b, d, n]


@parallel_sums
def weighted_sums(out, x, weights):
    """out[b, d] = sum_n x[b, d, n] weights[b, n]."""
    B, D, L = x.shape
    for row in prange(B * D):
        b, d = row // D, row % D
        total = 0.0
        for n in range(L):
            total += x[b, d, n] * weights[b, n]
        out[b, d] = total


@parallel
def spread(out, g, weights):
    """out[b, d, n] = g[b, d] weights[b, n]."""
    B, D, L = out.shape
    for row in prange(B * D):
        b, d = row // D, row % D
        c = g[b, d]
        for n in range(L):
            out[b, d, n] = c * weights[b, n]
