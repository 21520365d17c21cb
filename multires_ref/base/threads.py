"""How many threads the package uses: as many as the work is worth, and never more than the user allows.

The user allows the smallest of three numbers: MULTIRES_NUM_THREADS or what `set_num_threads` was given, OMP_NUM_THREADS, and the
number of CPUs that this process may run on. For Numba's loops, what Numba itself is set to is a further limit (NUMBA_NUM_THREADS,
numba.set_num_threads); for matrix products, what BLAS is set to (OPENBLAS_NUM_THREADS and the like, `threadpoolctl`).

To wake threads and to wait for the last of them costs little on an idle machine. On a busy one, where a thread may have to wait
for its turn, it can cost ten times the work itself. So one thread does small work, in Numba's loops, in BLAS and in SciPy's
transforms alike. Code says how much work it is going to do by a section, `with limited(work):`. A training step and a call of a
model are in a section; so is every fast operation, for those who call it alone. A section inside another one may lower the number
of threads further, and does not raise it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

from . import compiled
from .checks import check_int

if TYPE_CHECKING:
    from threadpoolctl import LibController

WORTH = 2**21  # elements handled, about 500 microseconds of work, that make it worth waking another thread
POINTWISE = 4  # elements handled for each element of an array in an operation such as GELU or a norm
_chosen: int | None = None  # by set_num_threads


def set_num_threads(n: int | None) -> None:
    """Use at most n threads from now on; None returns to what the environment says."""
    global _chosen
    _chosen = None if n is None else check_int("n", n, 1)


def from_environment(name: str) -> int | None:
    """The number in an environment variable (the first of a list such as "4,2"); None if it holds no positive number."""
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
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cpus = os.cpu_count() or 1
    wishes = (_chosen or from_environment("MULTIRES_NUM_THREADS"), from_environment("OMP_NUM_THREADS"))
    return min([cpus, *(n for n in wishes if n)])


def threads_for(work: int | None) -> int:
    """The number of threads for `work` elements handled: one, and another for each WORTH. For None, all that the user allows.

    Examples
    --------
    >>> threads_for(1000)
    1
    """
    if work is not None and work < WORTH:
        return 1
    return num_threads() if work is None else min(num_threads(), 1 + work // WORTH)


# Numba starts its threads once: NUMBA_NUM_THREADS of them, by default one for each CPU. Where Numba runs on OpenMP, this sets the
# number of PyTorch's threads too. So it starts as many as the user allows, and PyTorch keeps its own setting.
if "numba" not in sys.modules:
    os.environ.setdefault("NUMBA_NUM_THREADS", str(num_threads()))


def limited(work: int | None = None) -> AbstractContextManager[int]:
    """A section of work: inside, Numba's loops and BLAS use at most `threads_for(work)` threads. Yields that number.

    Sections may be nested, and several Python threads may be in sections of their own. BLAS has one setting for the whole
    process: the first section that opens lowers it, and the last one that closes sets it back.
    """
    outer = compiled.allowed.most
    if outer == 1:
        return ONE
    n = threads_for(work) if outer is None else min(outer, threads_for(work))
    return nullcontext(n) if n == outer else lowered(n, outer)


ONE = nullcontext(1)  # a section inside one of a single thread changes nothing


@contextmanager
def lowered(n: int, outer: int | None) -> Iterator[int]:
    """A section of n threads inside one of `outer`, or outside of all."""
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
    """At most n threads in Numba's parallel loops. For one thread nothing is set: loops for one thread do not use Numba's."""
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
def blas_libraries() -> list[LibController]:
    """The BLAS that NumPy loaded, as threadpoolctl knows it. It is looked for once, because this takes a millisecond.

    The list is empty where threadpoolctl does not know the library, as with Apple's Accelerate.
    """
    import numpy as np  # noqa: F401 (loads it)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


class BlasThreads:
    """BLAS's number of threads, lowered while at least one section is open: see `limited`."""

    def __init__(self) -> None:
        self.lock, self.sections = threading.Lock(), 0
        self.before: list[int] = []

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
        """In the child of a fork, only the section of the thread that forked will ever close, if it was in one."""
        self.lock = threading.Lock()
        if self.sections and compiled.allowed.most is None:
            self.sections = 1
            self.leave()
        self.sections = min(self.sections, 1)


blas = BlasThreads()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=blas.after_fork)
