"""Engine "tree": the tree itself, level by level, on NumPy or CuPy arrays. This is the engine to read.

    forward   y = sum_i q_i * a_{i-1} + w_a a_J,    a_i = h0_i * a_{i-1}
    backward  the same tree walked from coarse to fine, with delays turned into advances

`readout.py` says what q_i and w_a are. The backward pass computes the approximations again, so that between the two passes
nothing is stored but x. Both passes work on a block of sequences and channels at a time: the tree of this block alone exists, and
it stays in a CPU core's cache. The memory is O(B D L); storing the whole tree would take O(B D L log L).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..base.arrays import Array, get_xp
from .engine import Engine
from .readout import by_readout

BLOCK = 2**17  # elements of one array worked on at a time (512 KiB in float32): a few such arrays fit in a core's cache


def add_delayed(y: Array, a: Array, c: Array, steps: int) -> None:
    """y[n] += c a[n - steps], in place; outside of its samples a is zero, and it may be shorter than y."""
    n = min(a.shape[-1], y.shape[-1] - steps)
    if n > 0:
        y[..., steps : steps + n] += c * a[..., :n]


def add_advanced(y: Array, a: Array, c: Array, steps: int) -> None:
    """y[n] += c a[n + steps], in place: the adjoint of `add_delayed`."""
    n = min(y.shape[-1], a.shape[-1] - steps)
    if n > 0:
        y[..., :n] += c * a[..., steps : steps + n]


def correlation(g: Array, a: Array, steps: int) -> Array:
    """The sum over batch and time of g[n] a[n - steps], one number for each channel: [D]."""
    xp, n = get_xp(a), min(a.shape[-1], g.shape[-1] - steps)
    if n <= 0:
        return xp.zeros(a.shape[1], dtype=a.dtype)
    return xp.einsum("bdn,bdn->d", g[..., steps : steps + n], a[..., :n])  # the products are not stored


def low_pass(a: Array, h: Array, dilation: int, L: int) -> Array:
    """sum_k h[:, k] a[n - k dilation], for a [B, D, L] and h [D, K].

    Where `a` is shorter than L samples, the result is longer by what the filter adds, up to L.
    """
    xp, out = get_xp(a), h[:, 0, None] * a
    longer = min(L - a.shape[-1], (h.shape[1] - 1) * dilation)
    if longer > 0:
        out = xp.concatenate((out, xp.zeros((*a.shape[:-1], longer), dtype=a.dtype)), axis=-1)
    for k in range(1, h.shape[1]):
        add_delayed(out, a, h[:, k, None], k * dilation)
    return out


def blocks(x: Array) -> Iterator[tuple[slice, slice]]:
    """Slices of batch and channels that cut x into blocks of at most about BLOCK elements."""
    B, D, L = x.shape
    channels = min(D, max(1, BLOCK // L))
    rows = max(1, BLOCK // (L * channels))
    for d in range(0, D, channels):
        for b in range(0, B, rows):
            yield slice(b, b + rows), slice(d, d + channels)


def forward(x: Array, h0: Array, q: list[Array], w_a: Array) -> Array:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    y = get_xp(x).zeros_like(x)
    for b, d in blocks(x):
        forward_block(y[b, d], x[b, d], h0[:, d], [q_i[d] for q_i in q], w_a[d])
    return y


def forward_block(y: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> None:
    """Add to y what `forward` computes for one block. x may be shorter than y, and is zero beyond its end."""
    a = x
    for i, (h, q_i) in enumerate(zip(h0, q, strict=True)):
        for j in range(q_i.shape[1]):
            add_delayed(y, a, q_i[:, j, None], j * 2**i)
        a = low_pass(a, h, 2**i, y.shape[-1])
    add_delayed(y, a, w_a[:, None], 0)


def backward(g: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, Array, list[Array], Array]:
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


def backward_block(g: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, Array, list[Array], Array]:
    """`backward` for one block, whose tree is computed again here. x may be shorter than g, and is zero beyond its end."""
    xp, J, K, a = get_xp(g, x), h0.shape[0], h0.shape[2], [x]
    for i in range(J):
        a.append(low_pass(a[i], h0[i], 2**i, g.shape[-1]))
    da, dw_a = w_a[:, None] * g[..., : a[J].shape[-1]], correlation(g, a[J], 0)
    dh0, dq = [], []
    for i in reversed(range(J)):
        below = a[i]
        dh0.append(xp.stack([correlation(da, below, k * 2**i) for k in range(K)], axis=-1))  # [D, K]
        dq_i = xp.zeros_like(q[i])
        down = h0[i, :, 0, None] * da[..., : below.shape[-1]]  # the gradient of a_{i-1}
        for k in range(1, K):
            add_advanced(down, da, h0[i, :, k, None], k * 2**i)
        for j in range(q[i].shape[1]):
            dq_i[:, j] = correlation(g, below, j * 2**i)
            add_advanced(down, g, q[i][:, j, None], j * 2**i)
        dq.append(dq_i)
        da = down
    return da, xp.stack(dh0[::-1]), dq[::-1], dw_a


def crossover(B: int, L: int) -> float:
    """Measured on two cores of an AMD EPYC (Zen 5), float32, forward and backward: about 100 multiplications a sample for one
    sequence, and fewer for more."""
    return 100 / B


LAYER = by_readout(forward, backward)
ENGINE = Engine("tree", "NumPy, one thread; CuPy arrays too", ("numpy", "cupy"), *LAYER, speed=1, crossover=crossover)
