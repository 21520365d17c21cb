"""The operator alone, forward and forward with backward: our engines against PyTorch, and against copying the array once.

The limit is a copy into an array that is there already. The operator returns a new array, for which the system first has to find
pages, and how long that takes depends on the machine's mood: a copy to a new array is timed beside it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .contestants import check_agreement, operator_arguments, our_contestants, torch_contestants
from .timing import alternate, figure, summary, table

FULL, QUICK = (50, 256, 1024, 2), (8, 32, 512, 2)  # B, D, L, K


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every contestant, forward and forward with backward."""
    B, D, L, K = QUICK if args.quick else FULL
    arguments, g = operator_arguments(B, D, L, K)
    agreement = check_agreement(contestants, arguments, g)
    made = contestants(arguments, g)
    target = np.empty_like(arguments[0])
    copy = {"copying x once": lambda: np.copyto(target, arguments[0]), "copying to a new array": lambda: arguments[0].copy()}
    forward = alternate(copy | {name: c.forward for name, c in made.items()}, args.repeats)
    both = alternate({name: c.both for name, c in made.items()}, args.repeats)
    return {
        "shape": {"B": B, "D": D, "L": L, "K": K, "dtype": "float32"},
        "agreement": agreement,
        "forward": {name: summary(seconds) for name, seconds in forward.items()},
        "forward and backward": {name: summary(seconds) for name, seconds in both.items()},
    }


def contestants(arguments: tuple[Any, ...], g: Any) -> dict[str, Any]:
    """Everybody who can run here."""
    return our_contestants(arguments, g) | torch_contestants(arguments, g)


def lines(result: dict[str, Any]) -> list[str]:
    """The two tables, and the ratios."""
    shape = result["shape"]
    text = [
        f"operator: batch {shape['B']}, {shape['D']} channels, {shape['L']:,} steps, K = {shape['K']}, float32; "
        f"all agree to {result['agreement']:.0e} of the norm",
    ]
    for part in ("forward", "forward and backward"):
        rows = result[part]
        others = {f"/ {name}": name for name in ("copying x once", "fused", "fft") if name in rows}
        text += [f" {part}", *table(rows, others)]
    return text + ratios(result)


def ratios(result: dict[str, Any]) -> list[str]:
    """How many times as long the others take."""
    both = {name: row["median"] for name, row in result["forward and backward"].items()}
    forward = {name: row["median"] for name, row in result["forward"].items()}
    text = []
    best = min((both[name] for name in ("PyTorch fft", "PyTorch tree", "PyTorch compiled") if name in both), default=None)
    if "fused" in both:
        text.append(figure("fused, forward, over copying x once", forward["fused"] / forward["copying x once"]))
    if "fused" in both and best:
        text.append(figure("PyTorch conv1d over fused", both["PyTorch conv1d"] / both["fused"]))
        text.append(figure("the fastest in PyTorch over fused", best / both["fused"]))
    if "fft" in both and best:
        text.append(figure("PyTorch conv1d over fft", both["PyTorch conv1d"] / both["fft"]))
        text.append(figure("PyTorch fft over fft", both["PyTorch fft"] / both["fft"]))
    return text
