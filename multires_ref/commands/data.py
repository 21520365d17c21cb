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
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.checks import check_choice, check_int
from ..base.names import named_as_flags

if TYPE_CHECKING:
    from ..tasks.task import Task
    from ..training.data import Split


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One set of arguments for each task; some tasks add flags of their own."""
    from ..tasks import TASKS, get_task

    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True, help="whose data")
    for name in TASKS:
        task = get_task(name)
        title = task.title.replace("%", "%%")
        flags = tasks.add_parser(name, help=title, description=title)
        flags.add_argument("--data-dir", metavar="DIR", help="where the data are, or are put (default: the task's own place)")
        flags.add_argument("--out", metavar="FILE", help="draw one training example into this .png or .svg (default: no picture)")
        flags.add_argument("--example", type=int, help="with --out: number of the training example, from 0 (default: 0)")
        if task.length:
            flags.add_argument("--length", type=int, help=f"{task.length.meaning} (default: {task.length.default})")
        if task.add_data_arguments:
            task.add_data_arguments(flags)


def run(args: argparse.Namespace) -> int:
    """Prepare, load, describe, and draw where a file is named."""
    from ..tasks import get_task
    from ..tasks.task import LoadOptions

    check_picture(args)
    task = get_task(args.task)
    if task.prepare:
        print("\n".join(task.prepare(args)))
    options = LoadOptions(args.data_dir, length=getattr(args, "length", None))
    with named_as_flags(["length"]):
        task.for_length(options.length)  # an error where there are no sequences of that length
    splits = task.load(options)
    labels = task.label_names(options)
    print(task.title)
    for name, split in splits.items():
        print("\n".join(split_lines(name, split, labels, task.objective)))
    if args.out is not None:
        draw(args, task, splits["train"], labels)
    return 0


def check_picture(args: argparse.Namespace) -> None:
    """Raise a ValueError, before anything is fetched or generated, if the picture that was asked for cannot be drawn."""
    if args.out is None:
        if args.example is not None:
            raise ValueError("--example says which example is drawn: give --out FILE.png too, where the picture is to go")
        return
    check_choice("the ending of --out", Path(args.out).suffix, (".png", ".svg"))
    check_int("--example", args.example or 0, 0)


def split_lines(name: str, split: Split, labels: tuple[str, ...], objective: str) -> list[str]:
    """What one part holds: number and shape, lengths, values, classes."""
    x, y = split.x, split.y
    lines = [f"{name}: {len(split):,} examples, x {list(x.shape)} {x.dtype}"]
    if split.lengths is not None:
        low, middle, high = split.lengths.min(), np.median(split.lengths), split.lengths.max()
        lines.append(f"  lengths {low:,} to {high:,}, median {middle:,.0f}")
    if x.dtype.kind == "f":
        lines.append(f"  values {number_text(x)}")
    if objective == "regression":
        lines.append(f"  y {number_text(y)}")
    elif objective != "density":
        lines += count_lines(y.reshape(-1) if objective == "tagging" else y, labels)
    return lines


def number_text(a: np.ndarray) -> str:
    """The range, mean and standard deviation of an array.

    Examples
    --------
    >>> number_text(np.array([1.0, 3.0]))
    '1.000 to 3.000, mean 2.000, standard deviation 1.000'
    """
    mean, std = a.mean(dtype=float), a.std(dtype=float)
    return f"{a.min():.3f} to {a.max():.3f}, mean {mean:.3f}, standard deviation {std:.3f}"


def count_lines(y: np.ndarray, labels: tuple[str, ...]) -> list[str]:
    """How many examples every class or label has, eight on a line, and the share of the most frequent class."""
    counts = np.bincount(y, minlength=len(labels)) if y.ndim == 1 else y.sum(axis=0).astype(int)
    names = labels or tuple(map(str, range(len(counts))))
    cells = [f"{name} {count:,}" for name, count in zip(names, counts, strict=True)]
    lines = [f"  {', '.join(cells[n : n + 8])}" for n in range(0, len(cells), 8)]
    if y.ndim == 1:
        lines.append(f"  always saying {names[counts.argmax()]} is right for {counts.max() / len(y):.1%}".replace("%", " %"))
    return lines


def draw(args: argparse.Namespace, task: Task, split: Split, labels: tuple[str, ...]) -> None:
    """One training example as a picture."""
    from ..plots.sequences import plot_example
    from ..plots.style import save

    n = check_int("--example", args.example or 0, 0, len(split) - 1)
    what = ""
    if task.objective == "classification":
        what = f": {labels[split.y[n]] if labels else split.y[n]}"
    elif task.objective == "multilabel":
        what = f": {', '.join(np.array(labels)[split.y[n] > 0])}"
    save(plot_example(split.example(n), title=f"{task.name}, training example {n}{what}", tokens=task.tokens), args.out)
    print(f"drew training example {n}{what} in {args.out}")
