"""All that a run is between two steps, as a checkpoint and back: from it the run goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.pytrees import flatten, unflatten
from ..network import NetworkConfig, init_params, init_state
from .checkpoint import load_run, model_from, model_tensors, network_from, read_checkpoint, save_checkpoint
from .config import TrainingConfig
from .device import to_numpy, tree_to_device
from .diagnose import first_bad_array
from .job import Job
from .optim import adam_init
from .record import check_record, generator_from


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


def run_from(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any], job: Job) -> RunState:
    """The run in what `read_checkpoint` found in last.safetensors, on the job's device.

    Raises
    ------
    ValueError
        If the file holds a model but no run, or if its arrays or its record (see `record.py`) are not such as a run of this job
        writes: the message names the file and the entry.
    """
    if "run" not in metadata:
        raise ValueError(f"{path} holds a model but no run to resume: it is not a last.safetensors")
    check_record(path, metadata["run"], tensors.get("order"), job)
    model, record = model_from(path, tensors, network_from(path, metadata)), metadata["run"]
    moments = moments_from(path, model.params, tensors)
    check_arrays(path, tensors, job.training.dtype)
    return RunState(
        tree_to_device(model.params, job.device),
        tree_to_device(model.state, job.device),
        {"step": record["step"]} | tree_to_device(moments, job.device),
        generator_from(record["generator"]),
        order=tensors.get("order"),
        loss_sum=record["loss_sum"],
        **{name: record[name] for name in NUMBERS},
    )


def moments_from(path: Path, params: Any, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """The optimiser's first ("m") and second ("v") moments: one for each parameter, of its shape and dtype, in its order."""
    names = {f"optimizer.{k}.{name}": p for k in "mv" for name, p in flatten(params).items()}
    found = {name for name in tensors if name.startswith("optimizer.")}
    if odd := sorted(names.keys() ^ found):
        raise ValueError(f"{path}: {odd[0]} {'is missing' if odd[0] in names else 'belongs to no parameter'}")
    for name, p in names.items():
        if tensors[name].shape != p.shape or tensors[name].dtype != p.dtype:
            got = f"{tensors[name].dtype} {tensors[name].shape}"
            raise ValueError(f"{path}: {name} must be {p.dtype} {p.shape}, as its parameter; got {got}")
    return unflatten({name.removeprefix("optimizer."): tensors[name] for name in names})


def check_arrays(path: Path, tensors: dict[str, np.ndarray], dtype: str) -> None:
    """Raise a ValueError unless the arrays are in the run's dtype, finite, and not negative where they are mean squares."""
    found = tensors["params.decoder.weight"].dtype
    if found != dtype:
        raise ValueError(f"{path}: the parameters must be {dtype}, as the run's settings say; got {found}")
    if bad := first_bad_array(tensors):
        raise ValueError(f"{path}: {bad} holds numbers that are not finite")
    for name, array in tensors.items():
        if (name.startswith("optimizer.v.") or name.endswith((".var", ".count"))) and array.size and array.min() < 0:
            raise ValueError(f"{path}: {name} must not be negative; got {array.min()}")


def check_best_file(path: Path, run: RunState) -> None:
    """Raise a ValueError unless best.safetensors is the best epoch's, or of the next epoch, whose end a kill cut short."""
    if run.best_epoch is None:
        return
    load_run(path)
    best = read_checkpoint(path)[1].get("best")
    epoch = best.get("epoch") if isinstance(best, dict) else None
    if epoch not in (run.best_epoch, run.epoch + 1):
        raise ValueError(f"{path} must hold the model of epoch {run.best_epoch}, the best of the run; it holds epoch {epoch}'s")
