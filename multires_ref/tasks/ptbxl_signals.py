"""PTB-XL's recordings: 12 leads of 10 seconds at 100 Hz in WFDB's format, and a cache of all of them in one file.

A recording is a header (.hea), which names the file of the samples (.dat). Neither may lead out of PTB-XL's folder, and the
header's claims are checked before the samples are read. Every error names the recording.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from ..base.files import regular_file
from ..base.tensors import read_npz, write_npz
from .ptbxl_data import Record

CACHE = "multires_ref_100hz.npz"
LEADS, SAMPLES, RATE = 12, 1000, 100
LARGEST_HEADER = 2**16  # bytes


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
