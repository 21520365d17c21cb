"""PTB-XL's files: the table of the recordings, the table of the statements that count as labels, and the recordings.

    ptbxl_database.csv    ecg_id, scp_codes (a Python dict literal: statement -> likelihood), strat_fold, filename_lr, ...
    scp_statements.csv    statement, diagnostic, form, rhythm (flags), diagnostic_class, diagnostic_subclass
    records100/...        12 leads of 10 seconds at 100 Hz in WFDB's format: a header (.hea) that names the file of samples (.dat)

Every error names the file and the line, or the recording. Neither file of a recording may lie outside PTB-XL's folder, and what
the header says is checked before the samples are read. All recordings are cached in one file.

Source: Wagner et al., "PTB-XL, a large publicly available electrocardiography dataset"
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

from ..base.files import read_text, regular_file
from ..base.tensors import read_npz, write_npz

DATABASE, STATEMENTS = "ptbxl_database.csv", "scp_statements.csv"
URL = "https://physionet.org/content/ptb-xl/"
LABEL_COUNTS = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
FOLDS = range(1, 11)
CACHE = "multires_ref_100hz.npz"
LEADS, SAMPLES, RATE = 12, 1000, 100
LARGEST_HEADER = 2**16  # bytes
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


def read_signals(folder: Path, records: list[Record]) -> np.ndarray:
    """The recordings [N, 12, 1000] in millivolts, float32; from the cache in the folder, or read and then cached there.

    A damaged cache is made anew, with a warning that says so.
    """
    ids, cache = np.array([record.ecg_id for record in records]), folder / CACHE
    if cache.exists():
        try:
            signals = read_cache(cache, ids)
        except ValueError as error:
            warnings.warn(f"the cache of the recordings is damaged and is made anew: {error}", stacklevel=2)
            signals = None
        if signals is not None:
            return signals
    signals = read_recordings(folder, records)
    try:
        write_npz(cache, ecg_id=ids, signals=signals)
    except OSError as error:  # a folder that may only be read serves as well, only more slowly
        warnings.warn(f"the recordings are not cached: {error}", stacklevel=2)
    return signals


def read_cache(path: Path, ids: np.ndarray) -> np.ndarray | None:
    """The signals in a cache; None if it holds other recordings; a ValueError if it is damaged."""
    stored = read_npz(path)
    if set(stored) != {"ecg_id", "signals"}:
        raise ValueError(f"{path} must hold ecg_id and signals; it holds {', '.join(sorted(stored)) or 'nothing'}")
    if not np.array_equal(stored["ecg_id"], ids):
        return None
    signals, shape = stored["signals"], (len(ids), LEADS, SAMPLES)
    if signals.shape != shape or signals.dtype != np.float32 or not np.isfinite(signals).all():
        raise ValueError(f"{path} must hold finite float32 signals of shape {shape}; got {signals.dtype} of {signals.shape}")
    return signals


def read_recordings(folder: Path, records: list[Record]) -> np.ndarray:
    """The recordings [N, 12, 1000] of some rows, one by one.

    Raises
    ------
    ValueError
        With the ecg_id and the file of the first recording that is missing, damaged, or leads out of the folder.
    """
    signals = np.empty((len(records), LEADS, SAMPLES), np.float32)
    root = folder.resolve()
    for place, record in zip(signals, records, strict=True):
        try:
            place[...] = read_signal(folder / record.filename, root)
        except (ValueError, OSError) as error:
            raise ValueError(f"ecg_id {record.ecg_id}, {folder / record.filename}: {error}") from None
    return signals


def read_signal(path: Path, root: Path | None = None) -> np.ndarray:
    """One recording [12, 1000], float32; its files must lie in the folder `root` (default: its own)."""
    wfdb, root = import_wfdb(), (root or path.parent.resolve())
    header = inside(path.with_name(f"{path.name}.hea"), root)
    if header.stat().st_size > LARGEST_HEADER:
        raise ValueError(f"its header must be at most {LARGEST_HEADER:,} bytes long; it has {header.stat().st_size:,}")
    try:
        check_header(wfdb.rdheader(str(path)), path, root)
        signal, _ = wfdb.rdsamp(str(path))  # [1000, 12]
    except (ValueError, OSError) as error:
        raise ValueError(f"the recording cannot be read: {error}") from None
    except Exception as error:  # wfdb raises index, key, attribute and its own errors for damaged files
        raise ValueError(f"the recording is damaged: {type(error).__name__}: {error}") from None
    if signal.shape != (SAMPLES, LEADS):
        raise ValueError(f"the recording must be {LEADS} leads of {SAMPLES} samples; got {signal.shape[1]} of {len(signal)}")
    if not np.isfinite(signal).all():
        raise ValueError("the recording holds samples that are not numbers")
    return np.ascontiguousarray(signal.T, np.float32)


def inside(path: Path, root: Path) -> Path:
    """`path` if it is a regular file and, links followed, lies in the folder `root`."""
    if not path.resolve().is_relative_to(root):
        raise ValueError(f"{path} leads out of the folder {root}")
    return regular_file(path)


def check_header(header: object, path: Path, root: Path) -> None:
    """Raise a ValueError unless the header claims 12 leads of 1,000 samples at 100 Hz, in files beside it."""
    claims = [getattr(header, name, None) for name in ("n_sig", "sig_len", "fs")]
    if claims != [LEADS, SAMPLES, RATE]:
        found = f"{claims[0]} of {claims[1]} at {claims[2]} Hz"
        raise ValueError(f"it must be {LEADS} leads of {SAMPLES} samples at {RATE} Hz; got {found}")
    for name in set(getattr(header, "file_name", None) or [""]):
        if Path(name).name != name or not name:
            raise ValueError(f"the header must name a file beside it; got {name[:80]!r}")
        inside(path.with_name(name), root)


def import_wfdb() -> object:
    """The wfdb package, imported when first needed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # wfdb 4.3 uses what pandas 3 calls deprecated
            import wfdb
    except ImportError:
        raise ImportError("reading PTB-XL needs wfdb: pip install wfdb") from None
    return wfdb
