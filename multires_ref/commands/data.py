"""Fetch or generate a task's data, check it, and show what is there.

multires-ref data digits                     counts, classes, lengths, values
multires-ref data digits --out digit.png     and a picture of one training example
multires-ref data listops                    generate Long ListOps in data/listops (two minutes)
multires-ref data listops --train 1000 --val 100 --test 100 --data-dir data/short
multires-ref data scifar10                   fetch CIFAR-10 into data/cifar10
multires-ref data ptbxl --data-dir ~/ptb-xl  check the folder you have
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..base.checks import check_choice, check_int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One set of arguments a task: some can be told how to get their data."""
    from ..tasks import TASK_MODULES, get_task

    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True, help="whose data")
    for name, module in TASK_MODULES.items():
        title = get_task(name).title.replace("%", "%%")
        task = tasks.add_parser(name, help=title, description=title)
        task.add_argument("--data-dir", metavar="DIR", help="where the data are, or are put (default: the task's own place)")
        task.add_argument("--out", metavar="FILE", help="draw one training example into this .png or .svg (default: no picture)")
        task.add_argument("--example", type=int, help="with --out: number of the training example, from 0 (default: 0)")
        more = getattr(import_module(f"..tasks.{module}", __package__), "add_data_arguments", None)
        if more:
            more(task, name)


def run(args: argparse.Namespace) -> int:
    """Prepare, load, describe, and draw where a file is named."""
    from ..tasks import TASK_MODULES, get_task
    from ..tasks.task import LoadOptions

    check_picture(args)
    module = import_module(f"..tasks.{TASK_MODULES[args.task]}", __package__)
    task = get_task(args.task)
    if hasattr(module, "prepare"):
        print("\n".join(module.prepare(args)))
    splits = task.load(LoadOptions(args.data_dir))
    labels = task.label_names(LoadOptions(args.data_dir))
    print(task.title)
    for name, split in splits.items():
        print("\n".join(split_lines(name, split, labels, task.objective)))
    if args.out is not None:
        draw(args, task, splits["train"], labels, getattr(module, "TOKENS", ()))
    return 0


def check_picture(args: argparse.Namespace) -> None:
    """Raise a ValueError, before anything is fetched or generated, if the picture that was asked for cannot be drawn."""
    if args.out is None:
        if args.example is not None:
            raise ValueError("--example says which example is drawn: give --out FILE.png too, where the picture is to go")
        return
    check_choice("the ending of --out", Path(args.out).suffix, (".png", ".svg"))
    check_int("--example", args.example or 0, 0)


def split_lines(name: str, split: Any, labels: tuple[str, ...], objective: str) -> list[str]:
    """What one part holds: number and shape, lengths, values, classes."""
    x = split.x
    lines = [f"{name}: {len(split):,} examples, x {list(x.shape)} {x.dtype}"]
    if split.lengths is not None:
        low, middle, high = split.lengths.min(), np.median(split.lengths), split.lengths.max()
        lines.append(f"  lengths {low:,} to {high:,}, median {middle:,.0f}")
    if x.dtype.kind == "f":
        lines.append(
            f"  values {x.min():.3f} to {x.max():.3f}, mean {x.mean(dtype=float):.3f}, deviation {x.std(dtype=float):.3f}"
        )
    if objective != "density":
        lines += count_lines(split.y, labels)
    return lines


def count_lines(y: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """Examples of every class or label, a few a line, and the share of the commonest class."""
    counts = np.bincount(y, minlength=len(labels)) if y.ndim == 1 else y.sum(axis=0).astype(int)
    names = labels or tuple(map(str, range(len(counts))))
    cells = [f"{name} {count:,}" for name, count in zip(names, counts, strict=True)]
    lines = [f"  {', '.join(cells[n : n + 8])}" for n in range(0, len(cells), 8)]
    if y.ndim == 1:
        lines.append(f"  always saying {names[counts.argmax()]} is right for {counts.max() / len(y):.1%}".replace("%", " %"))
    return lines


def draw(args: argparse.Namespace, task: Any, split: Any, labels: tuple[str, ...], tokens: tuple[str, ...]) -> None:
    """One training example as a picture."""
    from ..plots.sequences import plot_example
    from ..plots.style import save

    n = check_int("--example", args.example or 0, 0, len(split) - 1)
    x = split.x[n] if split.lengths is None else split.x[n, ..., : split.lengths[n]]
    what = ""
    if task.objective == "classification":
        what = f": {labels[split.y[n]] if labels else split.y[n]}"
    elif task.objective == "multilabel":
        what = f": {', '.join(np.array(labels)[split.y[n] > 0])}"
    save(plot_example(x, title=f"{task.name}, training example {n}{what}", tokens=tokens), args.out)
    print(f"drew training example {n}{what} in {args.out}")
