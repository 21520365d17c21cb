"""What every reader of a data set's file returns, and the checks that they share: of one number, of a series, of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

LABEL_NAMES = ("label", "class", "target", "y")  # of a column, or of an .npz file's array, that is taken for the labels
NO_LABEL = "none"  # `label` for a file whose columns are all values


class SeriesFile(NamedTuple):
    """A data set as it stands in a file.

    Parameters
    ----------
    series : list of arrays [channels, L_i], float64, finite
    labels : array [n] of numbers or texts, array [n, targets] of numbers, or None
        Classes or targets, one a series; None where the file has none.
    names : list of str, one a series
        Its id where the file has one, otherwise its number, from 1.
    path : Path
    assumed : tuple of str
        What the reader took for granted because the file does not say it, a phrase each, to be shown.
    """

    series: list[np.ndarray]
    labels: np.ndarray | None
    names: list[str]
    path: Path
    assumed: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """The number of channels, which all series share."""
        return len(self.series[0])


def number(text: str, where: str) -> float:
    """The finite number in a cell; a ValueError that begins with `where` for anything else.

    Examples
    --------
    >>> number(" 1.5", "heart.csv, line 3, column 2")
    1.5
    >>> number("?", "heart.csv, line 3, column 2")
    Traceback (most recent call last):
        ...
    ValueError: heart.csv, line 3, column 2 must hold a finite number; it holds '?'
    """
    try:
        value = math.nan if "_" in text else float(text)  # Python would read 1_000 as a number
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        held = f"it holds {text.strip()[:40]!r}" if text.strip() else "it is empty"
        raise ValueError(f"{where} must hold a finite number; {held}")
    return value


def numbers(texts: Sequence[str], where: str, columns: Sequence[str]) -> np.ndarray:
    """All of a line's cells as finite numbers [len(texts)]; an error names the column as `columns` has it."""
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        values = np.full(len(texts), np.nan)
    if not np.isfinite(values).all() or any("_" in text for text in texts):
        values = np.array([number(text, f"{where}, column {column}") for text, column in zip(texts, columns, strict=True)])
    return values


def as_labels(texts: Sequence[str]) -> np.ndarray:
    """Labels as whole numbers or numbers where all texts are, and no two texts become the same number; otherwise as texts.

    Examples
    --------
    >>> as_labels(["1", "-1"]), as_labels(["1.5", "2"]), as_labels(["01", "1"])
    (array([ 1, -1]), array([1.5, 2. ]), array(['01', '1'], dtype='<U2'))
    """
    for convert in (int, float):
        try:
            values = np.array([convert(text) for text in texts])
        except (ValueError, OverflowError):
            continue
        finite = values.dtype.kind in "if" and bool(np.isfinite(values).all())
        if finite and not any("_" in text for text in texts) and len(set(texts)) == len(set(values.tolist())):
            return values
    return np.array(list(texts), dtype=str)


def check_series(series: Sequence[np.ndarray], path: Path) -> None:
    """Raise a ValueError if there is no series, or one has other channels than the first.

    An empty series is refused where it is read, since only there its place is known.
    """
    if not series:
        raise ValueError(f"{path} is empty: it holds no series")
    for row, x in enumerate(series, 1):
        if len(x) != len(series[0]):
            raise ValueError(f"{path}, series {row}: it has {len(x)} channels; the series above have {len(series[0])}")
