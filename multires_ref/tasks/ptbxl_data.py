"""PTB-XL's files: a table of recordings, a table of diagnostic statements, and the recordings in WFDB's format.

    ptbxl_database.csv    ecg_id, scp_codes (a Python dict literal: statement -> likelihood), strat_fold, filename_lr, ...
    scp_statements.csv    statement, diagnostic, form, rhythm (flags), diagnostic_class, diagnostic_subclass
    records100/...        12 leads, 10 seconds at 100 Hz

Source: Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset" (2020); label sets as in Strodthoff
et al., "Deep learning for ECG analysis" (2021).
"""

from __future__ import annotations

import ast
import csv
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..base.tensors import write_npz

DATABASE, STATEMENTS, CACHE = "ptbxl_database.csv", "scp_statements.csv", "multires_ref_100hz.npz"
URL = "https://physionet.org/content/ptb-xl/"
LABEL_COUNTS = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
LEADS, SAMPLES = 12, 1000


class Record(NamedTuple):
    """One row of the database that is used here."""

    ecg_id: int
    codes: frozenset[str]
    fold: int
    filename: str  # of the 100 Hz recording, without ending


def read_records(folder: Path) -> list[Record]:
    """All rows of ptbxl_database.csv."""
    rows = read_table(folder / DATABASE, ("ecg_id", "scp_codes", "strat_fold", "filename_lr"))
    return [
        Record(
            int(float(row["ecg_id"])), frozenset(codes_of(row["scp_codes"])), int(float(row["strat_fold"])), row["filename_lr"]
        )
        for row in rows
    ]


def codes_of(literal: str) -> dict[str, float]:
    """The dict in a cell, read as a literal: nothing in the file can run.

    Examples
    --------
    >>> codes_of("{'NORM': 100.0, 'SR': 0.0}")
    {'NORM': 100.0, 'SR': 0.0}
    """
    try:
        codes = ast.literal_eval(literal)
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise ValueError(f"scp_codes must be a dict such as {{'NORM': 100.0}}; got {literal[:80]!r}")
    return codes


def read_table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file that must have these columns."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        absent = [name for name in columns if name not in (reader.fieldnames or ())]
        if absent:
            raise ValueError(f"{path} lacks the columns {', '.join(absent)}; it has {', '.join(reader.fieldnames or ['none'])}")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def label_map(folder: Path, label_set: str) -> dict[str, str]:
    """Which statement counts as which label of the set; statements outside of it are absent.

    The statements themselves for all, diagnostic, form and rhythm; their subclass or class for sub- and superdiagnostic.
    """
    rows = read_table(folder / STATEMENTS, ("diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"))
    statement = next(iter(rows[0]))  # the first column, which has no name in the original
    if label_set == "all":
        return {row[statement]: row[statement] for row in rows}
    flag = "diagnostic" if label_set.endswith("diagnostic") else label_set
    column = {"subdiagnostic": "diagnostic_subclass", "superdiagnostic": "diagnostic_class"}.get(label_set, statement)
    chosen = [row for row in rows if row[flag] and float(row[flag]) == 1]
    return {row[statement]: row[column] for row in chosen if row[column]}


def label_matrix(records: list[Record], mapping: dict[str, str]) -> tuple[np.ndarray, list[str]]:
    """Labels [N, C] of 0 and 1, float32, and their names in alphabetical order."""
    names = sorted(set(mapping.values()))
    column = {name: c for c, name in enumerate(names)}
    y = np.zeros((len(records), len(names)), np.float32)
    for row, record in zip(y, records, strict=True):
        for code in record.codes & mapping.keys():
            row[column[mapping[code]]] = 1
    return y, names


def read_signals(folder: Path, records: list[Record]) -> np.ndarray:
    """The recordings [N, 12, 1000] in millivolts, float32; from the cache in the folder, or read and then cached there."""
    ids = np.array([record.ecg_id for record in records])
    cache = folder / CACHE
    if cache.exists():
        with np.load(cache, allow_pickle=False) as z:
            if np.array_equal(z["ecg_id"], ids):
                return z["signals"]
    signals = np.stack([read_signal(folder / record.filename) for record in records])
    try:
        write_npz(cache, ecg_id=ids, signals=signals)
    except OSError as error:  # a folder that may only be read serves as well, only more slowly
        warnings.warn(f"the recordings are not cached: {error}", stacklevel=2)
    return signals


def read_signal(path: Path) -> np.ndarray:
    """One recording [12, 1000], float32."""
    wfdb = import_wfdb()
    signal, fields = wfdb.rdsamp(str(path))  # [1000, 12]
    if signal.shape != (SAMPLES, LEADS) or fields["fs"] != 100:
        found = f"{signal.shape[1]} of {len(signal)} at {fields['fs']} Hz"
        raise ValueError(f"{path} must be {LEADS} leads of {SAMPLES} samples at 100 Hz; got {found}")
    if not np.isfinite(signal).all():
        raise ValueError(f"{path} holds samples that are not numbers")
    return np.ascontiguousarray(signal.T, np.float32)


def import_wfdb() -> object:
    """The wfdb package, imported when first needed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # wfdb 4.3 uses what pandas 3 calls deprecated
            import wfdb
    except ImportError:
        raise ImportError("reading PTB-XL needs wfdb: pip install wfdb") from None
    return wfdb
