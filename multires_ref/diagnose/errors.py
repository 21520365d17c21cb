"""The errors of a report: `measure`, the noise of a sum that cancels, which of two is nearer to a truth, the cells of a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.agreement import Error, measure

__all__ = ["Error", "cancellation_noise", "error_cells", "measure", "nearer"]


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


def error_cells(error: Error | None) -> list[str]:
    """The three numbers of an error as cells; blanks where there is none."""
    if error is None:
        return ["", "", ""]
    return [f"{error.relative:.1e}", f"{error.largest:.1e}", f"{error.ulp:.1f}" if error.ulp < 1e5 else f"{error.ulp:.1e}"]
