"""A data set in a .ts file, the format of the UCR, UEA and TSER archives (timeseriesclassification.com).

    # a comment
    @problemName Waves
    @univariate false
    @dimensions 2
    @classLabel true up down
    @data
    0.1,0.2,0.3:5,6,7:up

A line after @data is a series: its channels one after the other, a colon between them, the values of each with commas between,
and at the end the class (`@classLabel true`) or the target (`@targetLabel true`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..base.files import read_text
from .series_record import NO_LABEL, SeriesFile, as_labels, check_series, number, numbers

SWITCHES = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")  # true or false
COUNTS = ("dimensions", "dimension", "serieslength")  # whole numbers; some files say @dimension
OTHERS = ("problemname",)
COMMENTS = ("#", "%")  # what a line that says nothing begins with


@dataclass
class Header:
    """What the lines that begin with @ say, by name in small letters, and the classes that they allow."""

    switches: dict[str, bool] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What stands at the end of every line: "classlabel", "targetlabel", or nothing."""
        return next((name for name in ("classlabel", "targetlabel") if self.switches.get(name)), "")


def read_series_ts(path: Path, label: str | None = None) -> SeriesFile:
    """The series of a .ts file; see `read_series`. `label` can only be none, which leaves the labels out."""
    if label not in (None, NO_LABEL):
        raise ValueError(f"{path}: a .ts file says itself what its labels are: label must be none or not be given; got {label!r}")
    lines = iter(enumerate(read_text(path).removeprefix("\ufeff").splitlines(), 1))
    header = read_header(lines, path)
    series, ends = [], []
    for row, line in lines:
        if line.strip() and not line.lstrip().startswith(COMMENTS):
            x, end = read_line(line.strip(), header, f"{path}, line {row}")
            series.append(x)
            ends.append(end)
    check_series(series, path)
    labels = None
    if header.kind and label != NO_LABEL:
        labels = as_labels(ends) if header.kind == "classlabel" else np.array([float(end) for end in ends])
    return SeriesFile(series, labels, [str(n) for n in range(1, len(series) + 1)], path)


def read_header(lines: Iterator[tuple[int, str]], path: Path) -> Header:
    """The lines down to @data."""
    header = Header()
    for row, line in lines:
        words = line.split()
        if not words or words[0].startswith(COMMENTS):
            continue
        name = words[0].lower().removeprefix("@")
        if not words[0].startswith("@"):
            raise ValueError(f"{path}, line {row}: a line that begins with @ is expected before @data; got {line[:40]!r}")
        if name == "data":
            return checked_header(header, path)
        read_words(header, name, words[1:], f"{path}, line {row}")
    raise ValueError(f"{path} is no .ts file, or is truncated: it has no line @data")


def read_words(header: Header, name: str, words: list[str], where: str) -> None:
    """Take over what one line says."""
    value = words[0].lower() if words else ""
    if name in SWITCHES:
        if value not in ("true", "false"):
            raise ValueError(f"{where}: @{name} must be true or false; got {value!r}")
        header.switches[name] = value == "true"
        if name == "classlabel":
            header.classes = words[1:]
    elif name in COUNTS:
        if not (value.isascii() and value.isdigit() and int(value[:9]) > 0):
            raise ValueError(f"{where}: @{name} must be a whole number above 0; got {value!r}")
        header.counts[name.replace("dimensions", "dimension")] = int(value[:9])
    elif name not in OTHERS:
        known = ", ".join(f"@{known}" for known in (*OTHERS, *SWITCHES, *COUNTS, "data"))
        raise ValueError(f"{where}: @{name} is not known; a .ts file has {known}")


def checked_header(header: Header, path: Path) -> Header:
    """The header if these readers can use it and it does not contradict itself."""
    if header.switches.get("timestamps"):
        raise ValueError(f"{path}: its values have time stamps (@timestamps true), which are not read: give evenly spaced values")
    if header.switches.get("classlabel") and header.switches.get("targetlabel"):
        raise ValueError(f"{path}: @classlabel and @targetlabel cannot both be true")
    if header.switches.get("univariate") and header.counts.get("dimension", 1) != 1:
        raise ValueError(f"{path}: @univariate is true, but @dimensions is {header.counts['dimension']}")
    return header


def read_line(line: str, header: Header, where: str) -> tuple[np.ndarray, str]:
    """One series [channels, L], and what stands at its end."""
    dimensions, end = line.split(":"), ""
    if header.kind:
        *dimensions, end = dimensions
        end = end.strip()
        check_end(end, header, where)
    wanted = header.counts.get("dimension", 1 if header.switches.get("univariate") else None)
    if not dimensions or (wanted is not None and len(dimensions) != wanted):
        expected = f"{wanted or 'at least 1'} dimensions" + (f" and a {header.kind.removesuffix('label')}" if header.kind else "")
        raise ValueError(f"{where}: {expected} are expected, with colons between; got {len(dimensions)} dimensions")
    channels = [read_values(text, where, c) for c, text in enumerate(dimensions, 1)]
    L = header.counts.get("serieslength", len(channels[0])) if header.switches.get("equallength") else len(channels[0])
    for c, values in enumerate(channels, 1):
        if len(values) != L:
            raise ValueError(f"{where}, dimension {c}: {len(values)} values, but {L} are expected")
    return np.array(channels), end


def read_values(text: str, where: str, dimension: int) -> np.ndarray:
    """The values of one dimension; missing ones (?) are refused, as nothing else than numbers is read."""
    cells = text.split(",")
    return numbers(cells, f"{where}, dimension {dimension}", [str(column) for column in range(1, len(cells) + 1)])


def check_end(end: str, header: Header, where: str) -> None:
    """Raise a ValueError unless the end of a line is one of the classes, or a number."""
    if header.kind == "targetlabel":
        number(end, f"{where}, the target")
    elif not end or (header.classes and end not in header.classes):
        known = ", ".join(header.classes[:12]) or "a word"
        raise ValueError(f"{where}: the class must be one of those that @classlabel names, {known}; got {end[:40]!r}")
