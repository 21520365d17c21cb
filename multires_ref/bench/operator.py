"""The operator alone: at one size beside PyTorch and a copy of its input, by length, and as a transform beside PyWavelets."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..base.tables import text_table
from ..engines import choose
from ..signals.swt import causal_swt
from ..tree import depth_for, kept_per_level
from .implementations import (
    Implementation,
    largest_difference,
    operator_arguments,
    our_implementations,
    ours,
    torch_implementations,
)
from .timing import alternate, ratio_line, summary, table

FULL, QUICK = (50, 256, 1024, 2), (8, 32, 512, 2)  # B, D, L, K
ELEMENTS = 2**22  # of every array of `scaling`: enough work at every length
LENGTHS = tuple(2**e for e in range(10, 21, 2))
WAVELET = "db4"


def measure_operator(args: argparse.Namespace) -> dict[str, Any]:
    """The operator alone, forward and forward with backward: our engines against PyTorch, and against copying the array once.

    No operator can be faster than a copy into an array that is there already. The operator returns a new array, for which the
    operating system has to find memory first; how long that takes varies, so a copy to a new array is timed too.
    """
    B, D, L, K = QUICK if args.quick else FULL
    arguments, g = operator_arguments(B, D, L, K)
    agreement = largest_difference(implementations, arguments, g)
    made = implementations(arguments, g)
    target = np.empty_like(arguments[0])
    copy = {"copying x once": lambda: np.copyto(target, arguments[0]), "copying to a new array": lambda: arguments[0].copy()}
    forward = alternate(copy | {name: one.forward for name, one in made.items()}, args.repeats)
    both = alternate({name: one.both for name, one in made.items()}, args.repeats)
    return {
        "shape": {"B": B, "D": D, "L": L, "K": K, "dtype": "float32"},
        "agreement": agreement,
        "forward": {name: summary(seconds) for name, seconds in forward.items()},
        "forward and backward": {name: summary(seconds) for name, seconds in both.items()},
    }


def implementations(arguments: tuple[Any, ...], g: np.ndarray) -> dict[str, Implementation]:
    """All that can run here."""
    return our_implementations(arguments, g) | torch_implementations(arguments, g)


def operator_lines(result: dict[str, Any]) -> list[str]:
    """The two tables, and the ratios."""
    shape = result["shape"]
    text = [
        f"operator: batch {shape['B']}, {shape['D']} channels, {shape['L']:,} steps, K = {shape['K']}, float32; "
        f"all agree to {result['agreement']:.0e} of the norm",
    ]
    for part in ("forward", "forward and backward"):
        rows = result[part]
        others = {f"/ {name}": name for name in ("copying x once", "fused", "fft") if name in rows}
        text += [f" {part}", table(rows, others)]
    return text + operator_ratios(result)


def operator_ratios(result: dict[str, Any]) -> list[str]:
    """How many times as long the others take."""
    both = {name: row["median"] for name, row in result["forward and backward"].items()}
    forward = {name: row["median"] for name, row in result["forward"].items()}
    text = []
    best = min((both[name] for name in ("PyTorch fft", "PyTorch tree", "PyTorch compiled") if name in both), default=None)
    if "fused" in both:
        text.append(ratio_line("fused, forward, over copying x once", forward["fused"] / forward["copying x once"]))
    if "fused" in both and best:
        text.append(ratio_line("PyTorch conv1d over fused", both["PyTorch conv1d"] / both["fused"]))
        text.append(ratio_line("the fastest in PyTorch over fused", best / both["fused"]))
    if "fft" in both and best:
        text.append(ratio_line("PyTorch conv1d over fft", both["PyTorch conv1d"] / both["fft"]))
        text.append(ratio_line("PyTorch fft over fft", both["PyTorch fft"] / both["fft"]))
    return text


def measure_scaling(args: argparse.Namespace) -> dict[str, Any]:
    """The operator's time for one step and channel, from 2^10 to 2^20 steps, with fewer channels the longer the sequence.

    The arrays are equally large at every length, one sequence each; the engine is the one that "auto" chooses. The arithmetic
    for one step grows like the depth J. A long row does not fit into the cache of a CPU core, and passes through memory more
    than once.
    """
    rows = []
    for L in LENGTHS[:3] if args.quick else LENGTHS:
        D = (ELEMENTS >> (6 if args.quick else 0)) // L
        arguments, g = operator_arguments(1, D, L, 2)
        J = depth_for(L, 2)
        one = ours(arguments, g, "auto")
        times = alternate({"forward": one.forward, "forward and backward": one.both}, args.repeats)
        engine = choose("auto", arguments[0], J, kept_per_level(J, 2), 2)
        rows.append({"L": L, "D": D, "J": J, "engine": engine} | {name: summary(seconds) for name, seconds in times.items()})
    return {"rows": rows}


def per_step(row: dict[str, Any]) -> float:
    """Nanoseconds for one step and channel, forward with backward."""
    return 1e9 * row["forward and backward"]["median"] / (row["L"] * row["D"])


def scaling_lines(result: dict[str, Any]) -> list[str]:
    """The table, and the growth beyond that of the depth."""
    rows = result["rows"]
    first, cells, beyond = rows[0], [], []
    for row in rows:
        grown, deeper = per_step(row) / per_step(first), row["J"] / first["J"]
        beyond.append(grown / deeper)
        sizes = [f"{row['L']:,}", f"{row['D']:,}", f"{row['J']}", row["engine"]]
        figures = (1e3 * row["forward and backward"]["median"], per_step(row), grown, deeper)
        cells.append(sizes + [f"{figure:,.2f}" for figure in figures])
    header = ["steps", "D", "J", "engine", "ms", "ns a step and channel", "/ smallest", "J / smallest"]
    return [
        "scaling: one sequence, K = 2, forward and backward",
        text_table(header, cells, indent="  "),
        ratio_line("growth of the time a step over the growth of J, at the worst length", max(beyond)),
    ]


def measure_pyramid(args: argparse.Namespace) -> dict[str, Any]:
    """All coefficients of one long signal: `causal_swt` against `pywt.swt`, which is written in C.

    First it is checked that their coefficients are the same, delayed, after the beginning, where `pywt.swt` wraps around.
    """
    import pywt

    length, level = (2**12, 6) if args.quick else (2**16, 10)
    x = np.random.default_rng(0).standard_normal(length)
    check_same(x, level)
    calls = {"causal_swt": lambda: causal_swt(x, WAVELET, level), "pywt.swt": lambda: pywt.swt(x, WAVELET, level)}
    times = alternate(calls, max(args.repeats, 15))
    return {"L": length, "level": level, "rows": {name: summary(seconds) for name, seconds in times.items()}}


def check_same(x: np.ndarray, level: int) -> None:
    """Relation A away from the beginning: cA_j = a_j moved left by (2^j - 1) F / 2."""
    import pywt

    F = pywt.Wavelet(WAVELET).dec_len
    ours, theirs = causal_swt(x, WAVELET, level), pywt.swt(x, WAVELET, level)
    for j, pair, other in zip(range(level, 0, -1), ours, theirs, strict=True):
        settled = (2**j - 1) * (F - 1)
        for a, cA in zip(pair, other, strict=True):
            moved = np.roll(cA, (2**j - 1) * F // 2)
            if not np.allclose(a[settled:], moved[settled:], rtol=1e-10, atol=1e-10 * np.abs(moved).max()):
                raise ValueError(f"causal_swt and pywt.swt disagree at level {j}")


def pyramid_lines(result: dict[str, Any]) -> list[str]:
    """The table, and the ratio."""
    rows = result["rows"]
    return [
        f"pyramid: one signal of {result['L']:,} samples, {WAVELET}, {result['level']} levels, float64",
        table(rows, {"/ causal_swt": "causal_swt"}),
        ratio_line("pywt.swt over causal_swt", rows["pywt.swt"]["median"] / rows["causal_swt"]["median"]),
    ]
