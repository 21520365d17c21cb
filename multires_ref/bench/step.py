"""A whole training step at three of the paper's settings, with two layers: ours against PyTorch eager, time and peak memory.

Width, kernel, length, batch, norm, dropout and optimiser are the paper's; data are random. Losses are compared first, with the
same parameters and dropout 0. Beside them stands the time of the step's matrix products alone, which bounds any step on this
machine. Memory is the peak of a fresh process that takes one step, less what it held before (`paper_step.py`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from ..network import Model, NetworkConfig
from .timing import alternate, figure, summary, table

SETTINGS = ("scifar10", "listops", "ptbxl")
AGREE = 1e-4  # relative difference of the first losses, float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which settings, how many layers."""
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="whose sizes (default: all)")
    parser.add_argument("--layers", type=int, default=2, help="blocks (default: 2)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Every setting: seconds, the matrix products' seconds, and memory."""
    layers = getattr(args, "layers", 2)
    return {"layers": layers, "rows": {name: one_setting(name, layers, args) for name in getattr(args, "settings", SETTINGS)}}


def one_setting(name: str, layers: int, args: argparse.Namespace) -> dict[str, Any]:
    """One row."""
    from .paper_step import our_step, random_batch, torch_step

    task, network = setting(name, layers, args.quick)
    batch = random_batch(network, task)
    contestants = {"ours": our_step(network, task, batch)}
    agreement = None
    if has_torch():
        agreement = check_losses(network, task, batch)
        contestants["PyTorch"] = torch_step(network, task, batch)
    contestants["matrix products"] = matrix_products(network, task.training.batch_size)
    seconds = {who: summary(times) for who, times in alternate(contestants, args.repeats).items()}
    del contestants
    memory = {who: peak_memory(name, side, layers, args.quick) for who, side in sides().items()}
    return {"agreement": agreement, "seconds": seconds, "memory_gib": memory}


def setting(name: str, layers: int, quick: bool) -> tuple[Any, NetworkConfig]:
    """The task and its network with fewer layers; quick: a batch of 4 and a narrow network."""
    from ..tasks import get_task

    task = get_task(name)
    network = replace(task.network, n_layers=layers)
    if quick:
        network = replace(network, d_model=32)
        task = replace(task, training=replace(task.training, batch_size=4))
    return task, network


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def sides() -> dict[str, str]:
    """Who takes part, and what `paper_step.py` calls them."""
    return {"ours": "ours"} | ({"PyTorch": "torch"} if has_torch() else {})


def check_losses(network: NetworkConfig, task: Any, batch: Any) -> float:
    """The relative difference of the two first losses, with the same parameters and no dropout."""
    import torch

    from ..authors.torch_model import to_torch
    from ..training.objectives import get_objective
    from ..training.step import loss_and_gradients
    from .torch_losses import LOSSES

    still = replace(network, dropout=0.0)
    model = Model.init(still, np.random.default_rng(0))
    objective = get_objective(task.objective, still)
    ours = float(loss_and_gradients(still, model.params, model.state, batch, None, objective)[0])
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    with torch.no_grad():
        out = to_torch(model).train()(torch.from_numpy(batch.x), lengths)
        theirs = float(LOSSES[task.objective](out, torch.from_numpy(batch.y), network.n_values))
    difference = abs(ours - theirs) / abs(theirs)
    if not difference < AGREE:
        raise ValueError(f"the first losses differ: {ours} here, {theirs} in PyTorch")
    return difference


def matrix_products(network: NetworkConfig, B: int) -> Any:
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


def peak_memory(name: str, side: str, layers: int, quick: bool) -> float | None:
    """GiB that one step takes in a fresh process, beyond what the process held before it; None if it failed."""
    if quick:
        return None
    command = [sys.executable, "-m", "multires_ref.bench.paper_step", name, side, str(layers), "1", "20"]
    done = subprocess.run(command, capture_output=True, text=True)
    result = json.loads((done.stdout.strip().splitlines() or ["{}"])[-1])
    return result["peak_gib"] - result["before_gib"] if "peak_gib" in result else None


def lines(result: dict[str, Any]) -> list[str]:
    """A table for each setting, and the ratios."""
    text = [f"training step: {result['layers']} layers, batch, width and length of the paper, float32"]
    for name, row in result["rows"].items():
        agree = "" if row["agreement"] is None else f" (first losses agree to {row['agreement']:.0e})"
        text += [f" {name}{agree}", *table(row["seconds"], {"/ ours": "ours"})]
        if "PyTorch" in row["seconds"]:
            ratio = row["seconds"]["PyTorch"]["median"] / row["seconds"]["ours"]["median"]
            text.append(figure(f"{name}: a step in PyTorch eager over one here", ratio))
        ours, theirs = row["memory_gib"].get("ours"), row["memory_gib"].get("PyTorch")
        if ours and theirs:
            text.append(f"  peak memory of the step: {ours:.2f} GiB, PyTorch {theirs:.2f} GiB")
            text.append(figure(f"{name}: peak memory here over PyTorch's", ours / theirs))
    return text
