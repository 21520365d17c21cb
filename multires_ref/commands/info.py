"""Describe this machine, a task, or a run: configuration, parameters, receptive field, work and memory.

multires-ref info                    versions, engines and threads here
multires-ref info digits             a task's setting, its cost, and published beside reproduced results
multires-ref info runs/digits-...    a run folder or checkpoint
"""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..checks import check_choice
from ..network.account import parameters_by_part, streaming_memory, training_memory, work_by_part
from ..network.config import NetworkConfig

PACKAGES = ("numpy", "scipy", "PyWavelets", "autograd", "numba", "torch", "cupy-cuda13x", "matplotlib", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("target", nargs="?", help="a task, a run folder or a checkpoint; nothing for this machine")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="with gpu: say what CuPy finds")
    parser.add_argument("--batch-size", type=int, help="for the memory of a training step (default: the task's, or 50)")


def run(args: argparse.Namespace) -> int:
    """Print the description."""
    if args.target is None:
        print("\n".join(machine_lines(args.device)))
    elif Path(args.target).exists():
        from ..interop.load import load_model

        model = load_model(args.target)
        print("\n".join([f"{args.target}", *network_lines(model.config, args.batch_size or 50)]))
    else:
        print("\n".join(task_lines(args.target, args.batch_size)))
    return 0


def machine_lines(device: str) -> list[str]:
    """Versions, engines, and what a GPU would need."""
    from ..engines import available_engines

    lines = [f"multires_ref {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    lines += [f"  {name:<13} {version_of(name)}" for name in PACKAGES]
    lines += ["engines"] + [f"  {name:<6} {text}" for name, text in available_engines().items()]
    if device == "gpu":
        from ..engines.device import gpu_report

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
    from ..tasks import TASK_MODULES, get_task

    task = get_task(check_choice("target", name, TASK_MODULES))
    training = task.training
    lines = [
        f"{task.name}: {task.title}",
        f"  published    {task.published or 'nothing: this task is not in the paper'}",
        f"  reproduced   {task.reproduced or 'nothing has been run at full scale here'}",
        f"  training     {training.optimizer}, lr {training.lr:g}, weight decay {training.weight_decay:g}, "
        f"batch {training.batch_size}, {training.epochs} epochs, warm-up {training.warmup_epochs:g}",
    ]
    return lines + network_lines(task.network, batch_size or training.batch_size)


def network_lines(config: NetworkConfig, batch_size: int) -> list[str]:
    """The configuration and what it costs."""
    parts, work = parameters_by_part(config), work_by_part(config)
    memory = training_memory(config, batch_size)
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
