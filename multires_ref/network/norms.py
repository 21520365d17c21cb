"""The post-norms of a block, one record each: `NORMS` holds them by the name that a config gives.

A new norm is an operation in `ops/` and one record here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..base.arrays import Array, unboxed
from ..base.pytrees import Params
from ..base.ranks import Share
from ..ops.batch_norm import batch_norm, batch_statistics, statistics_of_all_ranks
from ..ops.layer_norm import layer_norm
from ..ops.registry import Operation
from ..ops.rms_norm import rms_norm

MOMENTUM = 0.1  # of BatchNorm's running statistics, PyTorch's default


@dataclass(frozen=True)
class Norm:
    """All that the package needs to know of a norm of the residual sum x + r [B, D, L].

    Parameters
    ----------
    about : str
        What it does, in a few words: for `multires-ref train --help`.
    apply : function (params, state, x, r, training, share) -> (out, the new norm state)
    by_definition : the same in evaluation, of the definitions alone: what a stream of single samples takes
    per_step : bool
        Whether every time step is normalised by itself. If not, padding and the rest of the batch matter in training.
    torch : str
        The class in `torch.nn`, which takes D and eps.
    parameters : the names of its parameters [D], and what each starts from
    statistics : the names of its running statistics [D], and what each starts from
    centred : bool
        Whether the mean is subtracted before the variance is taken.
    in_authors_format : bool
        Whether a checkpoint of the authors' code can hold such a network. If not, `save_model` writes this package's own format.
    """

    about: str
    apply: Callable[[Params, Params, Array, Array, bool, Share | None], tuple[Array, Params]]
    by_definition: Callable[[Params, Params, Array, Array], Array]
    per_step: bool
    torch: str
    parameters: dict[str, float] = field(default_factory=lambda: {"weight": 1.0, "bias": 0.0})
    statistics: dict[str, float] = field(default_factory=dict)
    centred: bool = True
    in_authors_format: bool = True

    def init_state(self, D: int, dtype: str) -> Params:
        """Fresh running statistics, and the number of batches they have seen; empty where the norm has none."""
        state = {name: np.full(D, value, dtype) for name, value in self.statistics.items()}
        return state | {"count": np.zeros((), np.int64)} if state else {}

    def state_shapes(self, D: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `init_state`."""
        return dict.fromkeys(self.statistics, (D,)) | ({"count": ()} if self.statistics else {})


def of_each_step(about: str, operation: Operation[..., Array], torch: str, **more: Any) -> Norm:
    """The record of a norm that normalises every time step by itself, by an operation (x, r, *parameters) -> out."""

    def by_definition(params: Params, state: Params, x: Array, r: Array) -> Array:
        return operation.definition(x, r, *(params[name] for name in norm.parameters))

    def apply(params: Params, state: Params, x: Array, r: Array, training: bool, share: Share | None) -> tuple[Array, Params]:
        return operation(x, r, *(params[name] for name in norm.parameters)), state

    norm = Norm(about, apply, by_definition, per_step=True, torch=torch, **more)
    return norm


def apply_batch_norm(
    params: Params, state: Params, x: Array, r: Array, training: bool, share: Share | None
) -> tuple[Array, Params]:
    """BatchNorm: in training by the statistics of the batch, which enter the running ones; in evaluation by the running ones.

    For a rank's `share` they are those of the whole batch all the same.
    """
    weight, bias = params["weight"], params["bias"]
    if not training:
        return batch_norm(x, r, weight, bias, state["mean"], state["var"], False), state
    if share is None:
        mean, var = batch_statistics(unboxed(x), unboxed(r))
    else:
        mean, var = statistics_of_all_ranks(unboxed(x), unboxed(r), share)
    out = batch_norm(x, r, weight, bias, mean, var, True, share)
    return out, updated_statistics(state, mean, var, count=(share.size if share else x.shape[0]) * x.shape[2])


def updated_statistics(state: Params, mean: Array, var: Array, count: int) -> Params:
    """running <- 0.9 running + 0.1 batch; the variance entered is the unbiased one, count / (count - 1) times the biased."""
    unbiased = var * (count / max(count - 1, 1))
    return {
        "mean": (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean,
        "var": (1 - MOMENTUM) * state["var"] + MOMENTUM * unbiased,
        "count": state["count"] + 1,
    }


def batch_norm_by_definition(params: Params, state: Params, x: Array, r: Array) -> Array:
    """BatchNorm by its running statistics."""
    return batch_norm.definition(x, r, params["weight"], params["bias"], state["mean"], state["var"], False)


NORMS = {
    "layer": of_each_step("LayerNorm over channels", layer_norm, torch="LayerNorm"),
    "batch": Norm(
        "BatchNorm over batch and time",
        apply_batch_norm,
        batch_norm_by_definition,
        per_step=False,
        torch="BatchNorm1d",
        statistics={"mean": 0.0, "var": 1.0},
    ),
    "rms": of_each_step(
        "RMSNorm over channels", rms_norm, "RMSNorm", parameters={"weight": 1.0}, centred=False, in_authors_format=False
    ),
}
