"""One measurement of `bench paper`, in a process of its own: python -m multires_ref.bench.paper_step TASK SIDE LAYERS STEPS GIB.

Prints one line of JSON: the median seconds of a training step and the largest memory held, or an error.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..network import NetworkConfig, init_params, init_state
from ..tasks import get_task
from ..tasks.task import Task
from ..training.data import Split


def main(task: str, side: str, layers: str, steps: str, gib: str) -> None:
    """Measure and print."""
    limit = int(float(gib) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # so that too much is an error here and not the machine's end
    setting = get_task(task)
    network = replace(setting.network, n_layers=int(layers))
    batch = random_batch(network, setting)
    before = peak_gib()
    try:
        one_step = {"ours": our_step, "torch": torch_step}[side](network, setting, batch)
        losses, times = [one_step()], []
        for _ in range(int(steps)):
            began = time.perf_counter()
            losses.append(one_step())
            times.append(time.perf_counter() - began)
    except (MemoryError, RuntimeError) as error:
        memory = isinstance(error, MemoryError) or "alloc" in str(error)
        print(json.dumps({"error": "memory" if memory else str(error)[:200]}))
        return
    result = {"seconds": float(np.median(times)), "all_seconds": times, "losses": losses}
    result |= {"peak_gib": peak_gib(), "before_gib": before}
    print(json.dumps(result | {"versions": versions(side)}))


def peak_gib() -> float:
    """The most memory this process has held, in GiB.

    From /proc where there is one: `getrusage` also counts what the parent held when it started this process.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**20
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30


def random_batch(network: NetworkConfig, setting: Task) -> Split:
    """A batch of the task's shape, full length, random numbers."""
    rng, B, L = np.random.default_rng(0), setting.training.batch_size, network.max_length
    if network.encoder == "embedding":
        return Split(rng.integers(0, network.d_input, (B, L)), rng.integers(0, network.d_output, B), np.full(B, L))
    if setting.objective == "density":
        x = (rng.integers(0, network.n_values, (B, network.d_input, L)) * (2 / (network.n_values - 1)) - 1).astype(np.float32)
        return Split(x, x)
    x = rng.standard_normal((B, network.d_input, L)).astype(np.float32)
    if setting.objective == "multilabel":
        return Split(x, (rng.random((B, network.d_output)) < 0.1).astype(np.float32))
    return Split(x, rng.integers(0, network.d_output, B))


def our_step(network: NetworkConfig, setting: Task, batch: Split) -> Callable[[], float]:
    """The training step that `multires-ref train` takes."""
    from ..training.objectives import get_objective
    from ..training.optim import adam_init
    from ..training.step import train_step

    rng = np.random.default_rng(1)
    params, state = init_params(network, rng), init_state(network)
    opt_state, objective = adam_init(params), get_objective(setting.objective, network)

    def one_step() -> float:
        nonlocal state
        lr = setting.training.lr
        loss, state = train_step(network, params, state, opt_state, batch, lr, rng, objective, setting.training)
        return float(loss)

    return one_step


def torch_step(network: NetworkConfig, setting: Task, batch: Split) -> Callable[[], float]:
    """The same step by PyTorch, eager, with its own optimiser."""
    import torch

    from ..authors.torch_model import MultiresNet
    from .torch_losses import LOSSES

    torch.manual_seed(1)
    module, training = MultiresNet(network).train(), setting.training
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    optimiser = kind(module.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    x, y = torch.from_numpy(batch.x), torch.from_numpy(batch.y)
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    loss_of = LOSSES[setting.objective]

    def one_step() -> float:
        optimiser.zero_grad()
        loss = loss_of(module(x, lengths), y, network.n_values)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return one_step


def versions(side: str) -> str:
    """Packages, threads and machine."""
    from importlib.metadata import version

    name = {"ours": "numpy", "torch": "torch"}[side]
    return f"{name} {version(name)}, Python {platform.python_version()}, {os.cpu_count()} processors, {platform.machine()}"


if __name__ == "__main__":
    main(*sys.argv[1:])
