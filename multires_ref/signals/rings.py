"""What both streams share: the past of every channel in ring buffers, and how it is saved, restored and forgotten."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..base.arrays import Array, family
from ..base.checks import MOST_BYTES, as_plain, check_choice, check_int, check_memory, check_shape
from ..base.compiled import numba_works, require_numba
from ..base.layer_checks import COMPLEX, MAX_DEPTH, Wavelet, as_signal
from ..base.tensors import read_tensors, write_tensors
from .coefficients import check_levels, joined, real_parts
from .filter_bank import as_filter_bank

DTYPES = ("float32", "float64", *COMPLEX)


class Saved:
    """Saves a `state()` with what it belongs to, `_about()`, and restores it."""

    def save(self, path: str | Path) -> None:
        """Write `state()` to a safetensors file (whole or not at all)."""
        write_tensors(path, self.state(), json.dumps({"signal": self._about()}))

    def load(self, path: str | Path) -> None:
        """Restore a state that `save` wrote; one of another stream is refused."""
        state, noted = read_tensors(path)
        if noted.get("signal") != self._about():
            raise ValueError(f"{path} holds the state of another stream, or no stream's: {str(noted)[:200]}")
        self.restore(state)

    def state(self) -> dict[str, np.ndarray]:
        """All that the past has left."""
        raise NotImplementedError

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        raise NotImplementedError

    def _about(self) -> dict[str, Any]:
        """The settings that a state belongs to, as JSON can hold them."""
        raise NotImplementedError


class RingStream(Saved):
    """A causal transform that is given its input sample by sample or chunk by chunk.

    A subclass says how many numbers of the past a channel needs (`lengths`), and advances.
    """

    inverse = False

    def __init__(
        self,
        wavelet: str | Wavelet | tuple[Array, ...],
        level: int,
        shape: Sequence[int] = (),
        *,
        norm: bool = False,
        start_level: int = 0,
        dtype: DTypeLike = "float64",
        engine: str = "auto",
    ) -> None:
        bank = as_filter_bank(wavelet, norm, self.inverse)
        self.level, self.start_level = check_levels(level, start_level)
        self.shape, self.taps = as_shape(shape), bank.taps
        self.dtype = np.dtype(check_choice("dtype", np.dtype(dtype).name, DTYPES))
        self.compiled = finds_numba(engine)
        real = self.dtype.type(0).real.dtype
        self.filters = np.array((bank.g0, bank.g1) if self.inverse else (bank.h0, bank.h1), dtype=real)  # [2, F]
        rows = math.prod(self.shape) * (2 if self.dtype.kind == "c" else 1)
        self._check_size(rows, real.itemsize)
        length = np.array(self.lengths(self.level), np.int64)
        self.rings = np.array(
            [np.cumsum(length) - length, length]
        )  # [2, rings of a channel]: where they begin, and their lengths
        self.ring = np.zeros((rows, int(length.sum())), real)
        self._numbers = () if self.shape or self.dtype.kind == "c" else (float, int, self.dtype.type)  # what one sample may be
        self.time = 0

    def lengths(self, level: int) -> list[int]:
        """The length of each ring of a channel."""
        raise NotImplementedError

    def _check_size(self, rows: int, itemsize: int) -> None:
        """Refuse a level whose rings would be larger than 4 GiB, before they are asked for."""

        def numbers(level: int) -> int:
            return rows * sum(self.lengths(level))

        deepest = next((j for j in range(MAX_DEPTH, 0, -1) if numbers(j) * itemsize <= MOST_BYTES), 0)
        check_memory(f"level={self.level}", numbers(self.level), itemsize, deepest, "levels fit in 4 GiB")

    def reset(self) -> None:
        """Forget everything: the next sample is the first."""
        self.ring[...], self.time = 0, 0

    def state(self) -> dict[str, np.ndarray]:
        """All that the past has left, as a dict of arrays (copies): the rings, and how many samples there were."""
        return {"ring": self.ring.copy(), "time": np.array([self.time], np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from the `state()` of a stream with the same filters, level, shape and dtype."""
        if set(state) != {"ring", "time"}:
            raise ValueError(f"state must hold ['ring', 'time']; got {sorted(state)}")
        check_shape("state['ring']", state["ring"], self.ring.shape, "of this stream")
        check_shape("state['time']", state["time"], (1,), "[1]")
        if state["ring"].dtype != self.ring.dtype:
            raise TypeError(f"state['ring'] must have dtype {self.ring.dtype}; got {state['ring'].dtype}")
        self.time = check_int("state['time']", state["time"][0], 0)
        self.ring[...] = state["ring"]

    def _about(self) -> dict[str, Any]:
        """What a state belongs to."""
        about = {
            "kind": type(self).__name__,
            "filters": self.filters.tolist(),
            "level": self.level,
            "start_level": self.start_level,
        }
        return about | {"shape": list(self.shape), "dtype": str(self.dtype)}

    def _sample(self, x: Array) -> np.ndarray:
        """One sample [*shape] as rows [C, 1] of real numbers; the usual cases first, because a step should take microseconds."""
        if type(x) in self._numbers:
            return np.array([[x]], self.ring.dtype)
        if type(x) is np.ndarray and x.dtype is self.dtype is self.ring.dtype and x.shape == self.shape:
            return x.reshape(-1, 1)
        if type(x) in (int, float, complex) and (self.dtype.kind == "c" or type(x) is not complex):
            x = self.dtype.type(x)
        check_host("x", x)
        return self._rows("x", as_plain("x", x)[..., None])

    def _rows(self, name: str, x: Array) -> np.ndarray:
        """x [*shape, T] as rows [C, T] of real numbers."""
        if type(x) is np.ndarray and x.dtype is self.dtype is self.ring.dtype and x.size and x.shape[:-1] == self.shape:
            return np.ascontiguousarray(x.reshape(-1, x.shape[-1]))  # nothing to convert
        check_host(name, x)
        x = as_signal(x, name, complex_too=True)
        check_shape(name, x, (*self.shape, None), "[*shape, T]")
        if x.dtype != self.dtype:
            raise TypeError(f"{name} must have the stream's dtype {self.dtype}; got {x.dtype} (dtype= sets the stream's)")
        return np.ascontiguousarray(real_parts(x).reshape(len(self.ring), -1))

    def _shaped(self, rows: np.ndarray, *last: int) -> np.ndarray:
        """Rows [..., C, T] as arrays of this stream's shape and dtype, [..., *shape, *last]."""
        before = rows.shape[:-2]
        if self.dtype.kind != "c":
            return rows.reshape(before + self.shape + last)
        parts = rows.reshape(*before, 2, *self.shape, *last)
        return joined(np.moveaxis(parts, len(before), 0), self.dtype)


def check_host(name: str, x: Array) -> None:
    """Raise a TypeError for an array of another library."""
    if family(x) != "numpy":
        raise TypeError(f"{name} must be a NumPy array or a list, as the past of a stream is kept in NumPy arrays; got {type(x)}")


@cache
def loops() -> ModuleType:
    """The compiled loops."""
    from ..engines.numba import taps

    return taps


def as_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of one sample, a tuple of integers of at least 1."""
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"shape must be a tuple, such as () or (3,): the shape of one sample; got {shape!r}")
    return tuple(check_int(f"shape[{n}]", size, 1) for n, size in enumerate(shape))


def finds_numba(engine: str) -> bool:
    """Whether the compiled loops are used: for "auto" where Numba is installed; the numbers are the same, bit for bit."""
    check_choice("engine", engine, ("auto", "numpy", "numba"))
    if engine == "numba":
        require_numba("engine 'numba'")
    return engine == "numba" or (engine == "auto" and numba_works())


def taps_over(x: np.ndarray, ring: np.ndarray, n: int, h: np.ndarray, lag: int, spacing: int) -> np.ndarray:
    """out[t] = sum_k h[k] v[n + t - lag - k spacing] of x [C, T], v from time n on; the ring [C, H] holds v[n - H] ... v[n - 1].

    v[m] stands at the place m mod H.

    Examples
    --------
    >>> ring = np.array([[8.0, 7.0]])  # v[4] and v[3], at time 5
    >>> taps_over(np.array([[1.0, 2.0, 3.0]]), np.array([[8.0, 7.0]]), 5, np.array([1.0, 10.0]), lag=0, spacing=2)
    array([[71., 82., 13.]])
    """
    (_, T), H = x.shape, ring.shape[-1]
    v = np.concatenate((in_order(ring, n), x), axis=-1)  # [C, H + T], the oldest first
    return sum(h[k] * v[:, H - lag - k * spacing : H - lag - k * spacing + T] for k in range(len(h)))


def in_order(ring: np.ndarray, n: int) -> np.ndarray:
    """What a ring [C, H] holds at time n, the oldest first."""
    return np.roll(ring, -(n % ring.shape[-1]), axis=-1)


def write(ring: np.ndarray, x: np.ndarray, n: int) -> None:
    """Put x [C, T], which begins at time n, into the ring [C, H]."""
    H = ring.shape[-1]
    newest = np.concatenate((in_order(ring, n), x), axis=-1)[:, -H:]
    ring[...] = np.roll(newest, (n + x.shape[-1]) % H, axis=-1)
