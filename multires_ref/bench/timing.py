"""How everything is timed: contestants take turns, each round all of them, and the medians are compared.

Taking turns spreads whatever else the machine does over all contestants; the median leaves out a round that was disturbed.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..base.checks import check_int

_sections: list[int | None] = [None]  # what the `threads` sections around this one allow
PACKAGES = ("numpy", "scipy", "numba", "torch", "autograd", "PyWavelets")


def alternate(
    contestants: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] | None = None
) -> dict[str, list[float]]:
    """Seconds of every contestant in every round by `time.perf_counter`; one round before them warms up and is not counted.

    Examples
    --------
    >>> ticks = iter(range(100))
    >>> alternate({"a": lambda: None, "b": lambda: None}, repeats=2, clock=lambda: next(ticks))
    {'a': [1, 1], 'b': [1, 1]}
    """
    check_int("repeats", repeats, 1)
    clock = clock or time.perf_counter
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
    return seconds


def summary(seconds: list[float]) -> dict[str, Any]:
    """Median, quartiles and number of rounds.

    Examples
    --------
    >>> summary([1.0, 2.0, 9.0])
    {'median': 2.0, 'low': 1.5, 'high': 5.5, 'rounds': 3}
    """
    low, median, high = (float(q) for q in np.percentile(seconds, (25, 50, 75)))
    return {"median": median, "low": low, "high": high, "rounds": len(seconds)}


@contextmanager
def threads(n: int | None) -> Iterator[int]:
    """Inside: at most n threads for our engines, for BLAS and for PyTorch; None leaves all that is allowed. Yields the number."""
    from threadpoolctl import threadpool_limits

    from ..base.threads import num_threads, set_num_threads

    try:
        import torch
    except ImportError:
        torch = None
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


def machine(used_threads: int) -> dict[str, Any]:
    """The processor, the threads used, and the versions of what was measured."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {"processor": processor(), "cores": os.cpu_count(), "threads": used_threads, "versions": versions}


def processor() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine_line(about: dict[str, Any]) -> str:
    """`machine` in a line."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{about['processor']}, {about['cores']} cores, {about['threads']} threads; {versions}"


def table(rows: dict[str, dict[str, Any]], against: dict[str, str], unit: float = 1e3) -> list[str]:
    """Lines of name, median (quartiles) in ms, and how many times as long as each row named in `against` {heading: name}."""
    width = max(len(name) for name in rows)
    lines = [f"  {'':<{width}}{'ms':>11}{'(quartiles)':>22}" + "".join(f"{heading:>18}" for heading in against)]
    for name, row in rows.items():
        spread = f"{unit * row['low']:,.2f} to {unit * row['high']:,.2f}"
        ratios = "".join(f"{row['median'] / rows[other]['median']:>17.2f}x" for other in against.values())
        lines.append(f"  {name:<{width}}{unit * row['median']:>11,.2f}{spread:>22}{ratios}")
    return lines


def figure(what: str, measured: float) -> str:
    """One line: what was measured, and its value.

    Examples
    --------
    >>> figure("fused is faster than PyTorch, times", 10.667)
    '  fused is faster than PyTorch, times: 10.67'
    """
    return f"  {what}: {measured:.2f}"
