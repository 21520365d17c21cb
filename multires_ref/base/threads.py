"""How many threads the package uses: as many as the work is worth, and never more than the user allows.

The user allows the smallest of three numbers: MULTIRES_NUM_THREADS or what `set_num_threads` was given, OMP_NUM_THREADS, and the
number of CPUs that this process may run on.

To wake threads and to wait for the last of them costs little on an idle machine. On a busy one, where a thread may have to wait
for its turn, it can cost ten times the work itself. So one thread does small work. Code says how much work it is going to do by a
section, `with limited(work):`. A training step and a call of a model are in a section; so is every fast operation, for those who
call it alone. A section inside another one may lower the number of threads further, and does not raise it.

Inside a section BLAS works with one thread: large work is shared out by `workers.py`, matrix products as well as loops.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

from .checks import check_int
from .workers import allowed

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


def limited(work: int | None = None) -> AbstractContextManager[int]:
    """A section of work: inside, at most `threads_for(work)` threads share it, and BLAS uses one. Yields that number.

    Sections may be nested, and several Python threads may be in sections of their own. BLAS has one setting for the whole
    process: the first section that opens lowers it, and the last one that closes sets it back.
    """
    outer = allowed.most
    if outer == 1:
        return ONE
    n = threads_for(work) if outer is None else min(outer, threads_for(work))
    return nullcontext(n) if n == outer else lowered(n, outer)


ONE = nullcontext(1)  # a section inside one of a single thread changes nothing


@contextmanager
def lowered(n: int, outer: int | None) -> Iterator[int]:
    """A section of n threads inside one of `outer`, in which BLAS uses one already, or outside of all."""
    allowed.most = n
    if outer is None:
        blas.enter()
    try:
        yield n
    finally:
        if outer is None:
            blas.leave()
        allowed.most = outer


@cache
def blas_libraries() -> list[LibController]:
    """The BLAS that NumPy loaded, as threadpoolctl knows it. It is looked for once, because this takes a millisecond.

    The list is empty where threadpoolctl does not know the library, as with Apple's Accelerate.
    """
    import numpy as np  # noqa: F401 (loads it)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


class BlasThreads:
    """BLAS's number of threads, lowered to one while at least one section is open: see `limited`."""

    def __init__(self) -> None:
        self.lock, self.sections = threading.Lock(), 0
        self.before: list[int] = []

    def enter(self) -> None:
        """A section opens."""
        with self.lock:
            if self.sections == 0:
                self.before = [library.get_num_threads() for library in blas_libraries()]
                for library in blas_libraries():
                    if library.get_num_threads() > 1:
                        library.set_num_threads(1)
            self.sections += 1

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
        if self.sections and allowed.most is None:
            self.sections = 1
            self.leave()
        self.sections = min(self.sections, 1)


blas = BlasThreads()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=blas.after_fork)
