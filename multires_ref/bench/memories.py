"""The update of linear memories: the wavelet tree beside Legendre, Fourier, averages and the last samples."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ..base.compiled import numba_works
from ..base.tables import text_table
from ..memories import Memory, make_memory
from ..memories.compare import HORIZON, NAMES, SIZES
from ..memories.drift import DriftRecord, drift_table, measure_drift
from .timing import alternate, check_agreement, summary

CHANNELS, SAMPLES = 64, 500
AGREE = 1e-9  # of the norm: a state after SAMPLES steps, from its recurrence and from its matrix


def measure_memories(args: argparse.Namespace) -> dict[str, Any]:
    """The update of each memory, for one sample and channel, at 10, 32 and 64 numbers; and how far a million updates drift.

    Every memory streams the same white noise in 64 channels, in float64, sample by sample: by NumPy, and by its compiled loop
    where Numba is installed. Before anything is timed, the states are compared with the memories' matrices. LegS has streamed
    10,000 samples before, because its first steps take longer than those that follow.
    """
    sizes, channels, samples = ((10,), 8, 60) if args.quick else (SIZES, CHANNELS, SAMPLES)
    x = np.random.default_rng(0).standard_normal((channels, samples))
    rows: list[dict[str, Any]] = []
    for m in sizes:
        agreement = max(check_state(make_memory(name, m, HORIZON), x) for name in NAMES)
        calls = {(name, way): call_of(make_memory(name, m, HORIZON), x, way) for name in NAMES for way in ways()}
        times = alternate({f"{name} {way}": call for (name, way), call in calls.items()}, args.repeats)
        for name in NAMES:
            memory = make_memory(name, m, HORIZON)
            memory.n = 10_000 if memory.time_varying else 0
            row = {"memory": name, "title": memory.title, "m": m, "operations": memory.operations, "stored": memory.stored}
            rows.append(row | {"agreement": agreement} | {way: summary(times[f"{name} {way}"]) for way in ways()})
    drift = measure_drift(10**4 if args.quick else 10**6)
    return {"channels": channels, "samples": samples, "rows": rows, "drift": [record.to_dict() for record in drift]}


def ways() -> tuple[str, ...]:
    """How a memory is updated here: "NumPy", and "compiled" where Numba can be used."""
    return ("NumPy", "compiled") if numba_works() else ("NumPy",)


def check_state(memory: Memory, x: np.ndarray) -> float:
    """The difference between the state after x and M times the past, relative to the norm."""
    z = memory.push(x)
    M = memory.matrix()
    seen = min(M.shape[1], x.shape[1])
    return check_agreement(memory.title, z, "its matrix", x[:, ::-1][:, :seen] @ M[:, :seen].T, AGREE)


def call_of(memory: Memory, x: np.ndarray, way: str) -> Any:
    """A function that streams x once more through the memory."""
    memory.reset(x.shape[:-1])
    if memory.time_varying:
        memory.push(np.repeat(x, -(-10_000 // x.shape[1]), axis=1))
    out = np.empty((len(x), 0, memory.size))
    if way == "NumPy":
        return lambda: memory.advance_all(x, out)
    many = memory.compiled()
    return lambda: many(x, memory.state, out)


def memories_lines(result: dict[str, Any]) -> list[str]:
    """A table for each size: nanoseconds for one sample and channel, and how many times as long as the last m samples take."""
    each = result["channels"] * result["samples"]
    lines = []
    for m in dict.fromkeys(row["m"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["m"] == m]
        measured = [way for way in ("NumPy", "compiled") if way in rows[0]]
        last = next(row for row in rows if row["memory"] == "last")
        cells = []
        for row in rows:
            times = [f"{1e9 * row[way]['median'] / each:,.1f}" for way in measured]
            ratios = [f"{row[way]['median'] / last[way]['median']:.2f}x" for way in measured]
            cells.append([row["title"], f"{row['operations']:,}", f"{row['stored']:,}", *times, *ratios])
        header = ["", "operations", "stored", *(f"{way}, ns" for way in measured), *(f"{way} / last" for way in measured)]
        lines += [
            f"memories: m = {m}, horizon {HORIZON}, {result['channels']} channels, float64; one sample and channel",
            text_table(header, cells, indent="  "),
        ]
    records = [DriftRecord(**record) for record in result["drift"]]
    return [*lines, drift_table(records)]
