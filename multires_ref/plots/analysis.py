"""The numbers that figures draw: the memory as a matrix, the past recovered from it, an output split by scale and lag.

At any time n the memory is a linear map of the past, so one matrix determines it:

    z_n = M p_n,        p_n = (x[n], x[n-1], ..., x[n-R+1]),        M [m, R],   R = (K - 1)(2^J - 1) + 1.

Everything below is linear algebra on M. NumPy only; nothing here draws.
"""

from __future__ import annotations

import numpy as np

from ..base.checks import check_int
from ..base.layer_checks import check_depth, check_filters, check_response_size
from ..response import unit_impulse
from ..tree import Row, memory, receptive_field


def memory_matrix(
    h0: np.ndarray, h1: np.ndarray, depth: int, tree_select: str = "fading", size: int | None = None
) -> tuple[np.ndarray, list[Row]]:
    """M with z_n = M p_n, and the label of each of its rows.

    Column t of M is what the memory holds, at time t, of a single 1 at time 0.

    Parameters
    ----------
    h0, h1 : arrays [K] or [D, K] (untied: [J, D, K]), lag order
    depth : int, J
    tree_select : "fading" or "uniform";  size : int, m (needed for "uniform")

    Returns
    -------
    M : array [m, R], or [D, m, R]
    rows : list of m `Row`

    Examples
    --------
    >>> M, rows = memory_matrix(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> M  # a_2, b_2, b_1 of the samples n, n-1, n-2, n-3
    array([[ 1.,  1.,  1.,  1.],
           [ 1.,  1., -1., -1.],
           [ 1., -1.,  0.,  0.]])
    """
    h0, h1 = check_filters(h0, h1)
    check_response_size(check_depth(depth, h0), h0, 3 * depth + 1 if size is None else 2 * depth + size)
    return memory(unit_impulse(h0, receptive_field(depth, h0.shape[-1])), h0, h1, depth, tree_select, size)


def last_samples_matrix(size: int, length: int, dtype: str = "float64") -> np.ndarray:
    """M of the simplest memory: keep the last `size` samples, each as it is. [size, length]

    Examples
    --------
    >>> last_samples_matrix(2, 4)
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]])
    """
    return np.eye(check_int("size", size, 1), check_int("length", length, 1), dtype=dtype)


def past(x: np.ndarray, n: int, length: int) -> np.ndarray:
    """p_n = (x[n], x[n-1], ..., x[n-length+1]), with zeros before the beginning: [..., length].

    Examples
    --------
    >>> past(np.array([1.0, 2.0, 3.0]), n=1, length=4)
    array([2., 1., 0., 0.])
    """
    x = np.asarray(x)
    n = check_int("n", n, 0, x.shape[-1] - 1)
    seen = x[..., max(0, n - length + 1) : n + 1][..., ::-1]
    return np.concatenate((seen, np.zeros((*x.shape[:-1], length - seen.shape[-1]), x.dtype)), axis=-1)


def recover_past(z: np.ndarray, M: np.ndarray) -> np.ndarray:
    """The least-squares reconstruction of the past from the memory alone: the shortest p with M p = z, which is pinv(M) z.

    This is also the projection of the true past onto what the memory measures. For signals of which nothing is known beforehand,
    no linear reconstruction has a smaller error.

    Parameters
    ----------
    z : array [m], or [m, N] for N times at once
    M : array [m, R]

    Returns
    -------
    array [R], or [R, N]
        Entry t is the estimate of x[n-t].

    Examples
    --------
    >>> M, _ = memory_matrix(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> recover_past(M @ np.array([5.0, 3.0, 8.0, 6.0]), M).round(9)  # sharp near n, a mean of two further back
    array([5., 3., 7., 7.])
    """
    return np.linalg.lstsq(M, z, rcond=None)[0]


def forgetting_curve(M: np.ndarray) -> np.ndarray:
    """How much of x[n-t] the memory still holds, for each lag t: the diagonal of pinv(M) M, between 0 and 1. [R]

    It is the share of variance of x[n-t] that the best linear reconstruction explains when x is white noise. The curve sums to
    the rank of M, which is at most m: in all, a memory of m numbers knows as much as m samples.

    Examples
    --------
    >>> M, _ = memory_matrix(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=3)
    >>> forgetting_curve(M).round(9)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25, 0.25, 0.25])
    """
    u, s, vt = np.linalg.svd(M, full_matrices=False)
    known = vt[s > s[0] * max(M.shape) * np.finfo(M.dtype).eps]
    return (known**2).sum(axis=0)


def measured_forgetting(x: np.ndarray, M: np.ndarray) -> np.ndarray:
    """The same on a signal: 1 - (mean squared error of the recovered x[n-t]) / (mean square of x[n-t]), over all n >= R - 1. [R]

    It is below 0 at a lag where zero would be a better estimate than the recovered value. Summed over all lags, the error of the
    projection is never larger than that of zero.

    Examples
    --------
    >>> measured_forgetting(np.array([1.0, 2.0, 3.0, 4.0]), last_samples_matrix(1, 2))
    array([1., 0.])
    """
    R = M.shape[1]
    pasts = np.lib.stride_tricks.sliding_window_view(np.asarray(x, M.dtype), R)[:, ::-1].T  # [R, N]
    error = recover_past(M @ pasts, M) - pasts
    return 1 - (error**2).mean(axis=1) / (pasts**2).mean(axis=1)


def split_output(
    x: np.ndarray,
    h0: np.ndarray,
    h1: np.ndarray,
    w: np.ndarray,
    w_skip: np.ndarray | float,
    *,
    n: int,
    tree_select: str = "fading",
    depth: int | None = None,
) -> tuple[np.ndarray, list[str]]:
    """One output y[n] of one channel, split exactly into what each row of the memory took from each lag.

        parts[r, t] = w[r] M[r, t] x[n-t],        parts[m, 0] = w_skip x[n],        sum of all parts = y[n]

    Parameters
    ----------
    x : array [L];  h0, h1 : arrays [K];  w : array [m];  w_skip : number
    n : int, the time of the output
    tree_select, depth : as for `multires_conv`

    Returns
    -------
    parts : array [m + 1, R]
    names : list of m + 1 str, such as "a3", "b1", "skip"

    Examples
    --------
    >>> x, haar = np.array([1.0, 2.0, 3.0, 4.0]), (np.array([1.0, 1.0]), np.array([1.0, -1.0]))
    >>> parts, names = split_output(x, *haar, np.array([1.0, 0.0, 2.0]), 0.5, n=3)
    >>> dict(zip(names, parts.sum(axis=1).tolist()))
    {'a2': 10.0, 'b2': 0.0, 'b1': 2.0, 'skip': 2.0}
    """
    J, m = (len(w) - 1 if depth is None else depth), len(w)
    M, rows = memory_matrix(h0, h1, J, tree_select, m)
    p = past(x, n, M.shape[1])
    skip = np.zeros_like(p)
    skip[0] = w_skip * p[0]
    return np.concatenate((w[:, None] * M * p, skip[None])), [*map(short_name, rows), "skip"]


def short_name(row: Row) -> str:
    """A row in plain letters, as for a file or a table: "b3", or "b2-4" for b_2 four samples ago.

    Examples
    --------
    >>> from multires_ref import memory_rows
    >>> [short_name(row) for row in memory_rows(2, 2, "uniform", 5)]
    ['a2', 'b2', 'b1', 'b1-2', 'unused']
    """
    if row.kind == "unused":
        return "unused"
    return f"{row.kind}{row.level}" + (f"-{row.lag}" if row.lag else "")


def row_gains(conv: dict[str, np.ndarray], depth: int, tree_select: str = "fading") -> np.ndarray:
    """How much each row of the memory weighs in a layer: |w[d, r]| times the norm of the row's response, [D, m + 1].

    It is the standard deviation that the row adds to channel d's output when the input is white noise of variance 1. The last
    column is the skip's, |w_skip|.

    Parameters
    ----------
    conv : {"h0", "h1" [D, K] or [J, D, K], "w" [D, m], "w_skip" [D]}
        A layer's parameters, as `init_params` lays them out.

    Examples
    --------
    >>> haar = {"h0": np.array([[1.0, 1.0]]), "h1": np.array([[1.0, -1.0]])}
    >>> row_gains(haar | {"w": np.array([[1.0, 0.0, 1.0]]), "w_skip": np.array([0.5])}, depth=2).round(3)
    array([[2.   , 0.   , 1.414, 0.5  ]])
    """
    M, _ = memory_matrix(conv["h0"], conv["h1"], depth, tree_select, conv["w"].shape[1])  # [D, m, R]
    norms = np.sqrt((M**2).sum(axis=-1))
    return np.concatenate((abs(conv["w"]) * norms, abs(conv["w_skip"])[:, None]), axis=1)
