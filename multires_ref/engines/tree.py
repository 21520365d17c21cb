"""The tree itself, level by level, on NumPy or CuPy arrays: the readable engine.

    forward   y = sum_i q_i * a_{i-1} + w_a a_J,    a_i = h0_i * a_{i-1}
    backward  the same tree walked from coarse to fine, with delays turned into advances

The backward pass recomputes the approximations, so between the two passes nothing is stored but x. Both work on a block of
sequences and channels at a time, so the tree of only those exists, and stays in a core's cache: memory O(B D L), where storing
the tree takes O(B D L log L).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..base.arrays import get_xp

BLOCK = 2**17  # numbers of one array worked on at a time (512 KiB in float32): a few such arrays fit in a core's cache


def add_delayed(y: Any, a: Any, c: Any, steps: int) -> None:
    """y[n] += c a[n - steps], in place."""
    L = a.shape[-1]
    if steps < L:
        y[..., steps:] += c * a[..., : L - steps]


def add_advanced(y: Any, a: Any, c: Any, steps: int) -> None:
    """y[n] += c a[n + steps], in place: the adjoint of `add_delayed`."""
    L = a.shape[-1]
    if steps < L:
        y[..., : L - steps] += c * a[..., steps:]


def correlation(g: Any, a: Any, steps: int) -> Any:
    """sum over batch and time of g[n] a[n - steps], one number a channel: [D]."""
    xp, L = get_xp(a), a.shape[-1]
    if steps >= L:
        return xp.zeros(a.shape[1], dtype=a.dtype)
    return xp.einsum("bdn,bdn->d", g[..., steps:], a[..., : L - steps])  # no product is written


def low_pass(a: Any, h: Any, dilation: int) -> Any:
    """sum_k h[:, k] a[n - k dilation], for a [B, D, L] and h [D, K]."""
    out = h[:, 0, None] * a
    for k in range(1, h.shape[1]):
        add_delayed(out, a, h[:, k, None], k * dilation)
    return out


def blocks(x: Any) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and channels that cut x into blocks of at most about BLOCK numbers."""
    B, D, L = x.shape
    channels = min(D, max(1, BLOCK // L))
    rows = max(1, BLOCK // (L * channels))
    for d in range(0, D, channels):
        for b in range(0, B, rows):
            yield slice(b, b + rows), slice(d, d + channels)


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    y = get_xp(x).zeros_like(x)
    for b, d in blocks(x):
        forward_block(y[b, d], x[b, d], h0[:, d], [q_i[d] for q_i in q], w_a[d])
    return y


def forward_block(y: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> None:
    """`forward` for one block, added to y."""
    a = x
    for i, (h, q_i) in enumerate(zip(h0, q, strict=True)):
        for j in range(q_i.shape[1]):
            add_delayed(y, a, q_i[:, j, None], j * 2**i)
        a = low_pass(a, h, 2**i)
    add_delayed(y, a, w_a[:, None], 0)


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    xp = get_xp(g, x)
    dx, dh0 = xp.empty_like(x), xp.zeros(h0.shape, dtype=h0.dtype)
    dq, dw_a = [xp.zeros_like(q_i) for q_i in q], xp.zeros_like(w_a)
    for b, d in blocks(x):
        dx[b, d], dh0_part, dq_part, dw_a_part = backward_block(g[b, d], x[b, d], h0[:, d], [q_i[d] for q_i in q], w_a[d])
        dh0[:, d] += dh0_part
        for total, part in zip(dq, dq_part, strict=True):
            total[d] += part
        dw_a[d] += dw_a_part
    return dx, dh0, dq, dw_a


def backward_block(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """`backward` for one block, whose tree is recomputed here and forgotten."""
    xp, J, K, a = get_xp(g, x), h0.shape[0], h0.shape[2], [x]
    for i in range(J):
        a.append(low_pass(a[i], h0[i], 2**i))
    da, dw_a = w_a[:, None] * g, correlation(g, a[J], 0)
    dh0, dq = [], []
    for i in reversed(range(J)):
        below = a[i]
        dh0.append(xp.stack([correlation(da, below, k * 2**i) for k in range(K)], axis=-1))  # [D, K]
        dq_i = xp.zeros_like(q[i])
        down = h0[i, :, 0, None] * da  # the gradient of a_{i-1}
        for k in range(1, K):
            add_advanced(down, da, h0[i, :, k, None], k * 2**i)
        for j in range(q[i].shape[1]):
            dq_i[:, j] = correlation(g, below, j * 2**i)
            add_advanced(down, g, q[i][:, j, None], j * 2**i)
        dq.append(dq_i)
        da = down
    return da, xp.stack(dh0[::-1]), dq[::-1], dw_a
