"""All that a run is between two steps, as a checkpoint and back: from it the run goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..network import NetworkConfig, init_params, init_state
from .checkpoint import model_from, model_tensors, network_from, read_checkpoint, save_checkpoint
from .config import TrainingConfig
from .device import to_numpy, tree_to_device
from .flat import flatten, unflatten
from .optim import adam_init


@dataclass
class RunState:
    """A run between two steps.

    Parameters
    ----------
    params, state, opt_state : the parameters, BatchNorm's running statistics, the optimiser's state
    rng : the run's only generator
    epoch : int, epochs finished;  position : int, batches of the present epoch that are done
    order : int array [N] or None
        The order in which the present epoch sees the examples; None between two epochs.
    loss_sum : the sum of the present epoch's losses, each times its weight;  weight : the sum of these weights
    best_epoch, best_score, best_loss : of the validation split so far, or None
    seconds : float, time spent, over all sessions
    """

    params: Any
    state: Any
    opt_state: dict[str, Any]
    rng: np.random.Generator
    epoch: int = 0
    position: int = 0
    order: np.ndarray | None = None
    loss_sum: Any = 0.0
    weight: int = 0
    best_epoch: int | None = None
    best_score: float | None = None
    best_loss: float | None = None
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Steps done since the run began."""
        return self.opt_state["step"]


NUMBERS = ("epoch", "position", "weight", "best_epoch", "best_score", "best_loss", "seconds")


def new_run(network: NetworkConfig, training: TrainingConfig, device: str) -> RunState:
    """A run before its first step: parameters drawn from the run's own generator."""
    rng = np.random.default_rng(training.seed)
    params = tree_to_device(init_params(network, rng, training.dtype), device)
    state = tree_to_device(init_state(network, training.dtype), device)
    return RunState(params, state, adam_init(params), rng)


def save_run(path: Path, run: RunState, about: dict[str, Any]) -> None:
    """Write last.safetensors. `about` says what the run is (see `run_folder.identity`)."""
    tensors = model_tensors(run.params, run.state)
    tensors |= {f"optimizer.{key}": array for key, array in flatten({k: run.opt_state[k] for k in "mv"}).items()}
    if run.order is not None:
        tensors["order"] = run.order
    numbers = {name: getattr(run, name) for name in NUMBERS}
    numbers |= {"step": run.step, "loss_sum": float(run.loss_sum), "generator": run.rng.bit_generator.state}
    save_checkpoint(path, {name: to_numpy(array) for name, array in tensors.items()}, about | {"run": numbers})


def load_state(path: Path, device: str) -> tuple[RunState, dict[str, Any]]:
    """The run in last.safetensors, and the settings it was saved with.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_checkpoint` does, and where the file holds a model but no run.
    """
    tensors, metadata = read_checkpoint(path)
    if "run" not in metadata:
        raise ValueError(f"{path} holds a model but no run to resume: it is not a last.safetensors")
    model, numbers = model_from(path, tensors, network_from(path, metadata)), metadata["run"]
    if lacking := {*NUMBERS, "step", "loss_sum", "generator"} - {*numbers}:
        raise ValueError(f"{path}: the run's record lacks {', '.join(sorted(lacking))}")
    moments = {k: moments_like(path, model.params, tensors, k) for k in "mv"}
    rng = np.random.default_rng()
    rng.bit_generator.state = numbers["generator"]
    run = RunState(
        tree_to_device(model.params, device),
        tree_to_device(model.state, device),
        {"step": numbers["step"]} | tree_to_device(moments, device),
        rng,
        order=tensors.get("order"),
        loss_sum=numbers["loss_sum"],
        **{name: numbers[name] for name in NUMBERS},
    )
    return run, metadata


def moments_like(path: Path, params: Any, tensors: dict[str, np.ndarray], k: str) -> Any:
    """The optimiser's first ("m") or second ("v") moments, one for each parameter and shaped like it."""
    prefix = f"optimizer.{k}."
    found = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
    shapes = {name: p.shape for name, p in flatten(params).items()}
    if {name: array.shape for name, array in found.items()} != shapes:
        raise ValueError(f"{path}: the optimiser's moments {prefix}* do not fit the parameters")
    return unflatten(found)
