"""How two arrays differ, in the three ways a report shows, and which of two is nearer to a truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Error(NamedTuple):
    """The difference between two arrays, and whether it is tolerated."""

    relative: float  # |a - b| / |b|, Euclidean norms over the whole array
    largest: float  # max |a - b|
    ulp: float  # largest, in units in the last place of the largest |b|
    tolerance: float  # for `relative`
    passed: bool


def measure(a: Any, b: Any, tolerance: float, scale: float = 0.0, dtype: Any = None) -> Error:
    """How far `a` is from the reference `b`.

        relative = |a - b| / |b|        largest = max |a - b|        ulp = largest / spacing(max |b|)

    Parameters
    ----------
    a, b : arrays of the same shape
    tolerance : float
        `relative` must not exceed it,
    scale : float
        or `largest` must not exceed tolerance * scale: for a gradient that vanishes by cancellation, the size of its terms.
    dtype : the dtype whose spacing counts; that of `a` by default

    Examples
    --------
    >>> measure(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 2**-51]), tolerance=1e-12).ulp
    1.0
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"a and b must have the same shape; got {a.shape} and {b.shape}")
    dtype = np.dtype(dtype or a.dtype)
    wide = np.longdouble if dtype == np.longdouble else np.float64
    difference, b = a.astype(wide) - b.astype(wide), b.astype(wide)
    norm, largest, peak = np.linalg.norm(b.ravel()), abs_max(difference), abs_max(b)
    distance = np.linalg.norm(difference.ravel())
    relative = float(distance / norm) if norm else float(0.0 if distance == 0 else np.inf)
    ulp = largest / float(np.spacing(dtype.type(peak))) if np.isfinite(peak) else np.inf
    passed = np.isfinite(largest) and (relative <= tolerance or largest <= tolerance * scale)
    return Error(relative, largest, ulp, tolerance, bool(passed))


def abs_max(array: np.ndarray) -> float:
    """The largest absolute value; 0 for an empty array, NaN if there is one."""
    return float(np.abs(array).max()) if array.size else 0.0


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
