"""The tree and the layer: pyramid, TreeSelect, the memory z_n, and y = w . z + w_skip x.

Written without loops over time and without in-place writes, so that the same lines serve NumPy, CuPy and arrays that
autograd is tracing. Algorithms built for speed are in `engines/`; all of them are held to the index loops of `definition.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .base.arrays import Array, Pairs, get_xp
from .base.checks import check_int
from .base.layer_checks import MAX_DEPTH, check_memory_size, check_tree


def delay(a: Array, steps: int) -> Array:
    """a[n - steps] along the last axis, zero where n < steps: the causal shift."""
    if steps == 0:
        return a
    xp, L = get_xp(a), a.shape[-1]
    steps = min(steps, L)
    return xp.concatenate((xp.zeros_like(a[..., :steps]), a[..., : L - steps]), axis=-1)


def dilated_conv(a: Array, h: Array, dilation: int) -> Array:
    """out[n] = sum_k h[k] a[n - k dilation]: one causal dilated filter, along the last axis.

    a [..., L] with h [K], or a [..., D, L] with h [D, K], one filter a channel; lag order, one dtype; dilation of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> dilated_conv(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0]), dilation=2)
    array([ 1.,  2., 13., 24.])
    """
    return sum(h[..., k, None] * delay(a, k * dilation) for k in range(h.shape[-1]))


def of_level(h: Array, i: int) -> Array:
    """The filter of level i (1 is the finest): `h` itself where it is shared, its row i - 1 where it is untied [J, D, K]."""
    return h[i - 1] if h.ndim == 3 else h


def pyramid(x: Array, h0: Array, h1: Array, depth: int) -> Pairs:
    """All coefficients of the tree, fine to coarse: [(a_1, b_1), ..., (a_J, b_J)], each the shape of x.

    `pywt.swt` is the same tree with wrap-around and an index shift (see the README).

        a_0 = x
        a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)]        b_i[n] = sum_k h1[k] a_{i-1}[n - k 2^(i-1)]

    Parameters
    ----------
    x : array [..., L] (with filters [K]) or [..., D, L] (with filters [D, K])
    h0, h1 : arrays [K], [D, K], or untied [J, D, K] (fine to coarse); lag order, dtype of x
    depth : int, J

    Raises
    ------
    TypeError, ValueError : for dtypes that are mixed or neither float32 nor float64, misfitting shapes, a depth outside 1 ... 60

    Examples
    --------
    >>> import numpy as np
    >>> (a1, b1), (a2, b2) = pyramid(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> a1, b1, a2
    (array([1., 3., 5., 7.]), array([1., 1., 1., 1.]), array([ 1.,  3.,  6., 10.]))
    """
    x, h0, h1, J = check_tree(x, h0, h1, depth)
    levels, a = [], x
    for i in range(1, J + 1):
        a, b = (dilated_conv(a, of_level(h, i), 2 ** (i - 1)) for h in (h0, h1))
        levels.append((a, b))
    return levels


def made_from(t: int, K: int) -> int:
    """2 (t - 1) + K: how many coefficients of the next finer level t neighbouring ones of a level are made from."""
    return 2 * (t - 1) + K


def kept_per_level(depth: int, kernel_size: int, tree_select: str = "fading", size: int | None = None) -> tuple[int, ...]:
    """TreeSelect: how many of the newest details of each level the memory keeps, spaced 2^i; J ints, fine to coarse.

    fading keeps one of each. uniform keeps 1 of level J, then of each finer level those that the kept ones were `made_from`,
    until `size` numbers (a_J counts as one) are taken.

    Examples
    --------
    >>> kept_per_level(4, 2), kept_per_level(4, 2, "uniform", size=7)
    ((1, 1, 1, 1), (0, 3, 2, 1))
    """
    J, K, m = check_memory_size(depth, kernel_size, tree_select, size)
    if tree_select == "fading":
        return (1,) * J
    coarse_to_fine, t, left = [], 1, m - 1  # a_J takes one
    for _ in range(J):
        coarse_to_fine.append(min(t, left))
        left -= coarse_to_fine[-1]
        t = made_from(t, K)
    return tuple(reversed(coarse_to_fine))


class Row(NamedTuple):
    """One row of the memory z_n: the coefficient `kind` of `level`, `lag` samples ago; "unused" rows, beyond the tree, are 0."""

    level: int
    kind: str  # "a", "b" or "unused"
    lag: int


def memory_rows(depth: int, kernel_size: int, tree_select: str = "fading", size: int | None = None) -> list[Row]:
    """The label (level, kind, lag) of each row of z_n, in the order of the weights w: a_J, then b_J ... b_1.

    Examples
    --------
    >>> [tuple(row) for row in memory_rows(2, 2)]
    [(2, 'a', 0), (2, 'b', 0), (1, 'b', 0)]
    """
    kept = kept_per_level(depth, kernel_size, tree_select, size)
    rows = [Row(depth, "a", 0)]
    rows += [Row(i, "b", t * 2**i) for i in range(depth, 0, -1) for t in range(kept[i - 1])]
    return rows + [Row(0, "unused", 0)] * (0 if size is None else size - len(rows))


def memory(
    x: Array, h0: Array, h1: Array, depth: int, tree_select: str = "fading", size: int | None = None
) -> tuple[Array, list[Row]]:
    """The multiscale memory z_n at every time n, and the label of each of its m rows.

    Parameters
    ----------
    x, h0, h1, depth, as for `pyramid`
    tree_select : "fading" or "uniform";  size : int, m; needed for "uniform", depth + 1 for "fading"

    Returns
    -------
    z : array [..., m, L] (for x [B, D, L]: [B, D, m, L]), and the list of its m `Row` (level, kind, lag)

    Examples
    --------
    >>> import numpy as np
    >>> z, rows = memory(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> z[:, -1]  # at the newest sample: a_2, b_2, b_1
    array([10.,  4.,  1.])
    """
    x, h0, h1, J = check_tree(x, h0, h1, depth)
    rows = memory_rows(J, h0.shape[-1], tree_select, size)  # refuses a size before any work
    levels = pyramid(x, h0, h1, J)
    xp, zero = get_xp(levels[0][0]), get_xp(levels[0][0]).zeros_like(levels[0][0])
    pick = {"a": lambda r: levels[r.level - 1][0], "b": lambda r: delay(levels[r.level - 1][1], r.lag), "unused": lambda r: zero}
    return xp.stack([pick[row.kind](row) for row in rows], axis=-2), rows


def layer(
    x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: Sequence[int], conv: Callable[..., Array] = dilated_conv
) -> Array:
    """The whole layer: y[n] = sum_r w[r] z_n[r] + w_skip x[n], channel by channel; x, y [B, D, L], w [D, m], w_skip [D].

    `kept` is TreeSelect (`kept_per_level`). The memory need not be written down: the details kept of a level are spaced 2^i, so
    their weighted sum is a dilated convolution of b_i. `multires_conv` is this, with checks and by any engine; `conv` is for it.

    Examples
    --------
    >>> import numpy as np
    >>> x, h0, h1 = np.array([[[1.0, 2.0, 3.0, 4.0]]]), np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])
    >>> layer(x, h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.5]), kept=(1, 1))  # a_2 + x / 2
    array([[[ 1.5,  4. ,  7.5, 12. ]]])
    """
    y, a, first = w_skip[:, None] * x, x, 1 + sum(kept)  # the weights of b_1 stand last
    for i, t in enumerate(kept, start=1):
        dilation, first = 2 ** (i - 1), first - t
        if t:
            b = conv(a, of_level(h1, i), dilation)
            y = y + conv(b, w[:, first : first + t], 2 * dilation)  # the kept details are spaced 2^i
        a = conv(a, of_level(h0, i), dilation)
    return y + w[:, 0, None] * a


def receptive_field(depth: int, kernel_size: int) -> int:
    """How many samples, the newest included, a tree of `depth` levels sees: (K - 1)(2^J - 1) + 1.

    >>> receptive_field(depth=10, kernel_size=2)
    1024
    """
    J, K = check_int("depth", depth, 1, MAX_DEPTH), check_int("kernel_size", kernel_size, 2)
    return (K - 1) * (2**J - 1) + 1


def depth_for(length: int, kernel_size: int) -> int:
    """The smallest depth J >= 1 whose receptive field covers `length`: ceil(log2((L - 1) / (K - 1) + 1)), in whole numbers.

    >>> depth_for(1024, kernel_size=2), depth_for(2048, kernel_size=4), depth_for(1, kernel_size=2)
    (10, 10, 1)
    """
    L, K = check_int("length", length, 1), check_int("kernel_size", kernel_size, 2)
    J = 1
    while (K - 1) * (2**J - 1) + 1 < L:
        J += 1
    return J
