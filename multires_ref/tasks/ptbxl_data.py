"""PTB-XL's tables: the recordings with their statements, and which statements count as labels.

    ptbxl_database.csv    ecg_id, scp_codes (a Python dict literal: statement -> likelihood), strat_fold, filename_lr, ...
    scp_statements.csv    statement, diagnostic, form, rhythm (flags), diagnostic_class, diagnostic_subclass
    records100/...        the recordings: see `ptbxl_signals.py`

Every error names the file and the line. Source: Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset"
(2020); label sets as in Strodthoff et al., "Deep learning for ECG analysis" (2021).
"""

from __future__ import annotations

import ast
import csv
import io
import math
import warnings
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from ..base.files import read_text

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
URL = "https://physionet.org/content/ptb-xl/"
LABEL_COUNTS = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
FOLDS = range(1, 11)
LONGEST_CELL = 10_000  # characters of scp_codes; the longest in PTB-XL has about 200


class Record(NamedTuple):
    """One row of the database that is used here."""

    ecg_id: int
    codes: frozenset[str]
    fold: int
    filename: str  # of the 100 Hz recording, without ending


def read_records(folder: Path) -> list[Record]:
    """All rows of ptbxl_database.csv.

    Raises
    ------
    ValueError
        With the file and the line: for numbers, folds, statements or file names that cannot be, and for an ecg_id given twice.
    """
    path, records, seen = folder / DATABASE, [], {}
    for line, row in read_table(path, ("ecg_id", "scp_codes", "strat_fold", "filename_lr")):
        try:
            record = read_record(row)
        except ValueError as error:
            raise ValueError(f"{path}, line {line} (ecg_id {row['ecg_id'][:20]}): {error}") from None
        if record.ecg_id in seen:
            raise ValueError(f"{path}, line {line}: ecg_id {record.ecg_id} stands in line {seen[record.ecg_id]} too")
        seen[record.ecg_id] = line
        records.append(record)
    return records


def read_record(row: dict[str, str]) -> Record:
    """One row, checked."""
    fold = whole_number("strat_fold", row["strat_fold"])
    if fold not in FOLDS:
        raise ValueError(f"strat_fold must be between {FOLDS[0]} and {FOLDS[-1]}; got {fold}")
    number, codes = whole_number("ecg_id", row["ecg_id"]), frozenset(codes_of(row["scp_codes"]))
    return Record(number, codes, fold, check_filename(row["filename_lr"]))


def whole_number(name: str, text: str) -> int:
    """The number in a cell, written as 7 or as 7.0.

    Examples
    --------
    >>> whole_number("strat_fold", "7.0")
    7
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer() or abs(number) >= 2**53:
        raise ValueError(f"{name} must be a whole number; got {text[:40]!r}")
    return int(number)


def check_filename(name: str) -> str:
    """`name` if it stays in PTB-XL's folder, whatever it is joined to."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.isprintable():
        raise ValueError(f"filename_lr must be a path inside the folder, such as 'records100/00000/00001_lr'; got {name[:80]!r}")
    return name


def codes_of(literal: str) -> dict[str, float]:
    """The dict in a cell, read as a literal: nothing in the file can run.

    Examples
    --------
    >>> codes_of("{'NORM': 100.0, 'SR': 0.0}")
    {'NORM': 100.0, 'SR': 0.0}
    """
    codes = None
    if len(literal) <= LONGEST_CELL:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SyntaxWarning
                codes = ast.literal_eval(literal)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # the last two: nested too deeply
            pass
    good = isinstance(codes, dict) and all(isinstance(k, str) and type(v) in (int, float) for k, v in codes.items())
    if not good:
        raise ValueError(f"scp_codes must be a dict such as {{'NORM': 100.0}}; got {literal[:80]!r}")
    return codes


def read_table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file that must have these columns, each with the number of its (last) line."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows = []
    try:
        absent = [name for name in columns if name not in (reader.fieldnames or ())]
        if absent:
            raise ValueError(f"{path} lacks the columns {', '.join(absent)}; it has {', '.join(reader.fieldnames or ['none'])}")
        for row in reader:
            if None in row or None in row.values():
                found = "more" if None in row else "fewer"
                raise ValueError(f"{path}, line {reader.line_num}: {len(reader.fieldnames)} cells are expected; it has {found}")
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: this is no row of a CSV file: {error}") from None
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def label_map(folder: Path, label_set: str) -> dict[str, str]:
    """Which statement counts as which label of the set; statements outside of it are absent.

    The statements themselves for all, diagnostic, form and rhythm; their subclass or class for sub- and superdiagnostic.
    """
    path = folder / STATEMENTS
    rows = read_table(path, ("diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"))
    statement = next(iter(rows[0][1]))  # the first column, which has no name in the original
    flag = "diagnostic" if label_set.endswith("diagnostic") else label_set
    column = {"subdiagnostic": "diagnostic_subclass", "superdiagnostic": "diagnostic_class"}.get(label_set, statement)
    labels: dict[str, str] = {}
    seen = set()
    for line, row in rows:
        if row[statement] in seen:
            raise ValueError(f"{path}, line {line}: statement {row[statement][:40]!r} stands there twice")
        seen.add(row[statement])
        if (label_set == "all" or is_set(row[flag], f"{path}, line {line}: {flag}")) and row[column]:
            labels[row[statement]] = row[column]
    return labels


def is_set(cell: str, where: str) -> bool:
    """Whether a flag is 1; a ValueError that begins with `where` unless it is 1, 0 or empty."""
    if cell not in ("", "0", "0.0", "1", "1.0"):
        raise ValueError(f"{where} must be 1.0, 0.0 or empty; got {cell[:40]!r}")
    return cell.startswith("1")


def label_matrix(records: list[Record], mapping: dict[str, str]) -> tuple[np.ndarray, list[str]]:
    """Labels [N, C] of 0 and 1, float32, and their names in alphabetical order."""
    names = sorted(set(mapping.values()))
    column = {name: c for c, name in enumerate(names)}
    y = np.zeros((len(records), len(names)), np.float32)
    for row, record in zip(y, records, strict=True):
        for code in record.codes & mapping.keys():
            row[column[mapping[code]]] = 1
    return y, names
