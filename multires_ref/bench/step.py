"""The part `step`: a whole training step, ours and PyTorch's, its time and its memory."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..network import Model, NetworkConfig
from ..tasks.task import Task
from ..training.data import Split
from .timing import alternate, ratio_line, summary, table
from .training_step import in_own_process, our_step, random_batch, torch_loss, torch_step

SETTINGS = ("scifar10", "listops", "ptbxl")
AGREE = 1e-4  # relative difference of the first losses, float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which settings, and how many layers."""
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="whose sizes (default: all)")
    parser.add_argument("--layers", type=int, default=2, help="blocks (default: 2)")


def measure_step(args: argparse.Namespace) -> dict[str, Any]:
    """A whole training step at three of the paper's settings, with two layers: ours against PyTorch eager, time and peak memory.

    Width, kernel, length, batch, norm, dropout and optimiser are the paper's; data are random. Losses are compared first, with
    the same parameters and dropout 0. The time of the step's matrix products alone is measured too: no step on this machine
    can be faster than they are. Memory is the peak of a fresh process that takes one step, less what it held before.
    """
    layers = getattr(args, "layers", 2)
    return {"layers": layers, "rows": {name: one_setting(name, layers, args) for name in getattr(args, "settings", SETTINGS)}}


def one_setting(name: str, layers: int, args: argparse.Namespace) -> dict[str, Any]:
    """One row: the difference of the first losses, seconds, and memory."""
    task, network = setting(name, layers, args.quick)
    batch = random_batch(network, task)
    steps, sides, agreement = {"ours": our_step(network, task, batch)}, {"ours": "ours"}, None
    if find_spec("torch"):
        agreement = check_losses(network, task, batch)
        steps["PyTorch"], sides["PyTorch"] = torch_step(network, task, batch), "torch"
    steps["matrix products"] = matrix_products(network, task.training.batch_size)
    seconds = {who: summary(times) for who, times in alternate(steps, args.repeats).items()}
    del steps  # so that they hold no memory while others measure theirs
    memory = {who: None if args.quick else peak_memory(name, side, layers) for who, side in sides.items()}
    return {"agreement": agreement, "seconds": seconds, "memory_gib": memory}


def setting(name: str, layers: int, quick: bool) -> tuple[Task, NetworkConfig]:
    """The task and its network with fewer layers; quick: a batch of 4 and a narrow network."""
    from ..tasks import get_task

    task = get_task(name)
    network = replace(task.network, n_layers=layers)
    if quick:
        network = replace(network, d_model=32)
        task = replace(task, training=replace(task.training, batch_size=4))
    return task, network


def check_losses(network: NetworkConfig, task: Task, batch: Split) -> float:
    """The relative difference of the two first losses, with the same parameters and no dropout."""
    import torch

    from ..authors.torch_model import to_torch
    from ..training.objectives import get_objective
    from ..training.step import loss_and_gradients

    still = replace(network, dropout=0.0)
    model = Model.init(still, np.random.default_rng(0))
    objective = get_objective(task.objective, still)
    ours = float(loss_and_gradients(still, model.params, model.state, batch, None, objective)[0])
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    with torch.no_grad():
        outputs = to_torch(model).train()(torch.from_numpy(batch.x), lengths)
        theirs = float(torch_loss(task.objective, network)(outputs, torch.from_numpy(batch.y)))
    difference = abs(ours - theirs) / abs(theirs)
    if not difference < AGREE:
        raise ValueError(f"the first losses differ: {ours} here, {theirs} in PyTorch")
    return difference


def matrix_products(network: NetworkConfig, B: int) -> Callable[[], None]:
    """The step's 1x1 convolutions alone, forward and backward, as matrix products into arrays that are there already."""
    D, L = network.d_model, network.max_length
    rng = np.random.default_rng(0)
    weight, x, u = (rng.standard_normal(s).astype(np.float32) for s in ((2 * D, D), (B, D, L), (B, 2 * D, L)))
    dweight, dx = np.empty((2 * D, D), np.float32), np.empty_like(x)

    def run() -> None:
        for _ in range(network.n_layers):
            for b in range(B):
                np.matmul(weight, x[b], out=u[b])
                np.matmul(weight.T, u[b], out=dx[b])
                np.matmul(u[b], x[b].T, out=dweight)

    return run


def peak_memory(name: str, side: str, layers: int) -> float | None:
    """GiB that one step takes in a fresh process, beyond what the process held before it; None if it failed."""
    result = in_own_process(name, side, layers, steps=1, gib=20)
    return result["peak_gib"] - result["before_gib"] if "peak_gib" in result else None


def step_lines(result: dict[str, Any]) -> list[str]:
    """A table for each setting, and the ratios."""
    text = [f"training step: {result['layers']} layers, batch, width and length of the paper, float32"]
    for name, row in result["rows"].items():
        agree = "" if row["agreement"] is None else f" (first losses agree to {row['agreement']:.0e})"
        text += [f" {name}{agree}", table(row["seconds"], {"/ ours": "ours"})]
        if "PyTorch" in row["seconds"]:
            ratio = row["seconds"]["PyTorch"]["median"] / row["seconds"]["ours"]["median"]
            text.append(ratio_line(f"{name}: a step in PyTorch eager over one here", ratio))
        ours, theirs = row["memory_gib"].get("ours"), row["memory_gib"].get("PyTorch")
        if ours and theirs:
            text.append(f"  peak memory of the step: {ours:.2f} GiB, PyTorch {theirs:.2f} GiB")
            text.append(ratio_line(f"{name}: peak memory here over PyTorch's", ours / theirs))
    return text
