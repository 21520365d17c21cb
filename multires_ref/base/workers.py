"""Sharing work out among the threads of this process.

Large work comes in units that do not depend on each other: rows, tiles of time, sequences of a batch. The calling thread and some
workers take pieces of it until none is left. So a thread that has to share its CPU with another process takes fewer pieces, and
the others do not wait for it long. Each unit writes its own part of the result, so this is the same, bit for bit, whatever the
number of threads. The work itself is done by compiled loops and matrix products, which let go of Python's lock.

Numba and BLAS have threads of their own. They are not used: both cut the work into equal parts, one for each thread, and wait
for the slowest. Beside a busy process, or beside each other, they take several times as long.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache

import numpy as np

PIECES = 8  # for each thread: so many that the threads end at about the same time
MOST = 1024  # threads, far beyond what a machine has


class Allowed(threading.local):
    """How many threads this thread may use, as the section of work that it is in says; None outside of all sections.

    Sections are `limited` in `base/threads.py`.
    """

    most: int | None = None


allowed = Allowed()


@cache
def workers() -> ThreadPoolExecutor:
    """The threads that wait for work. They are started when they are first needed."""
    return ThreadPoolExecutor(MOST, thread_name_prefix="multires_ref")


def share_out(work: Callable[[int, int], object], units: int, threads: int) -> None:
    """Call work(begin, end) for pieces that make up the units 0 ... units - 1, on so many threads at once, this one among them.

    What a call raises is raised here, when all threads have come to an end.

    Examples
    --------
    >>> done = np.zeros(1000)
    >>> def work(begin, end):
    ...     done[begin:end] += 1
    >>> share_out(work, 1000, threads=3)
    >>> bool((done == 1).all())
    True
    """
    threads = min(threads, units)
    if threads <= 1:
        work(0, units)
        return
    size = -(-units // (PIECES * threads))
    pieces, errors = [(begin, min(begin + size, units)) for begin in range(0, units, size)][::-1], np.geterr()

    def take_pieces() -> None:
        while pieces:
            try:
                piece = pieces.pop()
            except IndexError:  # another thread took the last one
                return
            work(*piece)

    def take_pieces_elsewhere() -> None:
        allowed.most = 1
        with np.errstate(**errors):  # what this thread has set, which others do not know
            take_pieces()

    futures: list[Future] = []
    try:
        with suppress(RuntimeError):  # no more threads can be had: then fewer take pieces, or this one alone
            for _ in range(threads - 1):
                futures.append(workers().submit(take_pieces_elsewhere))
        take_pieces()
    finally:
        pieces.clear()
        for future in futures:
            if not future.cancel():  # a worker that other work keeps busy need not come any more
                future.result()


if hasattr(os, "register_at_fork"):  # not on Windows; the parent's threads are not in the child
    os.register_at_fork(after_in_child=workers.cache_clear)
