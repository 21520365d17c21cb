"""Implementations that are timed with several numbers of threads, beside several numbers of busy neighbours, in turn."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from .timing import alternate, seconds_of, summary, threads

# Counts, and ends with the process that started it, however that ends: nobody holds the other end of its input then
NEIGHBOUR = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(flush=True)
while True: pass
"""


class Case(NamedTuple):
    """What is timed, with at most so many threads (None: all that are allowed), beside so many busy neighbours."""

    who: str
    call: Callable[[], Any]
    threads: int | None = None
    neighbours: int = 0


def thread_numbers(most: int) -> list[int]:
    """Every number of threads to 4, then every doubling, and the largest.

    Examples
    --------
    >>> thread_numbers(2), thread_numbers(12)
    ([1, 2], [1, 2, 3, 4, 8, 12])
    """
    doublings = [2**e for e in range(3, most.bit_length())]
    return sorted({n for n in (1, 2, 3, 4, *doublings, most) if n <= most})


def time_cases(
    cases: Iterable[Case], repeats: int, long: float, most_seconds: float = float("inf")
) -> dict[Case, dict[str, Any]]:
    """The summary of each case's seconds a call, in turn in every round.

    One measurement is as many calls in a row as take about `long` seconds on the idle machine, the same number for all cases of
    one call: longer than the operating system lets one process run in a row. Threads are set and neighbours started before the
    clock runs. `most_seconds` is that of `alternate`, for one call in each round.
    """
    cases, counts = list(cases), {}
    for case in cases:
        if case.call not in counts:
            with threads(case.threads):
                case.call()  # warm
                counts[case.call] = max(1, math.ceil(long / max(seconds_of(case.call), 1e-9)))

    def stopwatch(case: Case) -> float:
        n = counts[case.call]
        with threads(case.threads), busy_neighbours(case.neighbours):
            return seconds_of(lambda: [case.call() for _ in range(n)]) / n

    times = alternate({str(n): case for n, case in enumerate(cases)}, repeats, stopwatch, most_seconds)  # type: ignore[arg-type]
    return {case: summary(seconds) for case, seconds in zip(cases, times.values(), strict=True)}


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """A `with` block during which so many other processes each use all that they can get of one CPU core."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(busy_neighbour())
        yield


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """A `with` block during which another process uses all that it can get of one CPU core."""
    neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        neighbour.stdout.readline()  # it has begun
        yield
    finally:
        neighbour.kill()
        neighbour.communicate()
