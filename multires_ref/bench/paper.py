"""Training steps at the paper's four settings, here and in PyTorch: seconds a step, memory, hours an epoch.

Every setting keeps its width, kernel, length, batch, dropout, norm and optimiser; data are random. There are fewer layers than
in the paper where `--layers` says so, or where a step does not fit into the memory. Then a step is timed with two numbers of
layers, and its time is carried on linearly to the paper's number of layers. Each measurement is a process of its own: one step
to warm up, then `--steps` steps that are timed; their median is reported, and the most memory that the process ever held.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .training_step import in_own_process

SETTINGS = {"scifar10": 45_000, "listops": 96_000, "ptbxl": 17_418, "cifar10-density": 48_000}  # training examples
LAYERS = {"cifar10-density": 4}  # its 48 layers need more than 24 GB at batch 64
SIDES = {"ours": "here", "torch": "PyTorch"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    tasks = f"whose settings: {', '.join(SETTINGS)} (default: all)"
    parser.add_argument("--tasks", nargs="+", choices=SETTINGS, metavar="TASK", default=list(SETTINGS), help=tasks)
    parser.add_argument("--layers", type=int, help="layers everywhere (default: the paper's, but 4 for cifar10-density)")
    parser.add_argument("--steps", type=int, default=2, help="timed steps of each (default: 2)")
    parser.add_argument("--memory", type=float, default=20.0, help="GiB that one process may hold (default: 20.0)")
    parser.add_argument(
        "--seconds", type=float, default=150.0, help="seconds after which a measurement is given up (default: 150.0)"
    )
    parser.add_argument(
        "--budget", type=float, default=580.0, help="seconds for everything; what does not fit is left out (default: 580.0)"
    )
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out even where it is installed")
    parser.add_argument("--out", metavar="FILE", help="write the numbers here, as JSON (default: nowhere)")


def run(args: argparse.Namespace) -> int:
    """Measure every setting, print a table, write JSON."""
    from ..base.checks import check_choice, check_int
    from ..base.files import write_json

    check_int("steps", args.steps, 1)
    sides = ["ours"] if args.no_torch or find_spec("torch") is None else ["ours", "torch"]
    rows, args.deadline = [], time.monotonic() + args.budget
    print("\n".join(heading()))
    for name in args.tasks:
        check_choice("tasks", name, SETTINGS)
        for side in sides:
            rows.append(measure(name, side, args))
            print(line(rows[-1]), flush=True)
    print("\n".join(notes(rows)))
    if args.out:
        write_json(Path(args.out), rows)
    return 0


def measure(name: str, side: str, args: argparse.Namespace) -> dict[str, Any]:
    """One setting by one side; where the paper's number of layers does not fit, it is halved until it does."""
    from ..tasks import get_task

    task = get_task(name)
    paper = task.network.n_layers
    layers = min(args.layers or LAYERS.get(name, paper), paper)
    result = step(name, side, layers, args)
    while "error" in result and result["error"] == "memory" and layers > 1:
        layers //= 2
        result = step(name, side, layers, args)
    row = {"task": name, "side": side, "layers": layers, "paper_layers": paper} | result
    if "error" in result:
        return row
    row["paper_seconds"] = result["seconds"]
    if layers < paper:
        fewer = max(1, layers // 2)
        less = step(name, side, fewer, args) if fewer < layers else {"error": "one layer alone"}
        if "error" in less:
            return row | {"paper_seconds": None}
        slope = (result["seconds"] - less["seconds"]) / (layers - fewer)
        if slope <= 0:  # the machine was too busy for the difference to mean anything
            return row | {"paper_seconds": None}
        row |= {
            "fewer_layers": fewer,
            "fewer_seconds": less["seconds"],
            "paper_seconds": result["seconds"] + slope * (paper - layers),
        }
    steps = -(-SETTINGS[name] // task.training.batch_size)
    return row | {"steps_per_epoch": steps, "epoch_hours": row["paper_seconds"] * steps / 3600, "epochs": task.training.epochs}


def step(name: str, side: str, layers: int, args: argparse.Namespace) -> dict[str, Any]:
    """One measurement in a process of its own, within the time that is left: {"seconds", "peak_gib", ...}, or {"error": ...}."""
    seconds = min(args.seconds, args.deadline - time.monotonic())
    if seconds <= 0:
        return {"error": f"no time left of --budget {args.budget:g}"}
    return in_own_process(name, side, layers, args.steps, args.memory, seconds)


def heading() -> list[str]:
    """The table's first line. Its columns have fixed widths, since each row is printed as soon as it is measured."""
    return [
        f"{'setting':<16}{'':<9}{'layers':>9}{'s a step':>10}{'GiB':>7}{'s at all layers':>17}{'hours an epoch':>16}{'epochs':>8}"
    ]


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    start = f"{row['task']:<16}{SIDES[row['side']]:<9}{row['layers']:>4} of {row['paper_layers']:<2}"
    if "error" in row:
        return f"{start}  {row['error']}"
    start += f"{row['seconds']:>9.2f}{row['peak_gib']:>7.1f}"
    if row["paper_seconds"] is None:
        return f"{start}  cannot be carried on to {row['paper_layers']} layers"
    return f"{start}{row['paper_seconds']:>17.2f}{row['epoch_hours']:>16.2f}{row['epochs']:>8}"


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Ratios, which times were carried on to more layers, and the machine."""
    text = []
    by = {(row["task"], row["side"]): row for row in rows}
    for name in dict.fromkeys(row["task"] for row in rows):
        ours, theirs = by.get((name, "ours"), {}), by.get((name, "torch"), {})
        if ours.get("paper_seconds") and theirs.get("paper_seconds"):
            text.append(f"{name}: PyTorch takes {theirs['paper_seconds'] / ours['paper_seconds']:.1f} times as long")
    for row in rows:
        if "fewer_layers" in row:
            times = f"{row['fewer_seconds']:.2f} s with {row['fewer_layers']} and {row['seconds']:.2f} s with {row['layers']}"
            text.append(f"{row['task']}, {SIDES[row['side']]}: carried on to {row['paper_layers']} layers from {times}")
    versions = next((row["versions"] for row in rows if "versions" in row), None)
    return text + ([versions] if versions else [])
