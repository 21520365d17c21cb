"""Embedding on CuPy arrays: one launch forward, one product with one-hot rows backward."""

from __future__ import annotations

from ...base.arrays import Array
from ..embed import embed, embed_adjoint
from ._kernels import Kernel
from ._products import product

GATHER = Kernel("embed", "raw T table, I token, int64 D, int64 L", "T y", "y = table[token * D + i / L % D]")


@embed.implementation("cupy")
def one_launch(table: Array, tokens: Array) -> Array:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L], in that order in memory."""
    import cupy

    (B, L), D = tokens.shape, table.shape[1]
    spread = cupy.broadcast_to(tokens[:, None], (B, D, L))
    return GATHER(cupy.ascontiguousarray(table), spread, D, L)


@embed_adjoint.implementation("cupy")
def one_product(g: Array, table: Array, tokens: Array) -> Array:
    """The gradient of the table [V, D]: what arrived at each token's places, as a product with the tokens' one-hot rows."""
    import cupy

    one_hot = (tokens[:, None, :] == cupy.arange(len(table))[:, None]).astype(g.dtype)  # [B, V, L]
    return product(one_hot, g, transpose_b=True).sum(axis=0)
