"""The multiresolution convolution with the usual mistakes built in: see `quirks.Quirks` for the switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..engines.readout import level_slices
from ..network import NetworkConfig
from ..tree import delay, dilated_conv, kept_per_level, memory_rows

if TYPE_CHECKING:
    from .quirks import Quirks


def conv_with_quirks(config: NetworkConfig, conv: Any, x: Any, q: Quirks, channels: slice | None = None) -> Any:
    """The convolution of x [B, D, L], by levels; of some channels alone where `channels` says so."""
    select, J = q.tree or (config.tree_select, config.J)
    taps = kept_per_level(J, config.kernel_size, select, config.m)
    parts = level_slices(taps)
    h0, h1 = filters_with_quirks(conv, q)
    w, w_skip = weights_with_quirks(config, conv, q, select, J)
    if channels is not None:
        x, h0, h1, w, w_skip = x[:, channels], h0[..., channels, :], h1[..., channels, :], w[channels], w_skip[channels]
    y, a = w_skip[:, None] * x, x
    levels = J + {"J": 0, "one less": -1, "one more": 1}[q.depth]
    for i in range(1, levels + 1):
        dilation = dilation_with_quirks(i, J, config.kernel_size, q)
        low, high = (h[min(i, J) - 1] if h.ndim == 3 else h for h in (h0, h1))
        t = taps[i - 1] if i <= J else 0
        if t:
            kept = w[:, parts[i - 1]]
            kept = kept if q.readout == "newest first" else kept[:, ::-1]
            b = padded_conv(a, high, dilation, q.padding)
            y = y + padded_conv(b, kept, 2 * dilation, q.padding, turned=False)
        a = padded_conv(a, low, dilation, q.padding)
    return y + w[:, :1] * a


def filters_with_quirks(conv: Any, q: Quirks) -> tuple[Any, Any]:
    """h0 and h1 as a network with these quirks would read them."""
    h0, h1 = (conv["h1"], conv["h0"]) if q.filters == "swapped" else (conv["h0"], conv["h1"])
    h0 = h0[..., ::-1] if q.taps in ("reversed", "h0 reversed") else h0
    h1 = h1[..., ::-1] if q.taps in ("reversed", "h1 reversed") else h1
    h0 = np.broadcast_to(h0[..., :1, :], h0.shape) if q.shared in ("h0", "both") else h0
    h1 = np.broadcast_to(h1[..., :1, :], h1.shape) if q.shared == "both" else h1
    return h0, h1


def dilation_with_quirks(i: int, J: int, K: int, q: Quirks) -> int:
    """The dilation of level i."""
    rules = {"fine first": 2 ** (i - 1), "coarse first": 2 ** max(J - i, 0), "from 2": 2**i}
    return (rules | {"powers of K": K ** (i - 1), "linear": i, "none": 1})[q.dilations]


def weights_with_quirks(config: NetworkConfig, conv: Any, q: Quirks, select: str, J: int) -> tuple[Any, Any]:
    """w [D, m] and w_skip [D] as a network with these quirks would read them."""
    w, w_skip = conv["w"], conv["w_skip"]
    if q.skip == "missing":
        w_skip = np.zeros_like(w_skip)
    elif q.skip == "one":
        w_skip = np.ones_like(w_skip)
    elif q.skip == "first":
        w, w_skip = np.concatenate((w[:, 1:], w_skip[:, None]), axis=1), w[:, 0]
    if q.weights == "coarse to fine":
        return w, w_skip
    rows = memory_rows(J, config.kernel_size, select, config.m)
    a_first, finest_first = q.weights == "fine to coarse", q.weights != "a_J last"

    def place(r: int) -> tuple[Any, ...]:
        level = rows[r].level if finest_first else -rows[r].level
        return rows[r].kind == "unused", (rows[r].kind == "a") != a_first, level, r

    theirs = sorted(range(len(rows)), key=place)
    return w[:, np.argsort(theirs)], w_skip  # column p of w is read as the weight of their p-th row


def padded_conv(a: Any, h: Any, dilation: int, padding: str, turned: bool = True) -> Any:
    """The dilated filter, causal; or with another padding, the kernel k being h turned round where `turned`.

    Padded by p zeros on the left and (K - 1) dilation - p on the right, a correlation gives what the causal filter gives
    (K - 1) dilation - p samples later. "symmetric" is PyTorch's "same", p = (K - 1) dilation // 2; circular: a goes round.
    """
    if padding == "left":
        return dilated_conv(a, h, dilation)
    if padding == "right":
        return dilated_conv(a[..., ::-1], h[..., ::-1] if turned else h, dilation)[..., ::-1]
    total = (h.shape[-1] - 1) * dilation
    ahead = total - total // 2 if "symmetric" in padding else 0
    if padding.startswith("circular"):
        return sum(h[..., k, None] * np.roll(a, k * dilation - ahead, axis=-1) for k in range(h.shape[-1]))
    return sum(h[..., k, None] * moved(a, k * dilation - ahead) for k in range(h.shape[-1]))


def moved(a: Any, steps: int) -> Any:
    """a[n - steps], zero outside; steps may be negative."""
    return delay(a, steps) if steps >= 0 else delay(a[..., ::-1], -steps)[..., ::-1]
