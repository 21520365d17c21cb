"""The causal transform of a live signal: sample by sample and in chunks, beside the whole signal at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from ..signals.stream import CausalSWT
from ..signals.swt import causal_swt
from .timing import alternate, check_agreement, ratio_line, summary, table

WAVELET, LEVEL, CHUNK = "db4", 5, 1024
STEPS, WHOLE, CHUNKS, THEIRS = (
    "one step",
    "causal_swt, the whole signal",
    f"push, chunks of {CHUNK:,}",
    "pywt.swt, the whole signal",
)
AGREE = 1e-12


def measure_swt(args: argparse.Namespace) -> dict[str, Any]:
    """The causal transform of a live signal: a step, chunks of 1,024 samples, and the whole signal at once.

    One channel, db4, five levels, float64. First it is checked that chunks give what the whole signal gives. A step is the mean
    of 2,000 in a row; all else is the time for the whole signal, which `pywt.swt` gets too.
    """
    import pywt

    length, steps = (2**13, 200) if args.quick else (2**16, 2000)
    x = np.random.default_rng(0).standard_normal(length)
    chunks = np.split(x, length // CHUNK)
    check_agreement(CHUNKS, details_of(CausalSWT(WAVELET, LEVEL), chunks), WHOLE, causal_swt(x, WAVELET, LEVEL)[0][1], AGREE)
    stream = CausalSWT(WAVELET, LEVEL)
    calls: dict[str, Callable[[], Any]] = {
        STEPS: lambda: [stream.step(v) for v in x[:steps]],
        CHUNKS: lambda: [stream.push(chunk) for chunk in chunks],
        WHOLE: lambda: causal_swt(x, WAVELET, LEVEL),
        THEIRS: lambda: pywt.swt(x, WAVELET, LEVEL),
    }
    times = alternate(calls, max(args.repeats, 15))
    times[STEPS] = [seconds / steps for seconds in times[STEPS]]
    engine = "Numba" if stream.compiled else "NumPy"
    return {"L": length, "level": LEVEL, "engine": engine, "rows": {name: summary(seconds) for name, seconds in times.items()}}


def details_of(stream: CausalSWT, chunks: list[np.ndarray]) -> np.ndarray:
    """d_J of a signal that is given in chunks."""
    return np.concatenate([stream.push(chunk)[0][1] for chunk in chunks])


def swt_lines(result: dict[str, Any]) -> list[str]:
    """The table, and the figures."""
    rows = result["rows"]
    median = {name: row["median"] for name, row in rows.items()}
    about = (
        f"one channel of {result['L']:,} samples, {WAVELET}, {result['level']} levels, float64; the stream by {result['engine']}"
    )
    return [
        f"swt: {about}",
        table(rows, {"/ causal_swt": WHOLE}, digits=3),
        ratio_line("microseconds a step", 1e6 * median[STEPS]),
        ratio_line("chunks over the whole signal", median[CHUNKS] / median[WHOLE]),
        ratio_line("pywt.swt over chunks", median[THEIRS] / median[CHUNKS]),
    ]
