"""A data set in a .csv file, in one of two layouts: a line for every series, or a line for every time step of every series.

Wide, a line a series; empty cells at the end of a line make a shorter series:

    label,t0,t1,t2
    up,0.1,0.2,0.3

Long, recognised by columns called id and time; every other column is a channel, or the label, which is constant in a series:

    id,time,left,right,label
    a,0,0.1,5,up
    a,1,0.2,6,up
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from ..base.files import read_csv_rows
from .series_record import LABEL_NAMES, NO_LABEL, SeriesFile, as_labels, check_series, number, numbers

Rows = list[tuple[int, list[str]]]  # (line, cells)
SAME_STEP = 1e-5  # two time steps are equal if they differ by no more than this share


def read_series_csv(path: Path, label: str | None = None) -> SeriesFile:
    """The series of a .csv file; see `read_series`."""
    rows = [(line, cells) for line, cells in read_csv_rows(path) if any(cell.strip() for cell in cells)]
    if not rows:
        raise ValueError(f"{path} is empty: it holds no series")
    header = [cell.strip() for cell in rows[0][1]]
    if not is_header(header, label):
        return read_wide(path, rows, [], *label_by_number(path, rows, label))
    rows = rows[1:]
    if not rows:
        raise ValueError(f"{path} is empty: it holds a line of names and no series")
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise ValueError(f"{path}, line 1: two columns are called {twice!r}")
    column, assumed = label_by_name(path, header, label)
    small = [name.lower() for name in header]
    if "time" in small and "id" not in small:
        raise ValueError(f"{path}, line 1: a column called time needs one called id, which says to which series a line belongs")
    read = read_long if {"id", "time"} <= {*small} else read_wide
    return read(path, rows, header, column, assumed)


def is_header(cells: list[str], label: str | None) -> bool:
    """Whether the first line holds names: that of the label, id, or no number at all."""
    known = {*LABEL_NAMES, "id", *([label.lower()] if label and not label.isdigit() else [])}
    return any(cell.lower() in known for cell in cells) or not any(is_number(cell) for cell in cells)


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        number(text, "")
    except ValueError:
        return False
    return True


def label_by_name(path: Path, header: list[str], label: str | None) -> tuple[int | None, tuple[str, ...]]:
    """The label's column in a file with names, counted from 0; None where there is none. And what was assumed."""
    if label == NO_LABEL:
        return None, ()
    if label is not None:
        if label not in header:
            shown = ", ".join(header[:12]) + (", ..." if len(header) > 12 else "")
            raise ValueError(f"{path}, line 1: no column is called {label!r}; the columns are {shown}")
        return header.index(label), ()
    for name in LABEL_NAMES:
        for column, cell in enumerate(header):
            if cell.lower() == name:
                return column, (f"the column {cell!r} holds the labels",)
    return None, ()


def label_by_number(path: Path, rows: Rows, label: str | None) -> tuple[int | None, tuple[str, ...]]:
    """The same in a file without names: the column of that number, from 1, or the last one."""
    width = len(rows[0][1])
    if label == NO_LABEL:
        return None, ("the first line holds numbers, no names",)
    if label is None:
        return width - 1, ("the first line holds values, no names", f"the last column, {width}, holds the labels")
    if not (label.isascii() and label.isdigit() and 1 <= int(label[:9]) <= width):
        raise ValueError(
            f"{path} has no line of names, so the label must be the number of a column, 1 to {width}, or none; got {label!r}"
        )
    return int(label) - 1, ("the first line holds values, no names",)


def read_wide(path: Path, rows: Rows, header: list[str], column: int | None, assumed: tuple[str, ...]) -> SeriesFile:
    """A line a series. A column called id holds the series' names."""
    width, names = len(header or rows[0][1]), [name.lower() for name in header]
    named = names.index("id") if "id" in names else None
    values = [c for c in range(width) if c not in (column, named)]
    shown = [str(c + 1) + (f" ({header[c]})" if header and header[c] else "") for c in values]
    series, labels, ids = [], [], []
    for n, (line, cells) in enumerate(rows, 1):
        where = f"{path}, line {line}"
        check_width(cells, width, where)
        texts = without_empty_end([cells[c] for c in values])
        if not texts:
            raise ValueError(f"{where}: the series is empty")
        series.append(numbers(texts, where, shown[: len(texts)])[None])  # [1, L]
        labels.append(label_in(cells, column, where))
        ids.append(cells[named].strip() if named is not None else str(n))
    check_series(series, path)
    return SeriesFile(series, None if column is None else as_labels(labels), ids, path, assumed)


def check_width(cells: list[str], width: int, where: str) -> None:
    """Raise a ValueError unless the line has as many cells as the first."""
    if len(cells) != width:
        raise ValueError(f"{where}: {len(cells)} columns, but {width} in the first line")


def without_empty_end(cells: list[str]) -> list[str]:
    """The cells up to the last that is not empty.

    Examples
    --------
    >>> without_empty_end(["1", "", "2", "", " "])
    ['1', '', '2']
    """
    last = max((n for n, cell in enumerate(cells, 1) if cell.strip()), default=0)
    return cells[:last]


def label_in(cells: list[str], column: int | None, where: str) -> str:
    """The label of a line, which must not be empty; the empty text where the file has none."""
    if column is None:
        return ""
    if not cells[column].strip():
        raise ValueError(f"{where}, column {column + 1} must hold a label; it is empty")
    return cells[column].strip()


def read_long(path: Path, rows: Rows, header: list[str], column: int | None, assumed: tuple[str, ...]) -> SeriesFile:
    """A line a time step of a series, in the order of time within each series."""
    small = [name.lower() for name in header]
    named, timed = small.index("id"), small.index("time")
    values = [c for c in range(len(header)) if c not in (column, named, timed)]
    if not values:
        raise ValueError(f"{path}, line 1: beside id, time and the label there is no column of values (--label none: no label)")
    shown = [f"{c + 1} ({header[c]})" for c in values]
    clock, samples, labels = Clock(path, timed), {}, {}
    for line, cells in rows:
        where = f"{path}, line {line}"
        check_width(cells, len(header), where)
        name, label = cells[named].strip(), label_in(cells, column, where)
        if (above := labels.setdefault(name, label)) != label:
            raise ValueError(f"{where}, column {(column or 0) + 1}: the label of id {name!r} is {label!r}, but {above!r} above")
        clock.next(name, cells[timed], where)
        samples.setdefault(name, []).append(numbers([cells[c] for c in values], where, shown))
    series = [np.array(x).T for x in samples.values()]  # [channels, L] each
    assumed += (f"the channels are the columns {', '.join(header[c] for c in values)}",)
    return SeriesFile(series, None if column is None else as_labels([*labels.values()]), [*samples], path, assumed)


class Clock:
    """Times that must increase within a series, by the same step everywhere."""

    def __init__(self, path: Path, column: int) -> None:
        self.path, self.column = path, column
        self.last: dict[str, float] = {}
        self.step: float | None = None

    def next(self, name: str, text: str, where: str) -> None:
        """Take the next time of the series `name`; a ValueError if it does not follow the one before by the step."""
        where = f"{where}, column {self.column + 1}"
        time = moment(text, where)
        before, self.last[name] = self.last.get(name), time
        if before is None:
            return
        step = time - before
        if step <= 0:
            raise ValueError(f"{where}: times must increase within a series; {text.strip()!r} does not follow the one before")
        self.step = step if self.step is None else self.step
        rounding = 8 * np.finfo(float).eps * abs(time)
        if abs(step - self.step) > SAME_STEP * self.step + rounding:
            raise ValueError(f"{where}: times must be evenly spaced; the step is {step:g} here and {self.step:g} above")


def moment(text: str, where: str) -> float:
    """A time as a number: a number as it is, a date and time such as 2024-01-31 12:00 in seconds."""
    if not is_number(text):
        try:
            date = datetime.fromisoformat(text.strip())
            return (date - datetime.fromisoformat("1970-01-01").replace(tzinfo=date.tzinfo)).total_seconds()
        except ValueError:
            pass
    return number(text, where)
