"""How many threads the package uses: as many as the work is worth, never more than the user allowed.

The user allows the smallest of: MULTIRES_NUM_THREADS or `set_num_threads`; OMP_NUM_THREADS; the processors this process may run
on. For Numba's loops also what Numba itself is set to (NUMBA_NUM_THREADS, numba.set_num_threads), for matrix products also what
BLAS is set to (OPENBLAS_NUM_THREADS and the like, `threadpoolctl`).

Waking threads and waiting for the last of them costs little on an idle machine; on a busy one, where a thread may have to wait
for its turn, it can cost ten times the work itself. So small work is done by one thread, in Numba's loops, in BLAS and in SciPy's
transforms alike. `limited` is the section that says so: the training step and a model's call are in one, and so is every fast
operation, for whoever calls it alone. Inside a section others change nothing, except that they may use fewer threads still.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ..base import compiled
from ..base.checks import check_int

WORTH = 2**21  # numbers handled, some 500 microseconds of work, that make it worth waking another thread
POINTWISE = 4  # numbers handled for each number of an array in an operation such as GELU or a norm
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
    """The number of threads that the user allows.

    Examples
    --------
    >>> set_num_threads(1)
    >>> num_threads()
    1
    >>> set_num_threads(None)
    """
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        processors = os.cpu_count() or 1
    wishes = (_chosen or from_environment("MULTIRES_NUM_THREADS"), from_environment("OMP_NUM_THREADS"))
    return min([processors, *(n for n in wishes if n)])


def threads_for(work: int | None) -> int:
    """The number of threads for `work`, in numbers handled: one, and another for each WORTH; None: all that the user allows.

    Examples
    --------
    >>> threads_for(1000)
    1
    """
    if work is not None and work < WORTH:
        return 1
    return num_threads() if work is None else min(num_threads(), 1 + work // WORTH)


# Numba's pool is made once, for NUMBA_NUM_THREADS, all processors by default; where it runs on OpenMP, making it also sets how
# many threads PyTorch uses. So it is made for what the user allowed, and PyTorch keeps what it was told.
if "numba" not in sys.modules:
    os.environ.setdefault("NUMBA_NUM_THREADS", str(num_threads()))


@contextmanager
def limited(work: int | None = None) -> Iterator[int]:
    """A section of work: inside, Numba's loops and BLAS use at most `threads_for(work)` threads. Yields that number.

    Sections may be nested, and several Python threads may be in sections of their own. BLAS has one setting for the whole
    process: it is lowered by the first that comes in, and put back by the last that leaves.
    """
    outer = compiled.allowed.most
    if outer == 1:
        yield 1
        return
    n = threads_for(work) if outer is None else min(outer, threads_for(work))
    if n == outer:
        yield n
        return
    compiled.allowed.most = n
    blas.enter(n)
    try:
        with numba_threads(n):
            yield n
    finally:
        blas.leave()
        compiled.allowed.most = outer


@contextmanager
def numba_threads(n: int) -> Iterator[None]:
    """At most n threads in Numba's parallel loops. One needs no word to Numba: loops for one thread do not use its pool."""
    numba = sys.modules.get("numba")
    if n == 1 or numba is None or compiled.forked.after_openmp or not compiled.numba_works():
        yield
        return
    before = numba.get_num_threads()
    numba.set_num_threads(min(before, n))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@cache
def blas_libraries() -> list[Any]:
    """The BLAS that NumPy loaded, as threadpoolctl knows it; looked for once, because that takes a millisecond.

    A list with nothing in it where threadpoolctl does not know the library (Apple's Accelerate).
    """
    import numpy as np  # noqa: F401 (loads it)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


class BlasThreads:
    """BLAS's number of threads, lowered while at least one section is open: see `limited`."""

    def __init__(self) -> None:
        self.lock, self.sections, self.before = threading.Lock(), 0, []

    def enter(self, n: int) -> None:
        """A section for n threads opens."""
        with self.lock:
            if self.sections == 0:
                self.before = [library.get_num_threads() for library in blas_libraries()]
            self.sections += 1
            for library in blas_libraries():
                if library.get_num_threads() > n:
                    library.set_num_threads(n)

    def leave(self) -> None:
        """A section closes."""
        with self.lock:
            self.sections -= 1
            if self.sections == 0:
                for library, threads in zip(blas_libraries(), self.before, strict=True):
                    if library.get_num_threads() != threads:
                        library.set_num_threads(threads)

    def after_fork(self) -> None:
        """In the child: of all sections only that of the thread that forked, if it was in one, will ever close."""
        self.lock = threading.Lock()
        if self.sections and compiled.allowed.most is None:
            self.sections = 1
            self.leave()
        self.sections = min(self.sections, 1)


blas = BlasThreads()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=blas.after_fork)
