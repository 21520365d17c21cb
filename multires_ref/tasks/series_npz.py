"""A data set in an .npz file: X [n, L] or [n, channels, L], and where there are some, y and the lengths of padded series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..base.tensors import read_npz
from .series_record import LABEL_NAMES, NO_LABEL, SeriesFile


def read_series_npz(path: Path, label: str | None = None) -> SeriesFile:
    """The arrays X, y (or the one called `label`) and lengths of an .npz file; see `read_series`."""
    arrays = read_npz(path)
    if "X" not in arrays:
        raise ValueError(f"{path} must hold an array called X, of shape [n, L] or [n, channels, L]; it holds {names(arrays)}")
    X = checked_X(arrays["X"], path)
    lengths = checked_lengths(arrays.get("lengths"), X, path)
    series = [x[:, :length] for x, length in zip(X, lengths.tolist(), strict=True)]
    check_finite(series, path)
    rows = [str(row) for row in range(1, len(X) + 1)]
    return SeriesFile([x.astype(np.float64) for x in series], labels_in(arrays, len(X), label, path), rows, path)


def names(arrays: dict[str, np.ndarray]) -> str:
    """The arrays of a file, in words."""
    return ", ".join(arrays) or "nothing"


def checked_X(X: np.ndarray, path: Path) -> np.ndarray:
    """X as [n, channels, L]; a ValueError for what is no array of real numbers in one of the two shapes."""
    if X.dtype.kind not in "iufb":
        raise ValueError(f"{path}: X must hold real numbers; its dtype is {X.dtype}")
    if X.ndim not in (2, 3):
        raise ValueError(f"{path}: X must have shape [n, L] or [n, channels, L]; got {X.shape}")
    if X.size == 0:
        raise ValueError(f"{path} is empty: X has shape {X.shape}")
    return X[:, None, :] if X.ndim == 2 else X


def checked_lengths(lengths: np.ndarray | None, X: np.ndarray, path: Path) -> np.ndarray:
    """The true length of every series [n]: all of X's, where the file has no lengths."""
    n, L = len(X), X.shape[-1]
    if lengths is None:
        return np.full(n, L)
    if lengths.shape != (n,) or lengths.dtype.kind not in "iu":
        raise ValueError(f"{path}: lengths must be {n} whole numbers; got {lengths.dtype} of shape {lengths.shape}")
    for row in np.flatnonzero((lengths < 1) | (lengths > L))[:1]:
        raise ValueError(f"{path}: lengths must be between 1 and {L}, as X has it; row {row + 1} says {lengths[row]}")
    return lengths


def check_finite(series: list[np.ndarray], path: Path) -> None:
    """Raise a ValueError with the place of the first NaN or infinity."""
    for row, x in enumerate(series, 1):
        for channel, column in np.argwhere(~np.isfinite(x))[:1] + 1:
            what = f"{path}, X, row {row}, channel {channel}, column {column}"
            raise ValueError(f"{what} must hold a finite number; it holds {x[channel - 1, column - 1]}")


def labels_in(arrays: dict[str, np.ndarray], n: int, label: str | None, path: Path) -> np.ndarray | None:
    """The labels [n] or [n, targets]: the array called `label`, or the first of `LABEL_NAMES` that the file has."""
    if label == NO_LABEL:
        return None
    name = label if label is not None else next((name for name in LABEL_NAMES if name in arrays), None)
    if name is None:
        return None
    if name not in arrays or name in ("X", "lengths"):
        raise ValueError(f"{path} has no labels called {name!r}; it holds {names(arrays)}")
    y = arrays[name]
    if len(y.shape) not in (1, 2) or len(y) != n or y.size == 0 or y.dtype.kind not in "iufbU":
        raise ValueError(f"{path}: {name} must hold {n} labels, [n] or [n, targets]; got {y.dtype} of shape {y.shape}")
    for row in np.flatnonzero(~np.isfinite(y.reshape(n, -1)).all(axis=1))[:1] if y.dtype.kind == "f" else ():
        raise ValueError(f"{path}, {name}, row {row + 1} must be finite; it holds {y[row]}")
    return y
