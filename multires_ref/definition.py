"""The paper's equations as index loops: slow, obvious, the oracle that every faster way is held to.

One channel at a time, a_0 = x, and zero history (x[n] = 0 for n < 0):

    a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)]     approximation (low-pass), i = 1 ... J, fine to coarse
    b_i[n] = sum_k h1[k] a_{i-1}[n - k 2^(i-1)]     detail (high-pass)
    y[n]   = sum_r w[r] z_n[r] + w_skip x[n]        z_n: the memory that TreeSelect picks

Source: Shi, Wang, Fox, ICML 2023 (their level j is J - i here). NumPy only.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def at(signal: Array, n: int) -> float:
    """signal[n], and zero before the beginning: the layer sees no history."""
    return signal[n] if n >= 0 else signal.dtype.type(0)


def dilated_filter_loops(a: Array, h: Array, dilation: int) -> Array:
    """One dilated causal filter: out[n] = sum_k h[k] a[n - k dilation]; a [L], h [K] in lag order: h[0] weights the newest.

    Examples
    --------
    >>> dilated_filter_loops(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0]), dilation=2)
    array([ 1.,  2., 13., 24.])
    """
    out = np.zeros_like(a)
    for n in range(len(a)):
        for k in range(len(h)):
            out[n] += h[k] * at(a, n - k * dilation)
    return out


def pyramid_loops(x: Array, h0: Array, h1: Array, depth: int) -> list[tuple[Array, Array]]:
    """The tree of one channel: [(a_1, b_1), ..., (a_J, b_J)], fine to coarse. x [L]; h0, h1 [K] or untied [J, K]."""
    levels, a = [], x
    for i in range(1, depth + 1):
        low, high = (h0, h1) if h0.ndim == 1 else (h0[i - 1], h1[i - 1])
        a, b = dilated_filter_loops(a, low, 2 ** (i - 1)), dilated_filter_loops(a, high, 2 ** (i - 1))
        levels.append((a, b))
    return levels


def memory_loops(levels: list[tuple[Array, Array]], n: int, K: int, tree_select: str, m: int) -> list[float]:
    """The memory z_n: the m numbers that TreeSelect picks out of the tree at time n.

    fading   z_n = (a_J[n], b_J[n], b_{J-1}[n], ..., b_1[n])
    uniform  a_J[n]; then, level by level from coarse to fine, the newest t details spaced 2^i,
             t = 1, then 2 (t - 1) + K at each next level, until m numbers are taken (zeros fill what the tree lacks)
    """
    J = len(levels)
    z, t = [levels[J - 1][0][n]], 1
    for i in range(J, 0, -1):
        b = levels[i - 1][1]
        for r in range(t):
            z.append(at(b, n - r * 2**i))
        if tree_select == "uniform":
            t = 2 * (t - 1) + K
    return (z + [0.0] * m)[:m]


def multires_conv_loops(
    x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, *, tree_select: str = "fading", depth: int | None = None
) -> Array:
    """The whole layer by loops: y [B, D, L] from x [B, D, L], h0, h1 [D, K] (untied [J, D, K]), w [D, m], w_skip [D].

    Examples
    --------
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> h0, h1 = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])
    >>> w = np.array([[1.0, 0.0, 0.0]])  # only a_2: the sum of the last four samples
    >>> multires_conv_loops(x, h0, h1, w, w_skip=np.array([0.0]))
    array([[[ 1.,  3.,  6., 10.]]])
    """
    B, D, L = x.shape
    K, m = h0.shape[-1], w.shape[1]
    J = m - 1 if depth is None else depth
    y = np.zeros_like(x)
    for b in range(B):
        for d in range(D):
            levels = pyramid_loops(x[b, d], h0[..., d, :], h1[..., d, :], J)
            for n in range(L):
                z = memory_loops(levels, n, K, tree_select, m)
                y[b, d, n] = sum(w[d, r] * z[r] for r in range(m)) + w_skip[d] * x[b, d, n]
    return y
