"""How many threads the engines and fused operations use: what the user allowed, and never more.

The smallest of: MULTIRES_NUM_THREADS or `set_num_threads`; OMP_NUM_THREADS; the processors this process may run on. Numba's
own settings (NUMBA_NUM_THREADS, numba.set_num_threads) can lower it further. BLAS has settings of its own (OMP_NUM_THREADS
among them); `threadpoolctl` changes them from inside a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..checks import check_int

WORTH = 2**19  # numbers handled, some 100 microseconds, that make it worth waking another thread
_chosen: int | None = None  # by set_num_threads


def set_num_threads(n: int | None) -> None:
    """Use at most n threads from now on; None goes back to what the environment says."""
    global _chosen
    _chosen = None if n is None else check_int("n", n, 1)


def from_environment(name: str) -> int | None:
    """The number in an environment variable (the first of a list such as "4,2"); None where there is none to use."""
    value = os.environ.get(name, "").partition(",")[0].strip()
    return int(value) if value.isdigit() and int(value) > 0 else None


def num_threads() -> int:
    """The number of threads to use.

    Examples
    --------
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(None)
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        allowed = os.cpu_count() or 1
    wishes = (_chosen or from_environment("MULTIRES_NUM_THREADS"), from_environment("OMP_NUM_THREADS"))
    return min([allowed, *(n for n in wishes if n)])


# Numba's pool is made once, for NUMBA_NUM_THREADS, all processors by default; where it runs on OpenMP, making it also sets how
# many threads PyTorch uses. So it is made for what the user allowed, and PyTorch keeps what it was told.
if "numba" not in sys.modules:
    os.environ.setdefault("NUMBA_NUM_THREADS", str(num_threads()))


@contextmanager
def limited(work: int | None = None) -> Iterator[None]:
    """Numba's parallel loops inside use at most `num_threads()` threads, and one for each WORTH of `work` (numbers handled)."""
    import numba

    before = numba.get_num_threads()
    wanted = min(before, num_threads())
    if work is not None:
        wanted = min(wanted, 1 + work // WORTH)
    if wanted == before:
        yield
        return
    numba.set_num_threads(wanted)
    try:
        yield
    finally:
        numba.set_num_threads(before)
