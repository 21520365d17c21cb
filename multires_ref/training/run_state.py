"""A run between two steps, as a checkpoint and back: from it the run goes on as if it had never stopped.

Job         what stays the same during a run
RunState    what changes
save_run    both into last.safetensors;  run_from  back, everything in the file checked before it is used

The file's metadata hold, under "run", the numbers of NUMBERS, and besides them

step         steps since the run began: epoch * steps of an epoch + position
loss_sum     the sum of the present epoch's losses
generator    the state of NumPy's generator
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.arrays import Array
from ..base.buffers import Buffers
from ..base.checks import check_int, check_number
from ..base.pytrees import flatten, unflatten
from ..base.ranks import ALONE, Ranks
from ..network import NetworkConfig, init_params, init_state
from ..network.init import Params
from .checkpoint import load_run, model_from, model_tensors, network_from, read_checkpoint, save_checkpoint
from .config import TrainingConfig
from .data import Split
from .device import to_numpy, tree_to_device
from .objectives import Objective
from .optim import adam_init, learning_rate
from .step import first_bad_array

NUMBERS = ("epoch", "position", "weight", "best_epoch", "best_score", "best_loss", "seconds")
LARGEST = 1e300  # of a loss or a score: all finite numbers, but for sums that would overflow


@dataclass
class Job:
    """Settings, data and folder of a run, and two clocks.

    Parameters
    ----------
    network, training, splits, objective, out, device, beside, ranks : as given to `fit`
    config : dict
        What stands in config.json and in every checkpoint: see `run_folder.identity`.
    """

    network: NetworkConfig
    training: TrainingConfig
    splits: dict[str, Split]
    objective: Objective
    out: Path
    device: str
    config: dict[str, Any]
    beside: dict[str, np.ndarray] = field(default_factory=dict)
    ranks: Ranks = ALONE
    saved: float = field(default_factory=time.monotonic)  # when the last checkpoint was written
    started: float = field(default_factory=time.monotonic)  # when the run began, less the time it stood still

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; the last may be shorter."""
        return -(-len(self.splits["train"]) // self.training.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.training.epochs * self.steps_per_epoch

    def lr(self, step: int) -> float:
        """The learning rate of step number `step`, counted from 0."""
        warmup = round(self.training.warmup_epochs * self.steps_per_epoch)
        return learning_rate(step, self.steps, self.training.lr, warmup)


@dataclass
class RunState:
    """A run between two steps.

    Parameters
    ----------
    params, norm_state, optimizer_state : the parameters, BatchNorm's running statistics, what the optimiser keeps
    rng : the run's only generator
    epoch : int, epochs finished;  position : int, batches of the present epoch that are done
    order : int array [N] or None
        The order in which the present epoch sees the examples; None between two epochs.
    loss_sum : the sum of the present epoch's losses, each times its weight;  weight : the sum of these weights
    best_epoch, best_score, best_loss : of the validation split so far, or None
    seconds : float, time spent, over all sessions
    buffers : the memory of the steps' arrays, used again by the next step
    """

    params: Params
    norm_state: Params
    optimizer_state: dict[str, Any]
    rng: np.random.Generator
    epoch: int = 0
    position: int = 0
    order: np.ndarray | None = None
    loss_sum: Array = 0.0
    weight: int = 0
    best_epoch: int | None = None
    best_score: float | None = None
    best_loss: float | None = None
    seconds: float = 0.0
    buffers: Buffers = field(default_factory=Buffers)

    @property
    def step(self) -> int:
        """Steps done since the run began."""
        return self.optimizer_state["step"]


def new_run(network: NetworkConfig, training: TrainingConfig, device: str) -> RunState:
    """A run before its first step: parameters drawn from the run's own generator."""
    rng = np.random.default_rng(training.seed)
    params = tree_to_device(init_params(network, rng, training.dtype), device)
    norm_state = tree_to_device(init_state(network, training.dtype), device)
    return RunState(params, norm_state, adam_init(params), rng)


def save_run(path: Path, run: RunState, about: dict[str, Any], beside: dict[str, np.ndarray] | None = None) -> None:
    """Write last.safetensors. `about` says what the run is (see `run_folder.identity`)."""
    tensors = model_tensors(run.params, run.norm_state) | (beside or {})
    tensors |= {f"optimizer.{key}": array for key, array in flatten({k: run.optimizer_state[k] for k in "mv"}).items()}
    if run.order is not None:
        tensors["order"] = run.order
    numbers = {name: getattr(run, name) for name in NUMBERS}
    numbers |= {"step": run.step, "loss_sum": float(run.loss_sum), "generator": run.rng.bit_generator.state}
    save_checkpoint(path, {name: to_numpy(array) for name, array in tensors.items()}, about | {"run": numbers})


def checksum(run: RunState) -> int:
    """CRC-32 of the run's arrays and of its generator's state: what all ranks must have in common."""
    value = zlib.crc32(repr(run.rng.bit_generator.state).encode())
    arrays = flatten([run.params, run.norm_state, run.optimizer_state["m"], run.optimizer_state["v"]])
    for array in arrays.values():
        value = zlib.crc32(np.ascontiguousarray(to_numpy(array)).reshape(-1).view(np.uint8).data, value)
    return value


def run_from(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any], job: Job) -> RunState:
    """The run in what `read_checkpoint` found in last.safetensors, on the job's device.

    Raises
    ------
    ValueError
        If the file holds a model but no run, or if its arrays or its record are not such as a run of this job writes: the
        message names the file and the entry.
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


def moments_from(path: Path, params: Params, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
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


def check_record(path: Path, record: Any, order: np.ndarray | None, job: Job) -> None:
    """Raise a ValueError that names the file and the entry, unless a run of `job` could have written this record."""
    if not isinstance(record, dict):
        raise ValueError(f"{path}: the run's record must hold its entries by name; got {str(record)[:80]}")
    if lacking := sorted({*NUMBERS, "step", "loss_sum", "generator"} - {*record}):
        raise ValueError(f"{path}: the run's record lacks {', '.join(lacking)}")
    try:
        check_place(record, job)
        check_order(record, order, len(job.splits["train"]))
        check_sums(record, job)
        check_best(record)
        generator_from(record["generator"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: the run's record is not valid: {error}") from None


def check_place(record: dict[str, Any], job: Job) -> None:
    """epoch, position and step, against the settings and each other."""
    epoch = check_int("epoch", record["epoch"], 0, job.training.epochs)
    last = job.steps_per_epoch if epoch < job.training.epochs else 0  # after the last epoch no batch is left
    position = check_int("position", record["position"], 0, last)
    wanted = epoch * job.steps_per_epoch + position
    if check_int("step", record["step"], 0) != wanted:
        sum_of = f"epoch {epoch} times {job.steps_per_epoch}, plus position {position}"
        raise ValueError(f"step must be {wanted}: {sum_of}; got {record['step']}")


def check_order(record: dict[str, Any], order: np.ndarray | None, N: int) -> None:
    """The order: every one of the N examples of the training part once, or none between two epochs."""
    if (order is None) != (record["position"] == 0):
        found = "none" if order is None else f"one of {len(order)} examples"
        raise ValueError(f"order must be there in mid-epoch and only there; got {found} at position {record['position']}")
    if order is None:
        return
    if order.dtype != np.int64 or order.shape != (N,) or not np.array_equal(np.sort(order), np.arange(N)):
        raise ValueError(f"order must hold every number from 0 to {N - 1} once, as int64; got {order.dtype} {order.shape}")


def check_sums(record: dict[str, Any], job: Job) -> None:
    """loss_sum and weight of the batches that the epoch has done, and the time."""
    seen = min(record["position"] * job.training.batch_size, len(job.splits["train"]))
    wanted = job.objective.weight(job.splits["train"].y[:seen])
    if check_int("weight", record["weight"], 0) != wanted:
        raise ValueError(f"weight must be {wanted} at position {record['position']}; got {record['weight']}")
    loss_sum = check_real("loss_sum", record["loss_sum"])
    if seen == 0 and loss_sum != 0:
        raise ValueError(f"loss_sum must be 0 between two epochs; got {loss_sum}")
    if check_real("seconds", record["seconds"]) < 0:
        raise ValueError(f"seconds must be at least 0; got {record['seconds']}")


def check_best(record: dict[str, Any]) -> None:
    """best_epoch, best_score and best_loss: of a finished epoch, and there as soon as one is finished."""
    names = ("best_epoch", "best_score", "best_loss")
    if record["epoch"] == 0:
        if given := [name for name in names if record[name] is not None]:
            raise ValueError(f"{given[0]} must be null before the first epoch has finished; got {record[given[0]]!r}")
        return
    check_int("best_epoch", record["best_epoch"], 1, record["epoch"])
    for name in names[1:]:
        check_real(name, record[name])


def check_real(name: str, value: Any) -> float:
    """`value` if it is a number between -LARGEST and LARGEST."""
    if isinstance(value, int) and abs(value) > LARGEST:  # it may have thousands of digits, and float(value) would overflow
        raise ValueError(f"{name} must be between {-LARGEST} and {LARGEST}; got an integer of {len(str(value))} digits")
    return check_number(name, value, -LARGEST, LARGEST)


def generator_from(state: Any) -> np.random.Generator:
    """The run's generator in that state.

    Raises
    ------
    ValueError
        If it is no state of NumPy's default generator, or one that it could never reach.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> generator_from(rng.bit_generator.state).random() == rng.random()
    True
    """
    rng = np.random.default_rng(0)
    try:
        rng.bit_generator.state = state
        reached = rng.bit_generator.state == state and state["state"]["inc"] % 2 == 1  # PCG64's increment is odd
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(f"generator must be a state of {type(rng.bit_generator).__name__}: {error}") from None
    if not reached:
        raise ValueError(f"generator must be a state of {type(rng.bit_generator).__name__}; got {str(state)[:120]}")
    return rng
