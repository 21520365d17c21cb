"""The part `busy`: small and large training steps beside none, one and two busy neighbours."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from ..base.tables import text_table
from ..network import NetworkConfig
from ..tasks.task import Task
from .step import with_batch
from .threaded import Case, time_cases
from .timing import ratio_line
from .training_step import our_step, random_batch, torch_step

SIZES = {"digits": None, "scifar10": (2, 4), "listops": (2, 8), "ptbxl": (2, 25)}  # layers and batch; None: the task's own
NEIGHBOURS = (0, 1, 2)
WORDS = ("idle", "one busy neighbour", "two busy neighbours")
OURS, ONE, THEIRS = "ours", "ours, one thread", "PyTorch"
LONG = 0.5  # seconds of one measurement: longer than the operating system lets one process run in a row
SECONDS = 15.0  # that one row of the slower sides may take in all its rounds


def measure_busy(args: argparse.Namespace) -> dict[str, Any]:
    """Training steps beside none, one and two busy neighbours: small and large ones, with all threads and with one thread.

    A neighbour is a process that does nothing but count. If the threads of a step wait for each other, and one of them shares its
    CPU core with a neighbour, then all of them wait for that one, and two threads can be many times slower than one. That is why
    the package does small work with one thread. The ratios say how many times as long a step takes beside neighbours as on the
    idle machine.

    The small step is that of the digits network. The large ones have the paper's width, kernel and length, but two layers, and
    batches of 4 (scifar10), 8 (listops) and 25 (ptbxl), so that a step takes less than a second. For comparison PyTorch runs
    the authors' network eagerly, and sides that are slow take fewer rounds. One measurement is as many steps as take half
    a second, and all measurements alternate in every round. Takes about eight minutes with PyTorch.
    """
    return {"rows": {name: one_size(name, args) for name in SIZES}}


def one_size(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One step: its shape, and seconds {side: [a summary for each number of NEIGHBOURS]}."""
    task, network = setting(name, args.quick)
    batch = random_batch(network, task)
    step = our_step(network, task, batch)
    sides: dict[str, tuple[Callable[[], Any], int | None]] = {OURS: (step, args.threads), ONE: (step, 1)}
    if find_spec("torch"):
        sides[THEIRS] = (torch_step(network, task, batch), args.threads)
    cases = [Case(who, call, most, count) for count in NEIGHBOURS for who, (call, most) in sides.items()]
    times = time_cases(cases, args.repeats, 0.0 if args.quick else LONG, SECONDS)
    seconds = {who: [row for case, row in times.items() if case.who == who] for who in sides}
    shape = {"B": task.training.batch_size, "L": network.max_length, "D": network.d_model, "layers": network.n_layers}
    return {"shape": shape, "seconds": seconds}


def setting(name: str, quick: bool) -> tuple[Task, NetworkConfig]:
    """The task with its batch here, and its network with fewer layers; quick: narrow and short."""
    from ..tasks import get_task

    task = get_task(name)
    network = task.network
    if SIZES[name] is not None:
        layers, B = SIZES[name]
        task, network = with_batch(task, B), replace(network, n_layers=layers)
    if quick:
        network = replace(network, d_model=8, max_length=min(64, network.max_length))
    return task, network


def busy_lines(result: dict[str, Any]) -> list[str]:
    """A table for each step, in milliseconds, and the ratios of its medians."""
    text = []
    for name, row in result["rows"].items():
        shape = row["shape"]
        size = f"batch {shape['B']}, {shape['L']:,} steps, width {shape['D']}, {shape['layers']} layers"
        text += [f"busy: a training step of {name} ({size})", busy_table(row["seconds"]), *busy_ratios(name, row["seconds"])]
    return text


def busy_table(seconds: dict[str, list[dict[str, Any]]]) -> str:
    """Side and neighbours, median and quartiles in milliseconds, rounds, and the median over the idle one's."""
    cells = []
    for who, rows in seconds.items():
        for words, row in zip(WORDS, rows, strict=True):
            low, median, high = (f"{1e3 * row[key]:,.2f}" for key in ("low", "median", "high"))
            over = f"{row['median'] / rows[0]['median']:.2f}x"
            cells.append([f"{who}, {words}", median, f"{low} to {high}", str(row["rounds"]), over])
    return text_table(["", "ms", "(quartiles)", "rounds", "/ idle"], cells, indent="  ")


def busy_ratios(name: str, seconds: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Busy over idle for each side, and all threads over one thread beside as many neighbours."""
    median = {who: [row["median"] for row in rows] for who, rows in seconds.items()}
    text = [
        ratio_line(f"{name}, {who}: {words} / idle", times[n] / times[0])
        for who, times in median.items()
        for n, words in enumerate(WORDS)
        if n
    ]
    return text + [
        ratio_line(f"{name}, {words}: ours / ours with one thread", median[OURS][n] / median[ONE][n])
        for n, words in enumerate(WORDS)
    ]
