"""The record of a run in last.safetensors: what a resumed run takes from the file besides arrays, checked before it is believed.

epoch, position, step        where the run stands: step = epoch * steps of an epoch + position
loss_sum, weight             of the present epoch's batches
best_epoch, best_score, best_loss, seconds
generator                    the state of NumPy's generator
order                        an array of the file: the order of the examples in the present epoch
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.checks import check_int, check_number
from .job import Job

LARGEST = 1e300  # of a loss or a score: all finite numbers, but for sums that would overflow
NAMES = (
    *("epoch", "position", "step", "loss_sum", "weight"),
    *("best_epoch", "best_score", "best_loss", "seconds", "generator"),
)


def check_record(where: Any, record: Any, order: np.ndarray | None, job: Job) -> None:
    """Raise a ValueError that begins with `where` and names the entry, unless a run of `job` could have written this record."""
    if not isinstance(record, dict):
        raise ValueError(f"{where}: the run's record must hold its entries by name; got {str(record)[:80]}")
    if lacking := sorted({*NAMES} - {*record}):
        raise ValueError(f"{where}: the run's record lacks {', '.join(lacking)}")
    try:
        check_place(record, job)
        check_order(record, order, job)
        check_sums(record, job)
        check_best(record)
        generator_from(record["generator"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: the run's record is not valid: {error}") from None


def check_place(record: dict[str, Any], job: Job) -> None:
    """epoch, position and step, against the settings and each other."""
    epoch = check_int("epoch", record["epoch"], 0, job.training.epochs)
    last = job.steps_per_epoch if epoch < job.training.epochs else 0  # after the last epoch no batch is left
    position = check_int("position", record["position"], 0, last)
    step = check_int("step", record["step"], 0)
    wanted = epoch * job.steps_per_epoch + position
    if step != wanted:
        raise ValueError(
            f"step must be {wanted}: epoch {epoch} times {job.steps_per_epoch}, plus position {position}; got {step}"
        )


def check_order(record: dict[str, Any], order: np.ndarray | None, job: Job) -> None:
    """The order: every example of the training part once, or none between two epochs."""
    N = len(job.splits["train"])
    if (order is None) != (record["position"] == 0):
        found = "none" if order is None else f"one of {len(order)} examples"
        raise ValueError(f"order must be there in mid-epoch and only there; got {found} at position {record['position']}")
    if order is not None and not (
        order.dtype == np.int64 and order.shape == (N,) and np.array_equal(np.sort(order), np.arange(N))
    ):
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
    """`value` if it is a finite number; neither a text that reads as one nor True."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number; got {value!r}")
    if isinstance(value, int) and abs(value) > LARGEST:  # float(value) would overflow
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
