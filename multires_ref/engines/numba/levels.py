"""Every coefficient of the tree: what `causal_swt` in `transform.py` uses for long signals.

The loops in `fused.py` never keep the levels, but a transform must. Here both filters of a level are applied to a block of
samples while it is in the cache. The blocks run in parallel, and each writes its own part of the level, so the result does not
depend on the number of threads.
"""

from __future__ import annotations

import numpy as np

from ...base.arrays import Array, Pairs
from ...base.compiled import Part, parallel_njit
from ...base.inner import inner_njit
from ...base.threads import limited
from . import FASTMATH

BLOCK = 4096  # samples: two results and a few shifted inputs of that length fit in a core's cache


@inner_njit(fastmath=FASTMATH)
def two_filters(a: Array, b: Array, padded: Array, h0: Array, h1: Array, steps: int, start: int) -> None:
    """a[n], b[n] = sum_k h0[k], h1[k] times padded[start + n - k steps], for one block."""
    L, K = a.shape[0], h0.shape[0]
    newest, older = padded[start : start + L], padded[start - steps : start - steps + L]
    for n in range(L):
        a[n] = h0[0] * newest[n] + h0[1] * older[n]
        b[n] = h1[0] * newest[n] + h1[1] * older[n]
    for k in range(2, K - 1, 2):  # two taps at a time: half the loads and stores of a and b
        u, v = padded[start - k * steps : start - k * steps + L], padded[start - (k + 1) * steps : start - (k + 1) * steps + L]
        for n in range(L):
            a[n] += h0[k] * u[n] + h0[k + 1] * v[n]
            b[n] += h1[k] * u[n] + h1[k + 1] * v[n]
    if K > 2 and K % 2 == 1:
        u = padded[start - (K - 1) * steps : start - (K - 1) * steps + L]
        for n in range(L):
            a[n] += h0[K - 1] * u[n]
            b[n] += h1[K - 1] * u[n]


@parallel_njit(fastmath=FASTMATH)
def one_level(part: Part, a: Array, b: Array, padded: Array, h0: Array, h1: Array, steps: int) -> None:
    """One level of all rows: a, b [R, L] from padded [R, pad + L], which begins with the `pad` zeros before the signal."""
    R, L = a.shape
    pad, blocks = padded.shape[1] - L, (L + BLOCK - 1) // BLOCK
    for unit in range(part[0], part[1]):
        r, first = unit // blocks, (unit % blocks) * BLOCK
        last = min(first + BLOCK, L)
        two_filters(a[r, first:last], b[r, first:last], padded[r], h0, h1, steps, pad + first)


def pyramid_levels(x: Array, h0: Array, h1: Array, depth: int) -> Pairs:
    """`tree.pyramid` for a NumPy signal x [..., L] and one pair of filters [K] for all channels. Returns the same list of pairs.

    Examples
    --------
    >>> (a1, b1), (a2, b2) = pyramid_levels(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), 2)
    >>> a2, b2
    (array([ 1.,  3.,  6., 10.]), array([1., 3., 4., 4.]))
    """
    L, K = x.shape[-1], len(h0)
    rows = x.reshape(-1, L)
    out = np.empty((depth, 2, *rows.shape), x.dtype)
    pad = (K - 1) * min(2 ** (depth - 1), L)  # a tap that reaches further back than L sees only zeros
    padded = np.zeros((len(rows), pad + L), x.dtype)
    padded[:, pad:] = rows
    with limited(work=x.size * K * depth):
        for i in range(depth):
            a, b = out[i]
            one_level(len(rows) * -(-L // BLOCK), a, b, padded, h0, h1, min(2**i, L))
            padded[:, pad:] = a
    return [(a.reshape(x.shape), b.reshape(x.shape)) for a, b in out]
