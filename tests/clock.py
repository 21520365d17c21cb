"""A clock for the tests of the benchmarks: it stands still but for what is said to take time, so that every figure is known."""

from __future__ import annotations

import re
import time

import numpy as np

TICK = 2.0**-11  # seconds from one look at the clock to the next
ROUNDS = (1.0, 4.0, 2.0, 7.0)  # what a call takes, in turn, as a multiple of its duration; the median of three is 2, no mean is


class Clock:
    """Stands in for `time.perf_counter`."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", self)

    def __call__(self) -> float:
        self.now += TICK
        return self.now

    def takes(self, seconds: float, function=lambda *args, **kwargs: None, before: int = 1):
        """The function, which now takes `seconds` times `ROUNDS`, call by call; the first `before` calls take very long."""
        calls = 0

        def timed(*args, **kwargs):
            nonlocal calls
            result = function(*args, **kwargs)
            self.now += seconds * (1e6 if calls < before else ROUNDS[(calls - before) % len(ROUNDS)])
            calls += 1
            return result

        return timed


def expected(seconds: float, rounds: int) -> dict[str, float]:
    """What `summary` must say of something that takes so long, after that many rounds."""
    times = sorted(seconds * ROUNDS[n % len(ROUNDS)] + TICK for n in range(rounds))
    low, median, high = (float(np.interp(q * (rounds - 1), range(rounds), times)) for q in (0.25, 0.5, 0.75))
    return {"median": median, "low": low, "high": high, "rounds": rounds}


def rows_of(lines: list[str]) -> dict[str, list[float]]:
    """The rows of a printed table: {name: [milliseconds, low, high, *ratios]}; of several tables, the last of each name."""
    number = r"([\d,]+\.\d+)"
    found = (re.fullmatch(rf"  (\S.*?) +{number} +{number} to {number}((?: +{number}x)*)", line) for line in lines)
    return {
        m[1]: [float(text.replace(",", "")) for text in (m[2], m[3], m[4], *(ratio.rstrip("x") for ratio in m[5].split()))]
        for m in found
        if m
    }


def figures_of(lines: list[str]) -> dict[str, float]:
    """The lines "what: number"."""
    found = (re.fullmatch(r"  (.+): ([\d.]+)", line) for line in lines)
    return {m[1]: float(m[2]) for m in found if m}
