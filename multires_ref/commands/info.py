"""Describe this machine, a task, or a run: settings, parameters, receptive field, work, memory.

multires-ref info                    versions, engines and threads here
multires-ref info digits             a task's settings, its cost, published and reproduced results
multires-ref info runs/digits-...    a run folder or checkpoint
multires-ref info ./digits           a folder that is called like a task
"""

from __future__ import annotations

import argparse
import difflib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..base.checks import check_int
from ..base.compiled import numba_works
from ..network.account import parameters_by_part, streaming_memory, training_memory, work_by_part
from ..network.config import NetworkConfig
from .parser import did_you_mean

PACKAGES = ("numpy", "scipy", "PyWavelets", "autograd", "numba", "torch", "cupy-cuda13x", "matplotlib", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from ..tasks import TASKS

    target = parser.add_argument(
        "target", nargs="?", help=f"a run folder, a checkpoint, or a task: {', '.join(TASKS)} (default: this machine)"
    )
    target.completer = lambda prefix, **given: [*TASKS, *paths_that_begin(prefix)]  # for the Tab key: see parser.py
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="gpu: say what CuPy finds (default: cpu)")
    parser.add_argument("--batch-size", type=int, help="for the memory of a training step (default: the task's, or 50)")


def run(args: argparse.Namespace) -> int:
    """Print the description."""
    from ..tasks import TASKS

    if args.batch_size is not None:
        check_int("--batch-size", args.batch_size, 1)
    if args.target is None:
        print("\n".join(machine_lines(args.device)))
    elif args.target in TASKS:
        print("\n".join(task_lines(args.target, args.batch_size)))
    else:
        print("\n".join(run_lines(Path(args.target), args.batch_size or 50)))
    return 0


def run_lines(path: Path, batch_size: int) -> list[str]:
    """What a run folder or a checkpoint holds: the network, and of an estimator its labels and standardisation."""
    from ..authors.load import load_model
    from ..estimators.describe import estimator_lines, holds_estimator, load_any

    if not path.exists():
        raise FileNotFoundError(missing(str(path)))
    if path.is_dir() and not (path / "best.safetensors").exists():
        begun = (path / "config.json").exists()
        what = "it is a run that has not finished an epoch" if begun else "it is no run folder"
        raise ValueError(f"{path} holds no best.safetensors: {what}. `multires-ref train TASK --out DIR` makes one")
    lines = [str(path), *network_lines(load_model(path).config, batch_size)]
    if holds_estimator(path):
        lines += estimator_lines(load_any(path))
    return lines


def missing(target: str) -> str:
    """That there is nothing called `target`, and what is called nearly so: a task, or a file or folder beside it."""
    from ..tasks import TASKS

    folder = os.path.dirname(target)
    known = {*paths_that_begin(os.path.join(folder, "")), *(() if folder else TASKS)}
    near = did_you_mean(difflib.get_close_matches(target, sorted(known), n=3, cutoff=0.6))
    return f"there is no task, file or folder {target}" + (f" ({near})" if near else f": the tasks are {', '.join(TASKS)}")


def paths_that_begin(prefix: str) -> list[str]:
    """The files and folders whose paths begin so, hidden ones only if asked for; none where the folder cannot be read."""
    folder, beginning = os.path.split(prefix)
    try:
        names = sorted(name for name in os.listdir(folder or ".") if beginning.startswith(".") or not name.startswith("."))
    except OSError:
        return []
    return [path for path in (os.path.join(folder, name) for name in names) if path.startswith(prefix)]


def machine_lines(device: str) -> list[str]:
    """Versions, engines, and what a GPU would need."""
    from ..engines import available_engines

    lines = [f"multires_ref {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    lines += [f"  {name:<13} {version_of(name)}" for name in PACKAGES]
    lines += ["engines"] + [f"  {name:<6} {text}" for name, text in available_engines().items()]
    if device == "gpu":
        from ..bench.gpu_info import gpu_report

        lines += gpu_report()
    return lines


def version_of(package: str) -> str:
    """The installed version, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def task_lines(name: str, batch_size: int | None) -> list[str]:
    """A task's title, results, and its network's table."""
    from ..tasks import get_task

    task = get_task(name)
    training = task.training
    lines = [
        f"{task.name}: {task.title}",
        f"  published    {task.published or 'nothing: this task is not in the paper'}",
        f"  reproduced   {task.reproduced or 'not yet: the full setting has not been run to its end with this code'}",
        f"  training     {training.optimizer}, lr {training.lr:g}, weight decay {training.weight_decay:g}, "
        f"batch {training.batch_size}, {training.epochs} epochs, warm-up {training.warmup_epochs:g}",
    ]
    return lines + network_lines(task.network, batch_size or training.batch_size)


def network_lines(config: NetworkConfig, batch_size: int) -> list[str]:
    """The configuration and what it costs."""
    parts, work = parameters_by_part(config), work_by_part(config)
    memory = training_memory(config, batch_size, compiled=numba_works())
    lines = ["configuration"]
    lines += [f"  {name:<24} {value}" for name, value in config.to_dict().items() if value is not None]
    lines += [
        "tree",
        f"  {'depth J':<24} {config.J}",
        f"  {'memory size m':<24} {config.m}",
        f"  {'receptive field':<24} {config.receptive_field:,} samples a layer",
        "parameters",
        *(f"  {name:<24} {count:>14,}" for name, count in parts.items()),
        f"  {'all':<24} {sum(parts.values()):>14,}",
        "work, multiply-adds a time step, forward",
        *(f"  {name:<24} {count:>14,}" for name, count in work.items()),
        f"memory of a training step, batch {batch_size}, {config.max_length} steps, float32",
        *(f"  {name:<34} {size / 2**20:>10,.1f} MiB" for name, size in memory.items()),
        f"  {'past that one stream keeps':<34} {streaming_memory(config) / 2**20:>10,.1f} MiB",
    ]
    return lines
