"""The tree itself, level by level, on NumPy or CuPy arrays: the readable engine.

    forward   y = sum_i q_i * a_{i-1} + w_a a_J,    a_i = h0_i * a_{i-1}
    backward  the same tree walked from coarse to fine, with delays turned into advances

The backward pass recomputes the approximations, so between the two passes nothing is stored but x, and it works on a few
sequences at a time, so the tree of only those exists: memory O(B D L), where storing the tree takes O(B D L log L).
"""

from __future__ import annotations

from typing import Any

from ..arrays import get_xp

BLOCK = 2**18  # numbers of one array worked on at a time (1 MiB in float32): a few such arrays fit in a core's cache


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
    L = a.shape[-1]
    if steps >= L:
        return get_xp(a).zeros(a.shape[1], dtype=a.dtype)
    return (g[..., steps:] * a[..., : L - steps]).sum(axis=(0, 2))


def low_pass(a: Any, h: Any, dilation: int) -> Any:
    """sum_k h[:, k] a[n - k dilation], for a [B, D, L] and h [D, K]."""
    out = h[:, 0, None] * a
    for k in range(1, h.shape[1]):
        add_delayed(out, a, h[:, k, None], k * dilation)
    return out


def blocks(x: Any) -> list[slice]:
    """Slices of the batch, each at most about BLOCK numbers."""
    per_block = max(1, BLOCK // (x.shape[1] * x.shape[2]))
    return [slice(b, b + per_block) for b in range(0, x.shape[0], per_block)]


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    y = get_xp(x).zeros_like(x)
    for rows in blocks(x):
        a, out = x[rows], y[rows]
        for i, (h, q_i) in enumerate(zip(h0, q, strict=True)):
            for j in range(q_i.shape[1]):
                add_delayed(out, a, q_i[:, j, None], j * 2**i)
            a = low_pass(a, h, 2**i)
        out += w_a[:, None] * a
    return y


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    xp = get_xp(g, x)
    dx, dh0 = xp.zeros_like(x), xp.zeros_like(h0, order="C") if h0.strides[0] else xp.zeros(h0.shape, h0.dtype)
    dq, dw_a = [xp.zeros_like(q_i) for q_i in q], xp.zeros_like(w_a)
    for rows in blocks(x):
        parts = backward_block(g[rows], x[rows], h0, q, w_a)
        dx[rows] = parts[0]
        dh0 += parts[1]
        for total, part in zip(dq, parts[2], strict=True):
            total += part
        dw_a += parts[3]
    return dx, dh0, dq, dw_a


def backward_block(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """`backward` for a few sequences, whose tree is recomputed here and forgotten."""
    xp, J, K = get_xp(g, x), h0.shape[0], h0.shape[2]
    a = [x]
    for i in range(J):
        a.append(low_pass(a[i], h0[i], 2**i))
    da, dw_a = w_a[:, None] * g, correlation(g, a[J], 0)
    dh0, dq = [], []
    for i in reversed(range(J)):
        below = a[i]
        dh0.append(xp.stack([correlation(da, below, k * 2**i) for k in range(K)], axis=-1))  # [D, K]
        dq_i = xp.zeros_like(q[i])
        down = xp.zeros_like(below)  # the gradient of a_{i-1}
        for j in range(q[i].shape[1]):
            dq_i[:, j] = correlation(g, below, j * 2**i)
            add_advanced(down, g, q[i][:, j, None], j * 2**i)
        for k in range(K):
            add_advanced(down, da, h0[i, :, k, None], k * 2**i)
        dq.append(dq_i)
        da = down
    return da, xp.stack(dh0[::-1]), dq[::-1], dw_a
