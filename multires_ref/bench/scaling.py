"""The operator's time a step and channel, from 2^10 to 2^20 steps, with as many channels as make the arrays equally large.

Arithmetic a step grows like the depth J. Long rows do not fit a core's cache, so that they pass through memory more than once.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..engines import choose
from ..tree import depth_for, kept_per_level
from .contestants import operator_arguments, ours
from .timing import alternate, figure, summary

NUMBERS = 2**22  # of every array: enough work at every length
LENGTHS = tuple(2**e for e in range(10, 21, 2))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds, forward with backward, of the engine that "auto" takes, one sequence at each length."""
    rows = []
    for L in LENGTHS[:3] if args.quick else LENGTHS:
        D = (NUMBERS >> (6 if args.quick else 0)) // L
        arguments, g = operator_arguments(1, D, L, 2)
        J = depth_for(L, 2)
        contestant = ours(arguments, g, "auto")
        times = alternate({"forward": contestant.forward, "forward and backward": contestant.both}, args.repeats)
        engine = choose("auto", arguments[0], J, kept_per_level(J, 2), 2)
        rows.append({"L": L, "D": D, "J": J, "engine": engine} | {name: summary(seconds) for name, seconds in times.items()})
    return {"rows": rows}


def per_step(row: dict[str, Any]) -> float:
    """Nanoseconds a step and channel, forward with backward."""
    return 1e9 * row["forward and backward"]["median"] / (row["L"] * row["D"])


def lines(result: dict[str, Any]) -> list[str]:
    """The table, and the growth beyond that of the depth."""
    rows = result["rows"]
    first = rows[0]
    heads = ("steps", "D", "J", "engine", "ms", "ns a step and channel", "/ smallest", "J / smallest")
    text = [
        "scaling: one sequence, K = 2, forward and backward",
        "  {:>10}{:>6}{:>4}{:>8}{:>12}{:>24}{:>12}{:>14}".format(*heads),
    ]
    for row in rows:
        ms, grown, deeper = 1e3 * row["forward and backward"]["median"], per_step(row) / per_step(first), row["J"] / first["J"]
        start = f"  {row['L']:>10,}{row['D']:>6,}{row['J']:>4}{row['engine']:>8}{ms:>12,.2f}"
        text.append(f"{start}{per_step(row):>24.2f}{grown:>12.2f}{deeper:>14.2f}")
    worst = max((per_step(row) / row["J"]) / (per_step(first) / first["J"]) for row in rows)
    return [*text, figure("growth of the time a step over the growth of J, at the worst length", worst)]
