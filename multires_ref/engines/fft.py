"""Engine "fft" (SciPy): the layer is one causal filter for each channel, so convolve with it in the frequency domain.

This filter, the kernel, is the tree's response to an impulse, cut to L samples. With capitals for the transforms, which are long
enough that the convolution does not wrap,

    Y = K X;    dX = conj(K) G;    dK = sum over the batch of conj(X) G, and one inverse transform for each channel gives dk.

The kernel is computed, and its gradient taken back to the filters, once for each channel and not once for each sequence. The cost
is O(B D L log L), whatever K and the number of readout taps; that of the tree is O(B D L) times the number of taps. Channels are
transformed a few at a time, so that only their transforms are in memory.

A transform mixes all times. One NaN or infinity, or a sum that overflows, would therefore spoil its whole row, earlier times
included. The rows where this could happen are computed again by the tree, which leaves the past as it was: see `not_finite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..base.arrays import Array
from ..base.threads import limited
from . import not_finite, tree
from .engine import Engine
from .readout import by_readout

BLOCK = 2**17  # elements transformed at a time: the products that follow find the transforms in the cache
TRANSFORMS = 8  # elements handled for each element of an array that is transformed and transformed back


def impulse(h0: Array) -> Array:
    """The impulse at time 0, one sample long, for every channel of h0 [J, D, K]: [1, D, 1]."""
    return np.ones((1, h0.shape[1], 1), h0.dtype)


def kernel(h0: Array, q: list[Array], w_a: Array, L: int) -> Array:
    """sum_i q_i * a_{i-1} + w_a a_J for the impulse: the causal filter [D, L] that the layer is.

    The impulse response of a_i is only (K - 1)(2^i - 1) + 1 samples long, and no level computes more than these. So the whole
    tree of an impulse costs about as much as two of its levels.
    """
    k = np.zeros((1, h0.shape[1], L), h0.dtype)
    tree.forward_block(k, impulse(h0), h0, q, w_a)
    return k[0]


def kernel_adjoint(dk: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, list[Array], Array]:
    """dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] from the kernel's gradient dk [D, L]."""
    _, dh0, dq, dw_a = tree.backward_block(dk[None], impulse(h0), h0, q, w_a)
    return dh0, dq, dw_a


def channel_blocks(B: int, D: int, n: int) -> Iterator[slice]:
    """Slices of the channels, each of about BLOCK elements in transforms of length n."""
    step = max(1, BLOCK // (B * n))
    return (slice(d, d + step) for d in range(0, D, step))


def transforms(L: int, workers: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """rfft and its inverse along the last axis, with enough zeros that the convolution of two rows of L samples does not wrap."""
    from scipy import fft

    n = fft.next_fast_len(2 * L - 1, real=True)
    return lambda a: fft.rfft(a, n, workers=workers), lambda A: fft.irfft(A, n, workers=workers)[..., :L]


def forward(x: Array, h0: Array, q: list[Array], w_a: Array) -> Array:
    """y [B, D, L] from x [B, D, L], h0 [J, D, K], readout filters q (J arrays [D, Q_i]) and w_a [D]."""
    B, D, L = x.shape
    growth, y, at_risk = not_finite.growth(h0, q, w_a, L), np.empty_like(x), np.empty((B, D), bool)
    with limited(TRANSFORMS * x.size) as workers, np.errstate(all="ignore"):  # rows that are not finite are computed again below
        k = kernel(h0, q, w_a, L)  # [D, L]
        rfft, irfft = transforms(L, workers)
        for d in channel_blocks(B, D, 2 * L):
            at_risk[:, d] = not_finite.rows(x[:, d], growth[d])
            X = rfft(x[:, d])
            X *= rfft(k[d])
            y[:, d] = irfft(X)
    not_finite.forward_again(y, at_risk, x, h0, q, w_a)
    return y


def backward(g: Array, x: Array, h0: Array, q: list[Array], w_a: Array) -> tuple[Array, Array, list[Array], Array]:
    """dx [B, D, L], dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] of sum(g y), for g [B, D, L]."""
    B, D, L = x.shape
    growth, dx, dk = not_finite.growth(h0, q, w_a, L), np.empty_like(x), np.empty((D, L), x.dtype)
    at_risk, sums_at_risk = np.empty((B, D), bool), np.empty(D, bool)
    with limited(TRANSFORMS * x.size) as workers, np.errstate(all="ignore"):
        k = kernel(h0, q, w_a, L)
        rfft, irfft = transforms(L, workers)
        for d in channel_blocks(B, D, 2 * L):
            at_risk[:, d], sums_at_risk[d] = not_finite.rows(g[:, d], growth[d]), not_finite.sums(g[:, d], x[:, d], growth[d])
            X, G = rfft(x[:, d]), rfft(g[:, d])
            np.conjugate(X, out=X)
            X *= G
            dk[d] = irfft(X.sum(axis=0))
            G *= rfft(k[d]).conj()
            dx[:, d] = irfft(G)
        gradients = (dx, *kernel_adjoint(dk, h0, q, w_a))
    not_finite.backward_again(gradients, at_risk, sums_at_risk, g, x, h0, q, w_a)
    return gradients


ENGINE = Engine("fft", "SciPy, {threads} threads", ("numpy",), *by_readout(forward, backward))
