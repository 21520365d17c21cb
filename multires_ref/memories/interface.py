"""What a linear memory is: m numbers, the matrix that says how they depend on the past, a way to update them, and a cost.

At any time n a linear memory holds z_n = M p_n, where p_n = (x[n], x[n-1], x[n-2], ...) is the past, newest sample first, and M
[m, R] is the same at all times, except for a memory that is `time_varying`. A memory is added by one file in this folder: a
class that defines what `Memory` leaves open, under `@register` of `registry.py`.

Time is the last axis of a signal, x [..., T]; the axes before it are channels, which do not influence each other. The m numbers
are the last axis of a state, z [..., m].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from ..base.checks import check_bool, check_floats, check_int
from ..base.compiled import numba_works
from ..base.layer_checks import check_dtype
from .recover import recover_past

MOST_NUMBERS = 2**12  # of a memory: its matrices have this many rows and columns
COMPILED_FROM = 2**13  # numbers updated in one call: below it, loading Numba and its loops is not worth it


class Memory(ABC):
    """A linear memory of `size` numbers for each channel, and its state.

    Parameters
    ----------
    size : int, m
    horizon : int
        For how many samples it is meant. What a memory makes of it is said by its `settings`.
    dtype : "float32" or "float64"
        Of the state and of the samples.

    Attributes
    ----------
    n : int, how many samples it has seen since `reset`
    z : array [..., m], the m numbers now
    state : dict of arrays [C, ...], all that is kept between two samples, for C channels; "z" [C, m] is one of them
    operations : int, multiplications and additions for each sample and channel
    stored : int, numbers kept between two samples for each channel
    reach : int, how many samples back M is not zero to rounding
    settings : str, every free parameter and its value
    """

    name: ClassVar[str]  # what the registry calls it
    title: str  # its name in tables and pictures
    source: ClassVar[str]  # the paper or book
    equation: ClassVar[str]
    time_varying: ClassVar[bool] = False

    def __init__(self, size: int, horizon: int, dtype: str = "float64") -> None:
        self.size = check_int("size", size, 1, MOST_NUMBERS)
        self.horizon = check_int("horizon", horizon, 1)
        self.dtype = check_dtype(dtype)
        self.n = 0
        self.channels: tuple[int, ...] | None = None
        self.state: dict[str, np.ndarray] = {}

    # what each memory defines

    @abstractmethod
    def start(self, channels: int) -> dict[str, np.ndarray]:
        """The state before the first sample: "z" [channels, m], and what else is kept."""

    @abstractmethod
    def advance(self, x: np.ndarray) -> None:
        """Bring `state` from the samples before time n to time n = `self.n`, whose sample is x [channels]."""

    @abstractmethod
    def matrix(self, length: int | None = None, n: int | None = None) -> np.ndarray:
        """M [m, length]: column t weighs x[n-t]. `length` is `reach` if it is not given.

        `n` counts the samples seen and is used by time-varying memories alone, which take the present count if it is not given.
        """

    @property
    @abstractmethod
    def operations(self) -> int:
        """Multiplications and additions for each sample and channel."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """How many samples back M is not zero, to the rounding of float64."""

    @property
    def stored(self) -> int:
        """Numbers kept between two samples for each channel."""
        return self.size

    @property
    def settings(self) -> str:
        """Every free parameter and its value."""
        return f"horizon = {self.horizon}"

    def basis(self, length: int) -> np.ndarray:
        """[length, m]: the memory's own reconstruction of x[n-t] is row t of this, times z.

        Raises
        ------
        ValueError
            For a memory that has none of its own; `recover` is there for all.
        """
        raise ValueError(f"the memory {self.title!r} has no reconstruction of its own: use recover, which is for all")

    def compiled(self) -> Any:
        """A function (x [C, T], state, out [C, T or 0, m]) that does what `advance` does for T samples; None without one."""
        return None

    # what all memories have in common

    @property
    def z(self) -> np.ndarray:
        """The m numbers now: [..., m]."""
        if self.channels is None:
            raise ValueError("the memory has seen nothing: call step, push or reset first")
        return self.state["z"].reshape(*self.channels, self.size).copy()

    def reset(self, channels: tuple[int, ...] = ()) -> None:
        """Forget everything; what comes next has channels of this shape."""
        shape = tuple(check_int("channels", d, 1) for d in channels)
        self.channels, self.n, self.state = shape, 0, self.start(math.prod(shape))

    def step(self, x: np.ndarray | float) -> np.ndarray:
        """Take one sample of every channel, x [...]; returns z [..., m]."""
        return self.push(np.asarray(x, self.dtype)[..., None])

    def push(self, x: np.ndarray, every: bool = False) -> np.ndarray:
        """Take the samples x [..., T] one after the other; returns z [..., m] after the last.

        Parameters
        ----------
        x : array [..., T], of the memory's dtype
        every : bool
            Whether to return z after every sample instead: [..., m, T].

        Raises
        ------
        TypeError, ValueError
            For another dtype, for an empty x, and for other channels than those of the samples before.
        """
        x, every = self.check_samples(x), check_bool("every", every)
        rows = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))  # [C, T]
        out = np.empty((len(rows), rows.shape[1] if every else 0, self.size), self.dtype)
        many = self.compiled() if x.size * self.size >= COMPILED_FROM and numba_works() else None
        if many is None:
            self.advance_all(rows, out)
        else:
            many(rows, self.state, out)
            self.n += rows.shape[1]
        if every:
            return np.moveaxis(out, 1, 2).reshape(*x.shape[:-1], self.size, -1)
        return self.z

    def advance_all(self, rows: np.ndarray, out: np.ndarray) -> None:
        """`advance` for every column of rows [C, T]."""
        for t, x in enumerate(rows.T):
            self.advance(x)
            self.n += 1
            if out.shape[1]:
                out[:, t] = self.state["z"]

    def check_samples(self, x: np.ndarray) -> np.ndarray:
        """x if it is [..., T] of the memory's dtype, with the channels of what came before; the first x decides on them."""
        x = check_floats("x", x, "[..., T]")
        if x.dtype != self.dtype:
            raise TypeError(f"x has dtype {x.dtype} but the memory has {self.dtype}: use x.astype({self.dtype!r})")
        if x.ndim < 1 or 0 in x.shape:
            raise ValueError(f"x must be a non-empty array [..., T]; got shape {x.shape}")
        if self.channels is None or (self.n == 0 and self.channels != x.shape[:-1]):
            self.reset(x.shape[:-1])
        if x.shape[:-1] != self.channels:
            raise ValueError(
                f"x must have the channels of the samples before, {self.channels}; got {x.shape[:-1]}. Call reset first"
            )
        return x

    def recover(self, length: int, z: np.ndarray | None = None) -> np.ndarray:
        """The least-squares reconstruction of the newest `length` samples from z [..., m] alone (the state, if it is not given).

        It is `recover_past` with the whole matrix M, on equal terms for all memories. Entry t of the result [..., length] is the
        estimate of x[n-t].
        """
        z, M = self.z if z is None else np.asarray(z), self.matrix().astype("float64")
        found = recover_past(z.reshape(-1, self.size).T.astype("float64"), M)[:length].T  # [C, at most length]
        padded = np.zeros((len(found), check_int("length", length, 1)))
        padded[:, : found.shape[1]] = found
        return padded.reshape(*z.shape[:-1], length).astype(self.dtype)
