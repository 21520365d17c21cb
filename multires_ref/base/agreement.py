"""How far two arrays are apart, and whether they agree: the one comparison of `verify`, `compare`, the bench and the tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array


class Error(NamedTuple):
    """The difference between two arrays, and whether it is tolerated."""

    relative: float  # |a - reference| / |reference|, Euclidean norms over the whole array
    largest: float  # max |a - reference|
    ulp: float  # largest, in units in the last place of the largest |reference|
    tolerance: float  # for `relative`, and for `largest` over the largest |reference|
    passed: bool


def measure(a: Array, reference: Array, tolerance: float, noise: float = 0.0, dtype: DTypeLike | None = None) -> Error:
    """How far `a` is from `reference`, the side that is taken to be right and whose size is divided by.

        relative = |a - r| / |r|        largest = max |a - r|        ulp = largest / spacing(max |r|)

    Parameters
    ----------
    a, reference : arrays of the same shape
    tolerance : float
        Neither `relative` nor `largest` / max |r| may exceed it (one wrong element of many hardly shows in a norm),
    noise : float
        or `largest` must not exceed this: for a sum that vanishes by cancellation, the rounding error of its terms.
    dtype : the dtype whose spacing counts; that of `a` by default

    Returns
    -------
    error : Error
        Not passed, whatever the tolerance, where a NaN is on either side, infinities differ (equal ones agree), the shapes do
        not fit, or there is nothing to compare.

    Examples
    --------
    >>> measure(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 2**-51]), tolerance=1e-12).ulp
    1.0
    >>> measure(np.array([np.nan]), np.array([np.nan]), tolerance=1e-12).passed
    False
    """
    a, reference = np.asarray(a), np.asarray(reference)
    if a.shape != reference.shape or a.size == 0:
        return Error(np.inf, np.inf, np.inf, tolerance, False)
    dtype = np.dtype(dtype or a.dtype)
    wide = np.dtype(np.longdouble if dtype == np.longdouble else np.float64)
    if "c" in a.dtype.kind + reference.dtype.kind:
        wide = np.result_type(wide, np.complex128)
    a, r = a.astype(wide), reference.astype(wide)
    same = np.isinf(r) & (a == r)
    a, r = np.where(same, 0, a), np.where(same, 0, r)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - r)
        largest, peak = float(difference.max()), float(np.abs(r).max())
        relative = float(ratio(euclidean(difference), euclidean(np.abs(r))))
        spacing = float(np.spacing(np.asarray(peak, dtype).real)) if dtype.kind in "fc" else 1.0
    ulp = largest / spacing if np.isfinite(peak) and np.isfinite(spacing) else np.inf
    within = relative <= tolerance and ratio(largest, peak) <= tolerance
    return Error(relative, largest, ulp, tolerance, bool(np.isfinite(largest) and (within or largest <= noise)))


def euclidean(array: np.ndarray) -> np.floating:
    """The Euclidean norm, without overflow or underflow of the squares; NaN or infinite where the array is."""
    peak = np.abs(array).max()
    return peak * np.sqrt(np.sum((array / peak) ** 2)) if 0 < peak < np.inf else peak


def ratio(part: float | np.floating, whole: float | np.floating) -> float | np.floating:
    """part / whole; 0 / 0 is 0, as nothing differs there."""
    if whole != 0:
        return part / whole
    return 0.0 if part == 0 else part * np.inf  # NaN stays NaN
