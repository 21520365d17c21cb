"""The 1x1 convolution with few temporaries, by BLAS: see `channels.py` for the definition. Needs nothing but NumPy.

Sequences are taken a few at a time, so that what a matrix product has written is still in the cache when the bias is added or
when it is summed up; weight gradients are summed over sequences in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engines.threads import limited

BLOCK = 2**19  # numbers of a product's result that are worked on at a time: 2 MiB in float32
PRODUCTS = 8  # multiplications of a matrix product that take as long as handling one number elsewhere


def blocks(x: Any) -> list[slice]:
    """Slices of the batch, each of at most about BLOCK numbers."""
    per_block = max(1, BLOCK // (x.shape[1] * x.shape[2]))
    return [slice(b, b + per_block) for b in range(0, x.shape[0], per_block)]


def conv1x1(x: Any, weight: Any, bias: Any) -> Any:
    """out[b, e, n] = sum_d weight[e, d] x[b, d, n] + bias[e]: [B, E, L]."""
    B, _, L = x.shape
    out = np.empty((B, weight.shape[0], L), np.result_type(x, weight, bias))
    with limited(out.size * weight.shape[1] // PRODUCTS):
        for part in blocks(out):
            np.matmul(weight, x[part], out=out[part])
            out[part] += bias[:, None]
    return out


def conv1x1_adjoint(g: Any, x: Any, weight: Any) -> tuple[Any, Any, Any]:
    """dx [B, D, L], dweight [E, D], dbias [E]."""
    dtype = np.result_type(g, x, weight)
    dx, dweight, dbias = np.empty(x.shape, dtype), np.zeros(weight.shape), np.zeros(weight.shape[0])
    with limited(2 * g.size * weight.shape[1] // PRODUCTS):
        for part in blocks(g):
            np.matmul(weight.T, g[part], out=dx[part])
            for g_b, x_b in zip(g[part], x[part], strict=True):
                dweight += np.matmul(g_b, x_b.T)
                dbias += g_b.sum(axis=1)
    return dx, dweight.astype(dtype), dbias.astype(dtype)
