"""The operator alone: at one size beside PyTorch and a copy of its input, by length, and as a transform beside PyWavelets."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..base.buffers import Buffers
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
ELEMENTS, QUICK_ELEMENTS = 2**24, 2**16  # of every array of `scaling`: enough work at every length
LENGTHS = tuple(2**e for e in range(10, 23, 2))
KERNELS, BATCHES = (2, 4, 8), (1, 4)  # of `scaling`
PASSES = ("forward", "forward and backward")
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
    copying = {"copying x once": copy["copying x once"]}
    both = alternate(copying | {name: one.both for name, one in made.items()}, args.repeats)
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
    for part in PASSES:
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
        copied = both.get("copying x once", forward["copying x once"])
        text.append(ratio_line("fused, forward and backward, over copying x once", both["fused"] / copied))
    if "fused" in both and best:
        text.append(ratio_line("PyTorch conv1d over fused", both["PyTorch conv1d"] / both["fused"]))
        text.append(ratio_line("the fastest in PyTorch over fused", best / both["fused"]))
    if "fft" in both and best:
        text.append(ratio_line("PyTorch conv1d over fft", both["PyTorch conv1d"] / both["fft"]))
        text.append(ratio_line("PyTorch fft over fft", both["PyTorch fft"] / both["fft"]))
    return text


def measure_scaling(args: argparse.Namespace) -> dict[str, Any]:
    """The operator's time for one sample, channel and level, from 2^10 to 2^22 samples, with fewer channels the longer they are.

    For one sequence and for a batch of four, for K = 2, 4 and 8, the forward pass alone and forward with backward. All arrays
    have the same size at every length, 2^24 numbers, and the lengths take turns. The engine is the one that "auto" chooses. The
    arithmetic for one sample, channel and level is the same at all lengths. A long row does not fit into the cache of a CPU core,
    and passes through memory more than once. Results are made in memory that is used again, as in training. The figure of a
    series is its largest time over its smallest one. Takes about half a minute for each repeat.
    """
    elements = QUICK_ELEMENTS if args.quick else ELEMENTS
    lengths = LENGTHS[:3] if args.quick else LENGTHS
    rows = [row for K in KERNELS for B in BATCHES for row in one_series(B, K, lengths, elements, args.repeats)]
    return {"elements": elements, "rows": rows}


def one_series(B: int, K: int, lengths: tuple[int, ...], elements: int, repeats: int) -> list[dict[str, Any]]:
    """All lengths of a batch size and a filter length, in turn; x and g are the same numbers at every length."""
    rows, calls = [], {}
    x, g = (np.random.default_rng(seed).standard_normal(elements, np.float32) for seed in (0, 1))
    for L in lengths:
        D, J = elements // (B * L), depth_for(L, K)
        shape = (B, D, L)
        (_, *parameters), _ = operator_arguments(1, D, L, K)
        one = ours((x.reshape(shape), *parameters), g.reshape(shape), "auto")
        calls |= {f"{L} {name}": call for name, call in zip(PASSES, one, strict=True)}
        engine = choose("auto", x.reshape(shape), J, kept_per_level(J, K), K)
        rows.append({"L": L, "B": B, "D": D, "J": J, "K": K, "engine": engine})
    with Buffers():
        times = alternate(calls, repeats)
    return [row | {name: summary(times[f"{row['L']} {name}"]) for name in PASSES} for row in rows]


def per_level(row: dict[str, Any], name: str) -> float:
    """Nanoseconds for one sample, channel and level of a pass."""
    return 1e9 * row[name]["median"] / (row.get("B", 1) * row["D"] * row["L"] * row["J"])


def series_of(result: dict[str, Any]) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """The rows of each series {(K, B): rows}; a file of an earlier version holds one series, of K = 2 and one sequence."""
    series: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in result["rows"]:
        series.setdefault((row.get("K", 2), row.get("B", 1)), []).append(row)
    return series


def scaling_lines(result: dict[str, Any]) -> list[str]:
    """A table for each series, and for each pass the largest time over the smallest one, with the length of the largest."""
    text = []
    for (K, B), rows in series_of(result).items():
        smallest = {name: min(per_level(row, name) for row in rows) for name in PASSES}
        cells = []
        for row in rows:
            each = [per_level(row, name) for name in PASSES]
            over = [f"{ns / smallest[name]:.2f}x" for ns, name in zip(each, PASSES, strict=True)]
            sizes = [f"{row['L']:,}", f"{row['D']:,}", f"{row['J']}", row["engine"]]
            cells.append([*sizes, *(text for pair in zip([f"{ns:.3f}" for ns in each], over, strict=True) for text in pair)])
        header = ["samples", "D", "J", "engine", "forward, ns", "/ smallest", "with backward, ns", "/ smallest"]
        text += [
            f"scaling: {B} sequence{'s' if B > 1 else ''}, K = {K}; nanoseconds for one sample, channel and level",
            text_table(header, cells, indent="  "),
            *(worst_line(f"K = {K}, B = {B}, {name}", rows, name) for name in PASSES),
        ]
    return text


def worst_line(what: str, rows: list[dict[str, Any]], name: str) -> str:
    """The largest time of a sample, channel and level over the smallest one, and at which length it is."""
    times = {row["L"]: per_level(row, name) for row in rows}
    worst = max(times, key=times.__getitem__)
    return ratio_line(f"{what}: largest over smallest, at {worst:,} samples", times[worst] / min(times.values()))


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
