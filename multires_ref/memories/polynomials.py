"""Legendre polynomials: their values, and their means over cells of a grid, which are exact integrals of held samples."""

from __future__ import annotations

import numpy as np


def legendre_values(m: int, y: np.ndarray) -> np.ndarray:
    """P_0(y) ... P_{m-1}(y): [m, len(y)], by (k + 1) P_{k+1} = (2 k + 1) y P_k - k P_{k-1}, which is stable for |y| <= 1.

    Examples
    --------
    >>> legendre_values(3, np.array([-1.0, 0.0, 1.0]))
    array([[ 1. ,  1. ,  1. ],
           [-1. ,  0. ,  1. ],
           [ 1. , -0.5,  1. ]])
    """
    y = np.asarray(y, np.float64)
    P = np.ones((max(m, 2), *y.shape))
    P[1] = y
    for k in range(1, m - 1):
        P[k + 1] = ((2 * k + 1) * y * P[k] - k * P[k - 1]) / (k + 1)
    return P[:m]


def legendre_means(m: int, edges: np.ndarray) -> np.ndarray:
    """The mean of P_0 ... P_{m-1} over each cell between neighbouring edges in [-1, 1]: [m, len(edges) - 1].

    The integral of P_k is (P_{k+1} - P_{k-1}) / (2 k + 1), for k = 0 it is y.

    Examples
    --------
    >>> legendre_means(3, np.array([-1.0, 0.0, 1.0])).round(9) + 0.0  # the mean of P_2 over each half is 0
    array([[ 1. ,  1. ],
           [-0.5,  0.5],
           [ 0. ,  0. ]])
    """
    P = legendre_values(m + 1, edges)
    integral = np.empty((m, len(edges)))
    integral[0] = edges
    integral[1:] = (P[2 : m + 1] - P[: m - 1]) / (2 * np.arange(1, m) + 1)[:, None]
    return np.diff(integral, axis=1) / np.diff(edges)
