"""All coefficients of one long signal: `causal_swt` against `pywt.swt`, which is written in C."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..transform import causal_swt
from .timing import alternate, figure, summary, table

WAVELET = "db4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both, after a look that their coefficients are the same, moved, away from the wrapped-around beginning."""
    import pywt

    length, level = (2**12, 6) if args.quick else (2**16, 10)
    x = np.random.default_rng(0).standard_normal(length)
    check_same(x, level)
    contestants = {
        "causal_swt": lambda: causal_swt(x, WAVELET, level),
        "pywt.swt": lambda: pywt.swt(x, WAVELET, level),
    }
    times = alternate(contestants, max(args.repeats, 15))
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


def lines(result: dict[str, Any]) -> list[str]:
    """The table, and the ratio."""
    rows = result["rows"]
    ratio = rows["pywt.swt"]["median"] / rows["causal_swt"]["median"]
    return [
        f"pyramid: one signal of {result['L']:,} samples, {WAVELET}, {result['level']} levels, float64",
        *table(rows, {"/ causal_swt": "causal_swt"}),
        figure("pywt.swt over causal_swt", ratio),
    ]
