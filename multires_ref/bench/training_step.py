"""One training step, ours and PyTorch's, on random data; and its time and memory in a process of its own:

    python -m multires_ref.bench.training_step TASK SIDE LAYERS STEPS GIB

prints one line of JSON: the median seconds of a step and the most memory held, or an error.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..network import NetworkConfig, init_params, init_state
from ..tasks import get_task
from ..tasks.task import Task
from ..training.data import Split
from .timing import alternate, machine, machine_line, quartiles


def random_batch(network: NetworkConfig, task: Task) -> Split:
    """A batch of the task's shape, full length, random elements."""
    rng, B, L = np.random.default_rng(0), task.training.batch_size, network.max_length
    if network.encoder == "embedding":
        return Split(rng.integers(0, network.d_input, (B, L)), rng.integers(0, network.d_output, B), np.full(B, L))
    if task.objective == "density":
        x = (rng.integers(0, network.n_values, (B, network.d_input, L)) * (2 / (network.n_values - 1)) - 1).astype(np.float32)
        return Split(x, x)
    x = rng.standard_normal((B, network.d_input, L)).astype(np.float32)
    if task.objective == "multilabel":
        return Split(x, (rng.random((B, network.d_output)) < 0.1).astype(np.float32))
    return Split(x, rng.integers(0, network.d_output, B))


def our_step(network: NetworkConfig, task: Task, batch: Split, device: str = "cpu") -> Callable[[], Any]:
    """A function that takes the training step of `multires-ref train` and returns the loss, on the CPU or the GPU."""
    from ..base.buffers import Buffers
    from ..training.device import batch_to_device, tree_to_device
    from ..training.objectives import get_objective
    from ..training.optim import adam_init
    from ..training.step import train_step

    rng, training = np.random.default_rng(1), task.training
    params, norm_state = (tree_to_device(tree, device) for tree in (init_params(network, rng), init_state(network)))
    optimizer_state, objective = adam_init(params), get_objective(task.objective, network)
    batch, buffers = batch_to_device(batch, device), Buffers()

    def one_step() -> Any:
        nonlocal norm_state
        with buffers:
            loss, norm_state = train_step(
                network, params, norm_state, optimizer_state, batch, training.lr, rng, objective, training
            )
        return loss

    return one_step


def torch_step(
    network: NetworkConfig, task: Task, batch: Split, device: str = "cpu", compiled: bool = False
) -> Callable[[], Any]:
    """The same step by PyTorch with its own optimiser: eager, or with a compiled network."""
    import torch

    from ..authors.torch_model import MultiresNet

    torch.manual_seed(1)
    where, training = {"cpu": "cpu", "gpu": "cuda"}[device], task.training
    module = MultiresNet(network).to(where).train()
    forward = torch.compile(module) if compiled else module
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(module.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    x, y, lengths = (None if a is None else torch.from_numpy(a).to(where) for a in (batch.x, batch.y, batch.lengths))
    loss_of = torch_loss(task.objective, network)

    def one_step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(forward(x, lengths), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return one_step


def torch_loss(objective: str, network: NetworkConfig) -> Callable[[Any, Any], Any]:
    """The task's loss in PyTorch, of the network's outputs and the targets."""
    from ..authors.torch_operations import bce_with_logits, cross_entropy, mixture_nll

    if objective == "density":
        return lambda outputs, targets: mixture_nll(outputs, targets, network.n_values)
    return {"classification": cross_entropy, "multilabel": bce_with_logits}[objective]


def main(name: str, side: str, layers: str, steps: str, gib: str) -> None:
    """Measure and print."""
    limit = int(float(gib) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # so that too much memory is an error, and does not stop the machine
    task = get_task(name)
    network = replace(task.network, n_layers=int(layers))
    batch = random_batch(network, task)
    before, losses = peak_gib(), []
    try:
        one_step = {"ours": our_step, "torch": torch_step}[side](network, task, batch)
        times = alternate({side: lambda: losses.append(float(one_step()))}, int(steps))[side]
    except (MemoryError, RuntimeError) as error:
        memory = isinstance(error, MemoryError) or "alloc" in str(error)
        print(json.dumps({"error": "memory" if memory else str(error)[:200]}))
        return
    result = {"seconds": quartiles(times)[1], "all_seconds": times, "losses": losses}
    result |= {"peak_gib": peak_gib(), "before_gib": before}
    print(json.dumps(result | {"versions": versions()}))


def versions() -> str:
    """The machine, and the versions of what was measured."""
    from ..base.threads import num_threads

    return machine_line(machine(num_threads()))


def peak_gib() -> float:
    """The most memory this process has held, in GiB.

    From /proc where there is one: `getrusage` also counts what the parent held when it started this process.
    """
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**20
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30


def in_own_process(name: str, side: str, layers: int, steps: int, gib: float, seconds: float | None = None) -> dict[str, Any]:
    """What `main` prints in a process of its own: {"seconds", "peak_gib", ...}, or {"error": ...}."""
    words = [name, side, *map(str, (layers, steps, gib))]
    command = [sys.executable, "-m", "multires_ref.bench.training_step", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {seconds:.0f} s"}
    failed = {"error": f"exit {done.returncode}: {done.stderr.strip()[-200:]}"}
    last = done.stdout.strip().splitlines()[-1:] or ["{}"]
    try:
        return json.loads(last[0]) or failed
    except json.JSONDecodeError:
        return failed


if __name__ == "__main__":
    main(*sys.argv[1:])
