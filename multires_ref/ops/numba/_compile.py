"""What the compiled operations (extra `fast`) have in common: how they are compiled, and which arrays they take.

They are held to their definitions by tests, and keep three rules:
- one pass over memory wherever the data allow it, in parallel over rows x[b, d] or tiles of time;
- the pieces of work do not depend on the number of threads, and sums over pieces are taken in a fixed order and in float64: the
  same numbers come out, bit for bit, whatever that number is;
- no `nnan` or `ninf` among the fast-math flags: NaN and inf stay what they are. Arguments are only read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np

from ...base.arrays import Array
from ...base.compiled import parallel_njit
from ...base.threads import POINTWISE, limited
from ...base.workers import allowed
from ..registry import ArrayFunction

P = ParamSpec("P")
R = TypeVar("R")
FLOATS = (np.dtype("float32"), np.dtype("float64"))
SUMS = {"contract", "reassoc", "nsz", "arcp"}  # sums may be reordered, which vector instructions need
parallel = parallel_njit(fastmath={"contract"}, error_model="numpy")
parallel_sums = parallel_njit(fastmath=SUMS, error_model="numpy")


def compiled(function: ArrayFunction[P, R], pointwise: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate the compiled implementation of an operation or adjoint: it runs on as many threads as the work is worth.

    One that is not pointwise says itself what its work is. Arrays of other dtypes than float32 and float64, or of both, are left
    to the definition.
    """

    def decorate(fast: Callable[P, R]) -> Callable[P, R]:
        @function.implementation("numba")
        @wraps(fast)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            size = largest(args)
            if size is None:
                return function.definition(*args, **kwargs)
            if allowed.most == 1 or not pointwise:  # as inside of small work: there is no number of threads to lower
                return fast(*args, **kwargs)
            with limited(POINTWISE * size):
                return fast(*args, **kwargs)

        return run

    return decorate


def largest(args: tuple[object, ...]) -> int | None:
    """The size of the largest array; None unless all arrays of floating-point numbers are float32, or all float64."""
    size, found = 0, None
    for a in args:
        if isinstance(a, np.ndarray):
            size, dtype = max(size, a.size), a.dtype
            if dtype is not found and dtype.kind == "f":
                if dtype not in FLOATS or found not in (None, dtype):
                    return None
                found = dtype
    return size if found else None


def count_rows(x: Array) -> int:
    """The number of rows of x [..., L]: the units of work of most loops."""
    return x.size // x.shape[-1]


def rows(x: Array) -> Array:
    """[..., L] -> [rows, L], contiguous; a view where x is contiguous already."""
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


@lru_cache(maxsize=16)
def ones(count: int, dtype: np.dtype) -> Array:
    """An array of ones, to be read only."""
    return np.ones(count, dtype)


def factors(mask: Array | None, x: Array) -> Array:
    """A dropout mask [B, D, 1] as one factor for each row of x [B, D, L]: [B D]; ones where there is none."""
    count = x.shape[0] * x.shape[1]
    return ones(count, x.dtype) if mask is None else np.array(np.broadcast_to(mask, (*x.shape[:2], 1))).reshape(count)
