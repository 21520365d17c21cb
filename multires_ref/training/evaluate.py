"""A model on a whole split: its outputs and its score."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..base.arrays import Array
from ..base.checks import check_int
from ..base.ranks import ALONE, Ranks
from ..network import Model
from .data import Split, batch_slices
from .device import batch_to_device, device_of, to_numpy
from .objectives import Objective
from .step import NonFiniteLoss


def outputs_by_batch(
    model: Model, split: Split, batch_size: int, engine: str = "auto", ranks: Ranks = ALONE
) -> Iterator[tuple[np.ndarray, Split, Array]]:
    """(indices, batch, outputs) until every example was seen once; sequences with lengths go from short to long.

    The padding that a batch shares is cut off: in evaluation that changes nothing, because the network is causal and no
    statistics are taken over padded steps. Of several ranks, rank k is given the batches k, k + size, k + 2 size, ...
    """
    check_int("batch_size", batch_size, 1)
    N, device = len(split), device_of(model.params)
    order = np.arange(N) if split.lengths is None else np.argsort(split.lengths, kind="stable")
    for part in list(batch_slices(N, batch_size))[ranks.rank :: ranks.size]:
        batch = batch_to_device(split.take(order[part], crop=True), device)
        yield order[part], batch, model(batch.x, batch.lengths, engine=engine)


def predict(model: Model, x: Array, lengths: Array = None, batch_size: int = 256, engine: str = "auto") -> np.ndarray:
    """The classifier's outputs [N, d_output] for all of x, in batches, as a NumPy array.

    Examples
    --------
    >>> from multires_ref import Model, NetworkConfig
    >>> model = Model.init(NetworkConfig(1, 10, d_model=4, n_layers=1, max_length=8), np.random.default_rng(0))
    >>> predict(model, np.zeros((5, 1, 8), np.float32), batch_size=2).shape
    (5, 10)
    """
    pieces = [(index, to_numpy(out)) for index, _, out in outputs_by_batch(model, Split(x, x, lengths), batch_size, engine)]
    return in_order(pieces)


def in_order(pieces: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(indices, rows) pairs as one array, in the order of the indices."""
    rows = np.concatenate([out for _, out in pieces])
    result = np.empty_like(rows)
    result[np.concatenate([index for index, _ in pieces])] = rows
    return result


def evaluate(
    model: Model,
    split: Split,
    objective: Objective,
    batch_size: int = 256,
    engine: str = "auto",
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """The mean loss and the score of a split, such as {"loss": 0.04, "accuracy": 0.99}.

    Several ranks share the batches among themselves. As these stay the same, so does the result, bit for bit.

    Raises
    ------
    NonFiniteLoss
        If the mean loss is not finite.

    Examples
    --------
    >>> from multires_ref import Model, NetworkConfig
    >>> from multires_ref.training.objectives import get_objective
    >>> model = Model.init(NetworkConfig(1, 10, d_model=4, n_layers=1, max_length=8), np.random.default_rng(0))
    >>> split = Split(np.zeros((10, 1, 8), np.float32), np.arange(10))
    >>> evaluate(model, split, get_objective("classification"))["accuracy"]  # ten equal examples of ten classes
    0.1
    """
    return evaluate_with_outputs(model, split, objective, batch_size, engine, ranks)[0]


def scored_batches(
    model: Model, split: Split, objective: Objective, batch_size: int, engine: str, ranks: Ranks
) -> Iterator[tuple[np.ndarray, float, np.ndarray | None]]:
    """(indices, loss, outputs) of every batch in order, the outputs None for a density. All ranks get those of all ranks."""
    own = outputs_by_batch(model, split, batch_size, engine, ranks)
    batches = -(-len(split) // batch_size)
    for _ in range(-(-batches // ranks.size)):
        scored = None
        if found := next(own, None):
            index, batch, out = found
            scored = index, float(objective.loss(out, batch.y)), None if objective.summed else to_numpy(out)
        yield from (batch for batch in ranks.gather_objects(scored) if batch is not None)


def evaluate_with_outputs(
    model: Model,
    split: Split,
    objective: Objective,
    batch_size: int = 256,
    engine: str = "auto",
    ranks: Ranks = ALONE,
) -> tuple[dict[str, float], np.ndarray | None]:
    """`evaluate`, and the outputs [N, C] (None for a density, whose outputs are too large to keep and are not needed)."""
    total, pieces = 0.0, []
    for index, loss, out in scored_batches(model, split, objective, check_int("batch_size", batch_size, 1), engine, ranks):
        total += loss if objective.summed else loss * len(index)
        if out is not None:
            pieces.append((index, out))
    mean = total / objective.weight(split.y)
    if not math.isfinite(mean):
        raise NonFiniteLoss(f"the loss of the evaluated split is {mean}")
    if objective.summed:
        return {"loss": mean, objective.score_name: objective.score(mean)}, None
    outputs = in_order(pieces)
    scores = {"loss": mean, objective.score_name: objective.score(outputs, split.y)}
    return scores | {name: score(outputs, split.y) for name, score in objective.also.items()}, outputs
