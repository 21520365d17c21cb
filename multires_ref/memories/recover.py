"""What a memory still knows of the past: linear algebra on its matrix M, the same for all memories.

    z_n = M p_n,        p_n = (x[n], x[n-1], ..., x[n-R+1]),        M [m, R].

The reconstruction is the least-squares one, pinv(M) z_n. NumPy only; nothing here knows which memory M belongs to.
"""

from __future__ import annotations

import numpy as np

from ..base.checks import check_int


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
    >>> from multires_ref.memories import memory_matrix
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
    >>> from multires_ref.memories import memory_matrix
    >>> M, _ = memory_matrix(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=3)
    >>> forgetting_curve(M).round(9)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25, 0.25, 0.25])
    """
    return (decompose(M)[2] ** 2).sum(axis=0)


def decompose(M: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u [m, r], s [r], vt [r, R] with M = u s vt, r being the rank of M: singular values lost in rounding are left out.

    M is factored into L Q first (Q's rows at right angles), as it has many more columns than rows.

    Examples
    --------
    >>> decompose(np.array([[3.0, 4.0, 0.0], [6.0, 8.0, 0.0]]))[1].round(3)
    array([11.18])
    """
    Q, R = np.linalg.qr(M.T)
    u, s, vt = np.linalg.svd(R.T, full_matrices=False)
    known = s > s[0] * max(M.shape) * np.finfo(M.dtype).eps
    return u[:, known], s[known], vt[known] @ Q.T


def recovery_matrix(M: np.ndarray, horizon: int) -> np.ndarray:
    """The first `horizon` rows of pinv(M): [horizon, m]; times z it is what `recover_past` gives, for many z.

    Examples
    --------
    >>> recovery_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]]), horizon=2).round(9)
    array([[0.5, 0. ],
           [0.5, 0. ]])
    """
    u, s, vt = decompose(M)
    return vt[:, :horizon].T @ (u / s).T


def measured_forgetting(x: np.ndarray, M: np.ndarray) -> np.ndarray:
    """The same on a signal: 1 - (mean squared error of the recovered x[n-t]) / (mean square of x[n-t]), over all n >= R - 1. [R]

    It is below 0 at a lag where zero would be a better estimate than the recovered value. Summed over all lags, the error of the
    projection is never larger than that of zero.

    Examples
    --------
    >>> from multires_ref.memories import last_samples_matrix
    >>> measured_forgetting(np.array([1.0, 2.0, 3.0, 4.0]), last_samples_matrix(1, 2))
    array([1., 0.])
    """
    R = M.shape[1]
    pasts = np.lib.stride_tricks.sliding_window_view(np.asarray(x, M.dtype), R)[:, ::-1].T  # [R, N]
    error = recover_past(M @ pasts, M) - pasts
    return 1 - (error**2).mean(axis=1) / (pasts**2).mean(axis=1)
