"""The tree: pyramid, TreeSelect and the memory z_n, depth and receptive field.

Written without loops over time and without in-place writes, so that the same lines serve NumPy, CuPy and arrays that
autograd is tracing. The algorithms built for speed are in `engines/`; the index loops they are all held to in `definition.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .arrays import get_xp
from .checks import MOST_BYTES, check_choice, check_floats, check_int, check_memory, check_same_dtype, check_shape

TREE_SELECTS = ("fading", "uniform")
MAX_DEPTH = 60  # a dilation of 2**59 samples: beyond any array, and safely inside 64-bit indices
MAX_SIZE = 2**20  # rows of the memory: every one is as long as the signal


class Row(NamedTuple):
    """One row of the memory z_n: the coefficient `kind` ("a" or "b") of `level`, `lag` samples ago.

    ``kind`` is "unused" for weights beyond what the whole tree holds; their row is zero.
    """

    level: int
    kind: str
    lag: int


def receptive_field(depth: int, kernel_size: int) -> int:
    """How many samples, the newest included, a tree of `depth` levels sees: (K - 1)(2^J - 1) + 1.

    Examples
    --------
    >>> receptive_field(depth=10, kernel_size=2)
    1024
    """
    depth = check_int("depth", depth, 1, MAX_DEPTH)
    K = check_int("kernel_size", kernel_size, 2)
    return (K - 1) * (2**depth - 1) + 1


def depth_for(length: int, kernel_size: int) -> int:
    """The smallest depth J >= 1 whose receptive field covers `length`: ceil(log2((L - 1) / (K - 1) + 1)).

    In whole numbers, so no rounding of a logarithm can be off by one.
    Source: the paper; the authors' `MultiresLayer.__init__`.

    Examples
    --------
    >>> depth_for(1024, kernel_size=2), depth_for(2048, kernel_size=4), depth_for(1, kernel_size=2)
    (10, 10, 1)
    """
    L = check_int("length", length, 1)
    K = check_int("kernel_size", kernel_size, 2)
    J = 1
    while (K - 1) * (2**J - 1) + 1 < L:
        J += 1
    return J


def taps_per_level(depth: int, kernel_size: int, tree_select: str = "fading", size: int | None = None) -> tuple[int, ...]:
    """TreeSelect as numbers: how many of the newest details of each level 1 ... J the memory keeps, spaced 2^i.

    fading keeps one of each. uniform keeps 1 of level J and 2 (t - 1) + K of the next finer one, which is exactly how many
    coefficients of that level the t kept ones were made from, until `size` numbers (a_J counts as one) are taken.

    Returns
    -------
    tuple of J ints, fine to coarse

    Examples
    --------
    >>> taps_per_level(4, 2)
    (1, 1, 1, 1)
    >>> taps_per_level(4, 2, "uniform", size=7)
    (0, 3, 2, 1)
    >>> taps_per_level(4, 2, "uniform", size=4)
    (0, 0, 2, 1)
    """
    J, K = check_int("depth", depth, 1, MAX_DEPTH), check_int("kernel_size", kernel_size, 2)
    m = None if size is None else check_int("size", size, 1)
    if m is not None and m > MAX_SIZE:
        raise ValueError(f"size must be at most {MAX_SIZE:,}; got {m}")
    if check_choice("tree_select", tree_select, TREE_SELECTS) == "fading":
        if m is not None and m != J + 1:
            raise ValueError(f"the fading memory of a tree of depth {J} has size {J + 1}; got size {size}")
        return (1,) * J
    if m is None:
        raise ValueError("size (the number of memory rows, m) must be given for tree_select='uniform'")
    left = m - 1  # a_J takes one
    coarse_to_fine, t = [], 1
    for _ in range(J):
        coarse_to_fine.append(min(t, left))
        left -= coarse_to_fine[-1]
        t = 2 * (t - 1) + K
    return tuple(reversed(coarse_to_fine))


def memory_rows(depth: int, kernel_size: int, tree_select: str = "fading", size: int | None = None) -> list[Row]:
    """The label (level, kind, lag) of each row of z_n, in the order of the weights w.

    Examples
    --------
    >>> for row in memory_rows(2, 2):
    ...     print(row)
    Row(level=2, kind='a', lag=0)
    Row(level=2, kind='b', lag=0)
    Row(level=1, kind='b', lag=0)
    """
    taps = taps_per_level(depth, kernel_size, tree_select, size)
    rows = [Row(depth, "a", 0)]
    rows += [Row(i, "b", t * 2**i) for i in range(depth, 0, -1) for t in range(taps[i - 1])]
    unused = 0 if size is None else size - len(rows)
    return rows + [Row(0, "unused", 0)] * unused


def delay(a: Any, steps: int) -> Any:
    """a[n - steps] along the last axis, zero where n < steps: the causal shift.

    Examples
    --------
    >>> import numpy as np
    >>> delay(np.array([1.0, 2.0, 3.0]), 2)
    array([0., 0., 1.])
    """
    if steps == 0:
        return a
    xp, L = get_xp(a), a.shape[-1]
    steps = min(steps, L)
    return xp.concatenate((xp.zeros_like(a[..., :steps]), a[..., : L - steps]), axis=-1)


def dilated_conv(a: Any, h: Any, dilation: int) -> Any:
    """out[n] = sum_k h[k] a[n - k dilation]: one causal dilated filter, along the last axis.

    Parameters
    ----------
    a : array [..., L] or [..., D, L]
    h : array [K], or [D, K] for one filter a channel; lag order, the dtype of `a`
    dilation : int, at least 1

    Examples
    --------
    >>> import numpy as np
    >>> dilated_conv(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 10.0]), dilation=2)
    array([ 1.,  2., 13., 24.])
    """
    return sum(h[..., k, None] * delay(a, k * dilation) for k in range(h.shape[-1]))


def of_level(h: Any, i: int) -> Any:
    """The filter of level i (1 is the finest): `h` itself where it is shared, its row i - 1 where it is untied [J, D, K]."""
    return h[i - 1] if h.ndim == 3 else h


def pyramid(x: Any, h0: Any, h1: Any, depth: int) -> list[tuple[Any, Any]]:
    """All coefficients of the tree, fine to coarse: [(a_1, b_1), ..., (a_J, b_J)], each the shape of x.

        a_0 = x
        a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)]        b_i[n] = sum_k h1[k] a_{i-1}[n - k 2^(i-1)]

    Parameters
    ----------
    x : array [..., L] (with filters [K]) or [..., D, L] (with filters [D, K])
    h0, h1 : arrays [K], [D, K], or untied [J, D, K] (fine to coarse); lag order, dtype of x
    depth : int, J

    Returns
    -------
    list of J pairs

    Raises
    ------
    TypeError, ValueError
        For a dtype other than float32 and float64, mixed dtypes, shapes that do not fit, or a depth outside 1 ... 60.

    Notes
    -----
    The paper's tree; `pywt.swt` is the same tree with wrap-around and an index shift (see the README).

    Examples
    --------
    >>> import numpy as np
    >>> (a1, b1), (a2, b2) = pyramid(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> a1, b1
    (array([1., 3., 5., 7.]), array([1., 1., 1., 1.]))
    >>> a2, b2
    (array([ 1.,  3.,  6., 10.]), array([1., 3., 4., 4.]))
    """
    x, h0, h1 = check_tree_arrays(x, h0, h1)
    J = check_depth(depth, h0)
    levels, a = [], x
    for i in range(1, J + 1):
        dilation = 2 ** (i - 1)
        a, b = dilated_conv(a, of_level(h0, i), dilation), dilated_conv(a, of_level(h1, i), dilation)
        levels.append((a, b))
    return levels


def memory(x: Any, h0: Any, h1: Any, depth: int, tree_select: str = "fading", size: int | None = None) -> tuple[Any, list[Row]]:
    """The multiscale memory z_n at every time n, and the label of each of its m rows.

    Parameters
    ----------
    x, h0, h1, depth
        As for `pyramid`.
    tree_select : "fading" or "uniform"
    size : int, m; needed for "uniform", depth + 1 for "fading"

    Returns
    -------
    z : array [..., m, L] (for x [B, D, L]: [B, D, m, L])
    rows : list of m `Row` (level, kind, lag)

    Examples
    --------
    >>> import numpy as np
    >>> z, rows = memory(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> z[:, -1]  # at the newest sample: a_2, b_2, b_1
    array([10.,  4.,  1.])
    """
    x, h0, h1 = check_tree_arrays(x, h0, h1)
    rows = memory_rows(depth, h0.shape[-1], tree_select, size)  # refuses a size before any work
    levels = pyramid(x, h0, h1, depth)
    xp = get_xp(levels[0][0])
    zero = xp.zeros_like(levels[0][0])
    pick = {"a": lambda r: levels[r.level - 1][0], "b": lambda r: delay(levels[r.level - 1][1], r.lag), "unused": lambda r: zero}
    return xp.stack([pick[row.kind](row) for row in rows], axis=-2), rows


def check_tree_arrays(x: Any, h0: Any, h1: Any) -> tuple[Any, Any, Any]:
    """x, h0 and h1, checked against each other: dtypes, ranks, channels and taps."""
    x = check_floats("x", x, "[..., L]")
    h0, h1 = check_floats("h0", h0, "[D, K]"), check_floats("h1", h1, "[D, K]")
    check_same_dtype(x=x, h0=h0, h1=h1)
    get_xp(x, h0, h1)  # refuses a mixture of devices
    if x.ndim < 1 or 0 in x.shape:
        raise ValueError(f"x must be a non-empty array [..., L]; got shape {tuple(x.shape)}")
    check_filters(h0, h1)
    if h0.ndim > 1 and (x.ndim < 2 or x.shape[-2] != h0.shape[-2]):
        raise ValueError(
            f"x must be [..., D, L] with D = {h0.shape[-2]} channels, as h0 {tuple(h0.shape)} has; got {tuple(x.shape)}"
        )
    return x, h0, h1


def check_filters(h0: Any, h1: Any) -> tuple[Any, Any]:
    """A pair of filters [K], [D, K] or [J, D, K] of one shape and dtype."""
    h0, h1 = check_floats("h0", h0, "[D, K]"), check_floats("h1", h1, "[D, K]")
    check_same_dtype(h0=h0, h1=h1)
    if h0.ndim not in (1, 2, 3) or h0.shape[-1] < 2 or 0 in h0.shape:
        raise ValueError(f"h0 must have shape [K], [D, K] or [J, D, K] with K of at least 2; got {tuple(h0.shape)}")
    if h1.shape != h0.shape:
        raise ValueError(f"h1 must have the shape of h0, {tuple(h0.shape)}; got {tuple(h1.shape)}")
    return h0, h1


def check_weights(h0: Any, w: Any, w_skip: Any, tree_select: str, depth: int | None) -> tuple[Any, Any, int]:
    """The weights w [D, m] and w_skip [D] of a layer with the filters h0, and its depth: if not given, m - 1 (fading tree)."""
    w, w_skip = check_floats("w", w, "[D, m]"), check_floats("w_skip", w_skip, "[D]")
    check_same_dtype(h0=h0, w=w, w_skip=w_skip)
    get_xp(h0, w, w_skip)
    D = h0.shape[-2]
    check_shape("w", w, (D, None), "[D, m]")
    check_shape("w_skip", w_skip, (D,), "[D]")
    m = w.shape[1]
    check_choice("tree_select", tree_select, TREE_SELECTS)
    if depth is None:
        if tree_select == "uniform":
            raise ValueError("depth must be given for tree_select='uniform': the memory size does not tell it")
        if m < 2:
            raise ValueError(f"w must have m = depth + 1 columns, at least 2, for the fading tree; got shape {tuple(w.shape)}")
        depth = m - 1
    return w, w_skip, check_depth(depth, h0)


def check_response_size(depth: int, h0: Any, rows: int, itemsize: int) -> None:
    """Refuse a depth whose impulse response, `rows` arrays as long as the receptive field, would take absurdly much memory."""
    J, K = depth, h0.shape[-1]
    each = rows * (h0.shape[-2] if h0.ndim > 1 else 1) * itemsize
    deepest = next((i for i in range(J, 0, -1) if receptive_field(i, K) * each <= MOST_BYTES), 0)
    check_memory(f"depth={J}", receptive_field(J, K) * each // itemsize, itemsize, deepest, "levels fit in 4 GiB")


def check_depth(depth: Any, h0: Any) -> int:
    """The depth as an int in range; for untied filters it must equal their number."""
    J = check_int("depth", depth, 1, MAX_DEPTH)
    if h0.ndim == 3 and h0.shape[0] != J:
        raise ValueError(f"untied h0 [J, D, K] must hold one filter a level: depth is {J}, h0 has shape {tuple(h0.shape)}")
    return J
