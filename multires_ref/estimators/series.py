"""What an estimator is given: series of one or several channels, of equal or unequal lengths, checked and packed into one array.

    [n, L]              n series of one channel
    [n, channels, L]    n series, the layout of aeon and sktime
    a list of arrays    n series of unequal lengths, [L_i] or [channels, L_i] each

float32 and float64 are kept. Every other kind of number (integers, booleans, float16, Python's numbers) becomes float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import check_plain

LAYOUTS = "an array [n, L] or [n, channels, L], or a list of arrays [L_i] or [channels, L_i]"


class Series(NamedTuple):
    """n series one after the other in `flat`: series i begins at starts[i] and is [channels, lengths[i]].

    `width` is X.shape[1] where X was an array, and the number of channels where it was a list.
    """

    flat: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    channels: int
    width: int

    @property
    def count(self) -> int:
        """n."""
        return len(self.lengths)

    def series(self) -> Iterator[np.ndarray]:
        """One series after the other, [channels, L_i]: views of `flat`."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield self.flat[start : start + self.channels * length].reshape(self.channels, length)

    def some(self, which: np.ndarray) -> Series:
        """The series of these numbers, in this order."""
        lengths = self.lengths[which]
        flat = np.concatenate([self.flat[self.starts[i] : self.starts[i] + self.channels * self.lengths[i]] for i in which])
        return Series(flat, self.channels * (np.cumsum(lengths) - lengths), lengths, self.channels, self.width)


def as_series(X: Any, channels: int | None = None) -> Series:
    """X, in one of the layouts above, checked and packed; `channels`, where given, is the number that was seen in fit.

    Raises
    ------
    TypeError
        For a sparse or masked array, and what holds no numbers.
    ValueError
        For complex numbers, text, NaN, infinity, a wrong rank, nothing at all, or a wrong number of channels.

    Examples
    --------
    >>> X = as_series([[1, 2, 3], [4, 5]])
    >>> X.flat, X.lengths, X.channels
    (array([1., 2., 3., 4., 5.]), array([3, 2]), 1)
    """
    check_plain("X", X)
    if hasattr(X, "toarray"):
        raise TypeError(f"X must be {LAYOUTS}; got a sparse {type(X).__name__}. Convert it with X.toarray().")
    packed = pack_list(X) if is_ragged(X) else pack_array(X)
    if channels is not None and packed.channels != channels:
        raise ValueError(f"X must have {channels} channels, as in fit; got {packed.channels}")
    check_finite(packed)
    return packed


def is_ragged(X: Any) -> bool:
    """Whether X is a list (or an array of objects) whose series differ in length, so that no array can hold them."""
    if isinstance(X, np.ndarray) and X.dtype != object:
        return False
    if not isinstance(X, (list, tuple, np.ndarray)) or np.ndim(X[0] if len(X) else 0) == 0:
        return False
    return len({np.shape(series) for series in X}) > 1 or isinstance(X, np.ndarray) and X.ndim == 1


def is_matrix(X: Any) -> bool:
    """Whether X is an array [n, L], or nested lists of that shape; a list of arrays is a list of series.

    Examples
    --------
    >>> is_matrix([[1, 2], [3, 4]]), is_matrix([np.array([1, 2]), np.array([3, 4])])
    (True, False)
    """
    if isinstance(X, (list, tuple)) and all(isinstance(x, np.ndarray) and x.ndim for x in X):
        return False
    return not is_ragged(X) and np.asarray(X).ndim == 2


def pack_array(X: Any) -> Series:
    """[n, L] or [n, channels, L]."""
    x = as_real(X, "X")
    if x.ndim not in (2, 3):
        raise ValueError(f"X must be {LAYOUTS}; its shape is {x.shape}. Reshape your data: one series alone is X[None].")
    n, L, channels = x.shape[0], x.shape[-1], x.shape[1] if x.ndim == 3 else 1
    if n < 1:
        raise ValueError(f"X must hold at least one series: found array with 0 sample(s) (shape={x.shape})")
    if L < 1 or channels < 1:
        what = f"0 feature(s) (shape={x.shape}) while a minimum of 1 is required."
        raise ValueError(f"X must hold at least one sample of one channel in every series: found array with {what}")
    return Series(np.ascontiguousarray(x).reshape(-1), channels * L * np.arange(n), np.full(n, L), channels, x.shape[1])


def pack_list(X: Any) -> Series:
    """A list of arrays [L_i] or [channels, L_i]."""
    series = [np.atleast_2d(one_of_list(x, f"X[{i}]", np.ndim(X[0]))) for i, x in enumerate(X)]
    channels, dtype = len(series[0]), np.result_type(*{x.dtype for x in series})
    for i, x in enumerate(series):
        if len(x) != channels:
            raise ValueError(f"all series of X must have the same number of channels: X[0] has {channels}, X[{i}] has {len(x)}")
    lengths = np.array([x.shape[1] for x in series])
    starts = channels * (np.cumsum(lengths) - lengths)
    return Series(np.concatenate([x.reshape(-1) for x in series]).astype(dtype, copy=False), starts, lengths, channels, channels)


def one_of_list(x: Any, name: str, rank: int) -> np.ndarray:
    """One series of a list."""
    check_plain(name, x)
    x = as_real(x, name)
    if x.ndim != rank or rank not in (1, 2):
        raise ValueError(f"X must be {LAYOUTS}, all of one rank; X[0] has {rank} dimensions, {name} has shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} must hold at least one sample; its shape is {x.shape}")
    return x


def as_real(x: Any, name: str) -> np.ndarray:
    """An array of float32 or float64."""
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} must be {LAYOUTS}; its parts do not fit together: {error}") from None
    if x.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold real numbers; got dtype {x.dtype}")
    if x.dtype.kind == "O":
        return objects_as_real(x, name)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers; got dtype {x.dtype}")
    return x.astype(x.dtype if x.dtype in (np.float32, np.float64) else np.float64, copy=False)


def objects_as_real(x: np.ndarray, name: str) -> np.ndarray:
    """An array of Python objects as float64, if they are numbers."""
    try:
        return x.astype(np.float64)
    except TypeError as error:  # NumPy's words: "float() argument must be a string or a real number, not 'dict'"
        raise TypeError(f"{name} must hold real numbers: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name} must hold real numbers; got objects: {error}") from None


def check_finite(X: Series) -> None:
    """Refuse NaN and infinity, by the place of the first."""
    if np.isfinite(X.flat).all():
        return
    for i, x in enumerate(X.series()):
        bad = np.argwhere(~np.isfinite(x))
        if len(bad):
            c, n = bad[0]
            found = {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}[str(x[c, n])]
            raise ValueError(
                f"X must hold finite numbers, neither NaN nor inf; series {i}, channel {c} holds {found} at sample {n}"
            )
