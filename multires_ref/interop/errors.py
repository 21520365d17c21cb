"""How two arrays differ, in the three ways a report shows, and which of two is nearer to a truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Error(NamedTuple):
    """The difference between two arrays, and whether it is tolerated."""

    relative: float  # |a - reference| / |reference|, Euclidean norms over the whole array
    largest: float  # max |a - reference|
    ulp: float  # largest, in units in the last place of the largest |reference|
    tolerance: float  # for `relative`
    passed: bool


def measure(a: Any, reference: Any, tolerance: float, noise: float = 0.0, dtype: Any = None) -> Error:
    """How far `a` is from `reference`, the side that is taken to be right and whose size is divided by.

        relative = |a - r| / |r|        largest = max |a - r|        ulp = largest / spacing(max |r|)

    Parameters
    ----------
    a, reference : arrays of the same shape
    tolerance : float
        `relative` must not exceed it,
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
    wide = np.longdouble if dtype == np.longdouble else np.float64
    a, r = a.astype(wide), reference.astype(wide)
    same = np.isinf(r) & (a == r)
    a, r = np.where(same, 0, a), np.where(same, 0, r)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(a - r)
        largest, peak = float(difference.max()), float(np.abs(r).max())
        relative = float(ratio(euclidean(difference), euclidean(r)))
        spacing = float(np.spacing(dtype.type(peak))) if dtype.kind == "f" else 1.0
    ulp = largest / spacing if np.isfinite(peak) and np.isfinite(spacing) else np.inf
    return Error(relative, largest, ulp, tolerance, bool(np.isfinite(largest) and (relative <= tolerance or largest <= noise)))


def euclidean(array: np.ndarray) -> Any:
    """The Euclidean norm, without overflow or underflow of the squares; NaN or infinite where the array is."""
    peak = np.abs(array).max()
    return peak * np.sqrt(np.sum((array / peak) ** 2)) if 0 < peak < np.inf else peak


def ratio(part: Any, whole: Any) -> Any:
    """part / whole; 0 / 0 is 0, as nothing differs there."""
    return part / whole if whole != 0 else 0.0 if part == 0 else np.inf if part == part else part


def cancellation_noise(terms: Any) -> float:
    """The rounding error that a sum of `terms` [B, C, L] or [B, C] over all axes but the channels may have: 8 eps sum |terms|.

    The gradient of a bias is such a sum, of what arrives at its layer's output; before a BatchNorm in training it is exactly
    0, and two programs that add in another order differ by this much.

    Examples
    --------
    >>> cancellation_noise(np.float64([[1.0], [-1.0]])) == 16 * 2.0**-52
    True
    """
    terms = np.asarray(terms)
    return float(8 * np.finfo(terms.dtype).eps * np.abs(terms).sum(axis=(0, 2)[: terms.ndim - 1]).max())


def nearer(ours: Any, theirs: Any, truth: Any) -> str:
    """ "ours", "PyTorch" or "same": which float32 result is nearer (in norm, by more than a tenth) to the float64 truth.

    Examples
    --------
    >>> nearer(np.float32([1.0]), np.float32([1.1]), np.float64([1.0]))
    'ours'
    """
    truth = np.asarray(truth, np.float64)
    ours, theirs = (float(np.linalg.norm((np.asarray(a, np.float64) - truth).ravel())) for a in (ours, theirs))
    if ours <= 1.1 * theirs and theirs <= 1.1 * ours:
        return "same"
    return "ours" if ours < theirs else "PyTorch"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first column to the left, the others to the right.

    Examples
    --------
    >>> print(text_table(["layer", "error"], [["conv", "1e-16"], ["gelu", "0"]]))
    layer  error
    conv   1e-16
    gelu       0
    """
    wide = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(w) if n else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, wide, strict=True))
        ).rstrip()

    return "\n".join(line(row) for row in [header, *rows])


def error_cells(error: Error | None) -> list[str]:
    """The three numbers of an error as cells; blanks where there is none."""
    if error is None:
        return ["", "", ""]
    return [f"{error.relative:.1e}", f"{error.largest:.1e}", f"{error.ulp:.1f}" if error.ulp < 1e5 else f"{error.ulp:.1e}"]
