"""What the compiled operations (`numba_*.py`, extra `fast`) share: how they are compiled, and which arrays they take.

They are held to their definitions in `pointwise.py`, `norms.py`, `channels.py` and `update.py`, with three rules of their own:
- one pass over memory wherever the data allow it, in parallel over rows x[b, d] or tiles of time;
- the pieces of work do not depend on the number of threads, and sums over pieces are taken in a fixed order and in float64: the
  same numbers come out, bit for bit, whatever that number is;
- no `nnan` or `ninf` among the fast-math flags: NaN and inf stay what they are. Arguments are only read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..base.compiled import parallel_njit
from ..engines.threads import POINTWISE, limited

FLOATS = ("float32", "float64")
SUMS = {"contract", "reassoc", "nsz", "arcp"}  # sums may be reordered, which vector instructions need
parallel = parallel_njit(fastmath={"contract"}, error_model="numpy")
parallel_sums = parallel_njit(fastmath=SUMS, error_model="numpy")


def compiled(definition: Callable) -> Callable:
    """Decorate a fast operation: arrays of mixed or other dtypes go to its `definition`; as many threads as it is worth."""

    def decorate(fast: Callable) -> Callable:
        @wraps(fast)
        def run(*args: Any) -> Any:
            floats = {str(a.dtype) for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f"}
            if len(floats) != 1 or not floats.issubset(FLOATS):
                return definition(*args)
            with limited(POINTWISE * max(a.size for a in args if isinstance(a, np.ndarray))):
                return fast(*args)

        return run

    return decorate


def rows(x: Any) -> Any:
    """[..., L] -> [rows, L], contiguous; a view where x is contiguous already."""
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def factors(mask: Any, x: Any) -> Any:
    """A dropout mask [B, D, 1] as one factor for each row of x [B, D, L]: [B D]; ones where there is none."""
    count = x.shape[0] * x.shape[1]
    return np.ones(count, x.dtype) if mask is None else np.broadcast_to(mask, (*x.shape[:2], 1)).reshape(count)
