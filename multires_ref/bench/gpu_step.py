"""A whole training step of a task's setting on a GPU, for `bench gpu`: forward, loss, backward and AdamW; here and in PyTorch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from .gpu import equal_precision, milliseconds, quartiles
from .paper_step import random_batch


def measure_step(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contestant: the batch lies on the device, and nobody waits for the loss within a step."""
    from ..tasks import get_task

    task = get_task(args.task)
    batch = random_batch(task.network, task)
    calls = {"here": our_step(task, batch)}
    if not args.no_torch:
        calls |= torch_steps(task, batch, not args.no_compile)
    first = {name: float(call()) for name, call in calls.items()}  # the losses: of the same size, though drawn apart
    rows = [{"who": name, "ms": quartiles(times)} for name, times in milliseconds(calls, args.rounds, calls=3).items()]
    return [row | {"first_loss": first[row["who"]]} for row in rows]


def our_step(task: Any, batch: Any) -> Callable[[], Any]:
    """The step that `multires-ref train --device gpu` takes."""
    from ..network import init_params, init_state
    from ..training.device import batch_to_device, tree_to_device
    from ..training.objectives import get_objective
    from ..training.optim import adam_init
    from ..training.step import train_step

    rng, network, training = np.random.default_rng(1), task.network, task.training
    params, state = (tree_to_device(tree, "gpu") for tree in (init_params(network, rng), init_state(network)))
    moments, objective, batch = adam_init(params), get_objective(task.objective, network), batch_to_device(batch, "gpu")

    def step() -> Any:
        nonlocal state
        loss, state = train_step(network, params, state, moments, batch, training.lr, rng, objective, training)
        return loss

    return step


def torch_steps(task: Any, batch: Any, compiled: bool) -> dict[str, Callable[[], Any]]:
    """The same setting in PyTorch with its own optimiser; eager, and with a compiled network."""
    from ..authors.torch_model import MultiresNet, torch
    from .torch_losses import LOSSES

    equal_precision(torch)
    x, y = (torch.from_numpy(a).cuda() for a in (batch.x, batch.y))
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths).cuda()
    kind = torch.optim.AdamW if task.training.optimizer == "adamw" else torch.optim.Adam

    def step_of(wrap: Callable) -> Callable[[], Any]:
        torch.manual_seed(1)
        module = MultiresNet(task.network).cuda().train()
        network = wrap(module)
        optimiser = kind(module.parameters(), lr=task.training.lr, weight_decay=task.training.weight_decay)

        def step() -> Any:
            optimiser.zero_grad()
            loss = LOSSES[task.objective](network(x, lengths), y, task.network.n_values)
            loss.backward()
            optimiser.step()
            return loss.detach()

        return step

    steps = {"PyTorch": step_of(lambda module: module)}
    return steps | ({"PyTorch, compiled": step_of(torch.compile)} if compiled else {})
