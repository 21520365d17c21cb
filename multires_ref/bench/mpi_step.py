"""Training steps on the ranks that a launcher has started, or on one process; rank 0 prints one line of JSON:

    mpirun -n 2 python -m multires_ref.bench.mpi_step '{"task": "listops", "steps": 3, "small": false, "ways": [...]}'

A way of taking the step has a "name", "layers", "threads", the "part" of the batch that is taken, "bucket", the bytes after which
gradients are sent (with very many they are sent when the backward pass is over), and "alone", where rank 0 takes the whole step
and the others wait. All ways take turns in one launch, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..base.buffers import Buffers
from ..base.pytrees import flatten
from ..base.ranks import ALONE, Ranks
from ..base.threads import set_num_threads
from ..distributed.buckets import BUCKET
from ..distributed.launch import start_ranks
from ..network import NetworkConfig, init_params, init_state
from ..tasks import get_task
from ..tasks.task import Task
from ..training.objectives import get_objective
from ..training.optim import adam_init
from ..training.step import train_step
from .timing import alternate, seconds_of, summary
from .training_step import random_batch

SMALL = {"d_model": 8, "max_length": 32}  # to see that it runs


def network_of(task: Task, layers: int, small: bool) -> NetworkConfig:
    """The task's network with so many layers."""
    return replace(task.network, n_layers=layers, depth=None, **(SMALL if small else {}))


def step_of(ranks: Ranks, task: Task, network: NetworkConfig, part: float) -> tuple[Callable[[], Any], int]:
    """A function that takes a training step on these ranks, and the bytes of its gradients."""
    whole = random_batch(network, task)
    B = max(1, round(part * len(whole)))
    share, rng = ranks.share(B), np.random.default_rng(1)
    batch = whole.take(np.arange(B)[share.rows] if share else np.arange(B))
    params, norm_state = init_params(network, rng), init_state(network)
    optimizer_state, objective, training = adam_init(params), get_objective(task.objective, network), task.training
    buffers = Buffers()

    def step() -> Any:
        nonlocal norm_state
        args = (network, params, norm_state, optimizer_state, batch, training.lr, rng, objective, training, share)
        with buffers:
            loss, norm_state = train_step(*args)
        return loss

    return step, sum(array.nbytes for array in flatten(params).values())


class Waiting:
    """How long this rank waited for others: seconds, since they were last asked for."""

    def __init__(self, ranks: Any) -> None:
        self.seconds, self.real = 0.0, getattr(ranks, "wait", None)
        if self.real:
            ranks.wait = self.wait

    def wait(self, *args: Any, **kwargs: Any) -> None:
        """What the ranks' own `wait` does."""
        began = time.perf_counter()
        self.real(*args, **kwargs)
        self.seconds += time.perf_counter() - began


def measure(ranks: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every way, which take turns; of these what rank 0 waited, and its seconds of CPU time."""
    task, waiting = get_task(spec["task"]), Waiting(ranks)
    steps, sizes = {}, {}
    waited, cpu = ({way["name"]: [] for way in spec["ways"]} for _ in range(2))
    for way in spec["ways"]:
        network = network_of(task, way["layers"], spec["small"])
        alone = way.get("alone", False)
        step, sizes[way["name"]] = step_of(ALONE if alone else ranks, task, network, way.get("part", 1.0))

        def timed(step: Callable[[], Any] = step, way: dict[str, Any] = way, takes_part: bool = ranks.first or not alone) -> None:
            set_num_threads(way["threads"])
            ranks.bucket, waiting.seconds, began = way.get("bucket", BUCKET), 0.0, time.process_time()
            if takes_part:
                step()
            waited[way["name"]].append(waiting.seconds)
            cpu[way["name"]].append(time.process_time() - began)

        steps[way["name"]] = timed

    def together(call: Callable[[], Any]) -> float:
        ranks.flags(True)
        return seconds_of(call)

    seconds = alternate(steps, spec["steps"], together)
    further = {"waited": waited, "cpu": cpu}
    return {
        name: summary(times)
        | {what: summary(values[name][1:])["median"] for what, values in further.items()}
        | {"gradient_bytes": sizes[name]}
        for name, times in seconds.items()
    }


if __name__ == "__main__":
    here = start_ranks()
    result = measure(here, json.loads(sys.argv[1]))
    if here.first:
        print(json.dumps(result))
