"""Large arrays whose memory is used again, from one training step to the next.

A large new array costs more than its arithmetic: the operating system gives memory page by page, sets every page to zero when it
is first touched, and takes it back when the array is gone. In a training step of a small network this was a quarter of the time.
All steps of a run make arrays of the same sizes, so a run keeps them: inside `with buffers:` the function `empty`, by which the
fast operations make their results, hands out memory of an earlier step that nobody looks at any more.

Whether somebody does, Python's own count of references says: an array in use, or any view of it, holds its buffer. So a result
that is kept keeps its memory for itself, for as long as it lives.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array

SMALLEST = 2**16  # bytes: for smaller arrays NumPy and the C library keep memory themselves


class Buffers:
    """The memory that a run uses again, in ``with buffers:`` sections. It is given back when this object is gone.

    Examples
    --------
    >>> buffers = Buffers()
    >>> with buffers:
    ...     first = empty((100, 1000), "float32")
    ...     place = first.ctypes.data
    ...     second = empty((100, 1000), "float32")
    ...     del first
    ...     third = empty((1000, 100), "float32")
    >>> second.ctypes.data == place, third.ctypes.data == place
    (False, True)
    """

    def __init__(self) -> None:
        self.kept: defaultdict[int, list[Array]] = defaultdict(list)  # by their numbers of bytes
        self.outer: list[Buffers | None] = []

    def __enter__(self) -> Buffers:
        self.outer.append(current.buffers)
        current.buffers = self
        return self

    def __exit__(self, *error: object) -> None:
        current.buffers = self.outer.pop()

    def take(self, n: int) -> Array:
        """n bytes that nobody looks at."""
        kept = self.kept[n]
        for i in range(len(kept)):
            if holders(kept, i) == NOBODY:
                return kept[i]
        kept.append(np.empty(n, np.uint8))
        return kept[-1]

    @property
    def nbytes(self) -> int:
        """The bytes of all the memory that is kept."""
        return sum(n * len(kept) for n, kept in self.kept.items())


class Current(threading.local):
    """The buffers of the section that this Python thread is in."""

    buffers: Buffers | None = None


def used_again() -> Buffers:
    """The buffers of this section, or new ones: for a calculation with several large arrays of which few are needed at a time."""
    return current.buffers or Buffers()


def holders(arrays: list[Array], i: int) -> int:
    """How many references there are to an array of a list, as this Python counts them."""
    return sys.getrefcount(arrays[i])


current = Current()
NOBODY = holders([np.empty(1)], 0) if hasattr(sys, "getrefcount") else -1  # -1: without a count nothing is used again


def empty(shape: Sequence[int], dtype: DTypeLike) -> Array:
    """`np.empty(shape, dtype)`, in memory that is used again where a section says so."""
    if current.buffers is None:
        return np.empty(shape, dtype)
    dtype = np.dtype(dtype)
    n = math.prod(shape) * dtype.itemsize
    if n < SMALLEST:
        return np.empty(shape, dtype)
    return current.buffers.take(n).view(dtype).reshape(shape)
