"""How everything is timed: implementations that agree take turns, in every round all of them, and medians are compared.

So whatever else the machine does meanwhile is spread over all implementations, and the median leaves out a disturbed round.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..base.agreement import measure
from ..base.checks import check_int
from ..base.tables import text_table

_sections: list[int | None] = [None]  # what the `threads` sections around this one allow
PACKAGES = ("numpy", "scipy", "numba", "torch", "autograd", "PyWavelets")


def check_agreement(name: str, array: Any, other: str, reference: Any, tolerance: float) -> float:
    """The difference of two implementations' results, relative to the norm: what is compared before anything is timed.

    Raises
    ------
    ValueError
        If it exceeds the tolerance.

    Examples
    --------
    >>> check_agreement("fft", np.array([1.5]), "the tree", np.array([1.0]), 1e-4)
    Traceback (most recent call last):
        ...
    ValueError: fft and the tree disagree: they differ by 5.0e-01 of the norm (allowed 1e-04)
    """
    error = measure(array, reference, tolerance)
    if not error.passed:
        difference = f"they differ by {error.relative:.1e} of the norm (allowed {tolerance:.0e})"
        raise ValueError(f"{name} and {other} disagree: {difference}")
    return error.relative


def seconds_of(call: Callable[[], Any]) -> float:
    """How long one call takes, by `time.perf_counter`."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def alternate(
    implementations: dict[str, Callable[[], Any]],
    repeats: int,
    stopwatch: Callable[[Any], float] = seconds_of,
    most_seconds: float = float("inf"),
) -> dict[str, list[float]]:
    """Seconds of every implementation in every round; one round before them warms up and is not counted.

    An implementation whose rounds have taken `most_seconds` together leaves out the others, so that a slow one ends in time;
    all take part in the first round that counts.

    Examples
    --------
    >>> alternate({"a": lambda: None, "b": lambda: None}, repeats=2, stopwatch=lambda call: 1.0)
    {'a': [1.0, 1.0], 'b': [1.0, 1.0]}
    """
    check_int("repeats", repeats, 1)
    for call in implementations.values():
        stopwatch(call)
    seconds: dict[str, list[float]] = {name: [] for name in implementations}
    for _ in range(repeats):
        for name, call in implementations.items():
            if sum(seconds[name]) < most_seconds:
                seconds[name].append(stopwatch(call))
    return seconds


def quartiles(values: list[float]) -> list[float]:
    """The values that 25, 50 and 75 percent of all values do not exceed.

    Examples
    --------
    >>> quartiles([1.0, 2.0, 9.0])
    [1.5, 2.0, 5.5]
    """
    return [float(q) for q in np.percentile(values, (25, 50, 75))]


def summary(seconds: list[float]) -> dict[str, Any]:
    """Median, quartiles and number of rounds.

    Examples
    --------
    >>> summary([1.0, 2.0, 9.0])
    {'median': 2.0, 'low': 1.5, 'high': 5.5, 'rounds': 3}
    """
    low, median, high = quartiles(seconds)
    return {"median": median, "low": low, "high": high, "rounds": len(seconds)}


def table(rows: dict[str, dict[str, Any]], against: dict[str, str], digits: int = 2) -> str:
    """Name, median (quartiles) in ms, and how many times as long as each of the rows that `against` {heading: name} names."""
    cells = []
    for name, row in rows.items():
        low, median, high = (f"{1e3 * row[key]:,.{digits}f}" for key in ("low", "median", "high"))
        ratios = [f"{row['median'] / rows[other]['median']:.2f}x" for other in against.values()]
        cells.append([name, median, f"{low} to {high}", *ratios])
    return text_table(["", "ms", "(quartiles)", *against], cells, indent="  ")


def ratio_line(what: str, ratio: float) -> str:
    """One line: what was measured, and its value.

    Examples
    --------
    >>> ratio_line("PyTorch fft over fused", 10.667)
    '  PyTorch fft over fused: 10.67'
    """
    return f"  {what}: {ratio:.2f}"


@contextmanager
def threads(n: int | None) -> Iterator[int]:
    """A `with` block with at most n threads for our engines, for BLAS and for PyTorch; None leaves all that are allowed.

    Yields the number of threads.
    """
    from threadpoolctl import threadpool_limits

    from ..base.threads import num_threads, set_num_threads

    torch = import_module("torch") if find_spec("torch") else None
    before = torch.get_num_threads() if torch else None
    set_num_threads(n)
    _sections.append(n)
    used = num_threads()
    try:
        if torch:
            torch.set_num_threads(used)
        with threadpool_limits(used):
            yield used
    finally:
        _sections.pop()
        set_num_threads(_sections[-1])
        if torch:
            torch.set_num_threads(before)


def machine(used_threads: int, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """The CPU, the threads used, and the versions of what was measured: PACKAGES and `more`."""
    versions = {"python": platform.python_version()}
    for name in (*PACKAGES, *more):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "threads": used_threads, "versions": versions}


def cpu_name() -> str:
    """The name of the CPU's model."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine_line(about: dict[str, Any]) -> str:
    """`machine` in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads; {versions}"
