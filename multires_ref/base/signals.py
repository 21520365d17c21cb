"""A signal of the user's in a file: .npy, .csv or .wav, read into [channels, time] and checked before anything is computed."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from .files import read_csv_rows, regular_file

SUFFIXES = (".npy", ".csv", ".wav")
LARGEST_FILE = 2**28  # bytes


def read_signal(path: str | Path, rate: float | None = None) -> tuple[np.ndarray, float | None]:
    """The signal in a file, and its sampling rate.

    - `.npy`: an array [L], or [channels, L], of whole or floating-point numbers.
    - `.csv`: a line a time step, a column a channel, separated by commas, semicolons or tabs; the first line may hold names.
    - `.wav`: whole numbers become shares of the largest, from -1 to 1; the file says its sampling rate.

    Parameters
    ----------
    path : str or Path
    rate : float or None
        Samples a second, where the file does not say so.

    Returns
    -------
    x : array [channels, L], float64, finite
    rate : float or None, samples a second

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged, holds nothing, something else than numbers, NaN or infinity, or more than two dimensions; if
        `rate` is not positive, or is not what the .wav file says.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/two.csv").write_text("left,right\\n1,4\\n2,5\\n3,6\\n")
    ...     read_signal(f"{folder}/two.csv", rate=100)
    (array([[1., 2., 3.], [4., 5., 6.]]), 100.0)
    """
    path = regular_file(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} must end in {', '.join(SUFFIXES)}; it ends in {path.suffix!r}")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} is too large: {path.stat().st_size:,} bytes, at most {LARGEST_FILE:,} are read")
    if rate is not None and not 0 < rate < float("inf"):
        raise ValueError(f"rate must be a positive number of samples a second; got {rate}")
    x, own_rate = READERS[path.suffix.lower()](path)
    if own_rate is not None and rate is not None and rate != own_rate:
        raise ValueError(f"rate must be {own_rate:g} samples a second, as {path} says, or not be given; got {rate:g}")
    return checked(x, path), own_rate if rate is None else float(rate)


def checked(x: np.ndarray, path: Path) -> np.ndarray:
    """`x` as float64 [channels, L], if it is a signal."""
    if x.dtype.kind not in "iuf":
        raise ValueError(f"{path} must hold whole or floating-point numbers; it holds {x.dtype}")
    if x.ndim not in (1, 2):
        raise ValueError(f"{path} must hold an array [L] or [channels, L]; its shape is {x.shape}")
    if x.size == 0:
        raise ValueError(f"{path} is empty: its shape is {x.shape}")
    x = np.atleast_2d(x).astype(np.float64)
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        c, n = bad[0]
        raise ValueError(f"{path} must hold finite numbers; channel {c} holds {x[c, n]} at step {n} ({len(bad)} such in all)")
    return x


def read_npy(path: Path) -> tuple[np.ndarray, None]:
    """An array; never Python objects, and never more numbers than the file has."""
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False)), None  # a map of the file asks for no memory
    except (OSError, ValueError, EOFError, TypeError, SyntaxError, OverflowError) as error:
        raise ValueError(f"{path} is truncated or is no .npy file of numbers: {error}") from None


def read_csv(path: Path) -> tuple[np.ndarray, None]:
    """Numbers line by line; the first line may be names."""
    rows: list[list[float]] = []
    for line, cells in read_csv_rows(path):
        if not cells or (line == 1 and not any(map(is_number, cells))):
            continue  # an empty line, or the names
        if rows and len(cells) != len(rows[0]):
            raise ValueError(f"{path}, line {line}: {len(cells)} columns, but {len(rows[0])} above")
        wrong = [cell for cell in cells if not is_number(cell)]
        if wrong:
            raise ValueError(f"{path}, line {line}: {wrong[0]!r} is no number")
        rows.append([float(cell) for cell in cells])
    return np.array(rows, dtype=np.float64).T, None


def is_number(text: str) -> bool:
    """Whether Python reads the text as a number; NaN and infinity are, and are refused with their place later."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_wav(path: Path) -> tuple[np.ndarray, float]:
    """The samples, [L] or [channels, L], and the sampling rate."""
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("error", wavfile.WavFileWarning)  # such as a file that ends too early
        warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # notes beside the sound, which nothing here reads
        try:
            rate, samples = wavfile.read(io.BytesIO(path.read_bytes()))
        except Exception as error:  # scipy raises struct.error, ValueError, UnboundLocalError, ... for damaged files
            raise ValueError(f"{path} is truncated or is no .wav file that SciPy reads: {error}") from None
    if rate == 0:
        raise ValueError(f"{path} says that it has 0 samples a second")
    return full_scale(samples).T, float(rate)


def full_scale(samples: np.ndarray) -> np.ndarray:
    """Whole numbers as shares of the largest, from -1 to 1; bytes lie around 128. Floating-point numbers stay.

    Examples
    --------
    >>> full_scale(np.array([-32768, 0, 16384], np.int16)), full_scale(np.array([0, 128, 192], np.uint8))
    (array([-1. ,  0. ,  0.5]), array([-1. ,  0. ,  0.5]))
    """
    if samples.dtype.kind == "f":
        return samples
    if samples.dtype == np.uint8:
        return (samples.astype(np.float64) - 128) / 128
    return samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min)


READERS = {".npy": read_npy, ".csv": read_csv, ".wav": read_wav}
