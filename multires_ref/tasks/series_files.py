"""A user's own data set in a file: .npz, .csv or .ts, read into series and labels and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..base.files import regular_file
from .series_csv import read_series_csv
from .series_npz import read_series_npz
from .series_record import SeriesFile
from .series_ts import read_series_ts

READERS: dict[str, Callable[[Path, str | None], SeriesFile]] = {
    ".npz": read_series_npz,
    ".csv": read_series_csv,
    ".ts": read_series_ts,
}


def read_series(path: str | Path, *, label: str | None = None) -> SeriesFile:
    """The series in a file, and their labels where it has some.

    - ``.npz``: an array X [n, L] or [n, channels, L]; y [n] or [n, targets]; for series that are padded at their ends their
      true `lengths` [n].
    - ``.csv``, a line a series (one channel): the cells are its values, one column is the label, a column called id names the
      series. Empty cells at the end of a line make a shorter series.
    - ``.csv``, a line a time step: columns called id and time, the other columns are channels. The label is repeated in every
      line of a series; times are numbers or dates, increase, and are evenly spaced.
    - ``.ts``: the format of the UCR, UEA and TSER archives, without time stamps.

    Columns are separated by commas, semicolons or tabs. The first line of a .csv file holds names if one of them is that of the
    label or id, or if none of its cells is a number.

    Parameters
    ----------
    path : str or Path
    label : str or None
        The column of a .csv file, or the array of an .npz file, that holds the labels; in a .csv file without names the number
        of the column, from 1. None takes the one called label, class, target or y; in a .csv file without names the last column.
        The word "none" says that the file has no labels.

    Returns
    -------
    SeriesFile
        `labels` is None where the file has none; `assumed` says what was taken for granted.

    Raises
    ------
    FileNotFoundError
    ValueError
        One line that names the file, the row and the column: for what is no number, NaN and infinity, missing values, rows of
        unequal width, times that do not increase or are unevenly spaced, and a file that is empty, damaged or of another format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/two.csv").write_text("label,t0,t1,t2\\nup,1,2,3\\ndown,3,2,\\n")
    ...     data = read_series(f"{folder}/two.csv")
    >>> data.series, data.labels, data.assumed
    ([array([[1., 2., 3.]]), array([[3., 2.]])], array(['up', 'down'], dtype='<U4'), ("the column 'label' holds the labels",))
    """
    path = regular_file(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"{path} must end in {', '.join(READERS)}; it ends in {suffix!r}")
    return READERS[suffix](path, label)
