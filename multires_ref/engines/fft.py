"""The FFT engine (SciPy's pocketfft): the layer is one causal filter a channel, so convolve with it in the frequency domain.

The kernel is what the tree makes of an impulse, cut to L samples. Then, with capitals for transforms long enough not to wrap,

    Y = K X;    dX = conj(K) G;    dK = sum over the batch of conj(X) G, and one inverse transform a channel gives dk.

`impulse.py` makes the kernel, and takes its gradient back to the filters, once a channel and not once a sequence. Cost:
O(B D L log L) whatever K and the number of readout taps; the tree engine's is O(B D L) times the number of taps.
Channels are taken a few at a time, so that transforms of only those are in memory.

A transform mixes all times, so one NaN or infinity, or a sum that overflows, would spoil its whole row, earlier times included.
Rows where that could happen are left to the tree (`risky.py`), which keeps the past as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import risky
from .impulse import kernel, kernel_adjoint
from .threads import limited

BLOCK = 2**17  # numbers in one block of transforms: their pass through memory is shared with the products that follow
TRANSFORMS = 8  # numbers handled for each number of an array that is transformed and transformed back


def channel_blocks(B: int, D: int, n: int) -> Iterator[slice]:
    """Slices of the channels, each of about BLOCK numbers in transforms of length n."""
    step = max(1, BLOCK // (B * n))
    return (slice(d, d + step) for d in range(0, D, step))


def transforms(L: int, workers: int) -> tuple[Any, Any]:
    """rfft and its inverse along the last axis, zero-padded so that a convolution of two rows of L samples does not wrap."""
    from scipy import fft

    n = fft.next_fast_len(2 * L - 1, real=True)
    return lambda a: fft.rfft(a, n, workers=workers), lambda A: fft.irfft(A, n, workers=workers)[..., :L]


def forward(x: Any, h0: Any, q: list[Any], w_a: Any) -> Any:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    B, D, L = x.shape
    growth, y, at_risk = risky.growth(h0, q, w_a, L), np.empty_like(x), np.empty((B, D), bool)
    with limited(TRANSFORMS * x.size) as workers, np.errstate(all="ignore"):  # what is not finite is put right below
        k = kernel(h0, q, w_a, L)  # [D, L]
        rfft, irfft = transforms(L, workers)
        for d in channel_blocks(B, D, 2 * L):
            at_risk[:, d] = risky.rows(x[:, d], growth[d])
            X = rfft(x[:, d])
            X *= rfft(k[d])
            y[:, d] = irfft(X)
    risky.forward_again(y, at_risk, x, h0, q, w_a)
    return y


def backward(g: Any, x: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, Any, list[Any], Any]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    B, D, L = x.shape
    growth, dx, dk = risky.growth(h0, q, w_a, L), np.empty_like(x), np.empty((D, L), x.dtype)
    at_risk, sums_at_risk = np.empty((B, D), bool), np.empty(D, bool)
    with limited(TRANSFORMS * x.size) as workers, np.errstate(all="ignore"):
        k = kernel(h0, q, w_a, L)
        rfft, irfft = transforms(L, workers)
        for d in channel_blocks(B, D, 2 * L):
            at_risk[:, d], sums_at_risk[d] = risky.rows(g[:, d], growth[d]), risky.sums(g[:, d], x[:, d], growth[d])
            X, G = rfft(x[:, d]), rfft(g[:, d])
            np.conjugate(X, out=X)
            X *= G
            dk[d] = irfft(X.sum(axis=0))
            G *= rfft(k[d]).conj()
            dx[:, d] = irfft(G)
        gradients = (dx, *kernel_adjoint(dk, h0, q, w_a))
    risky.backward_again(gradients, at_risk, sums_at_risk, g, x, h0, q, w_a)
    return gradients
