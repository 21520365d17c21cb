"""The post-norms of a block, one record each: `NORMS` holds them by the name that a config gives.

A new norm is an operation in `ops/` and one record here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..base.arrays import Array, unboxed
from ..base.pytrees import Params
from ..ops.batch_norm import batch_norm, batch_statistics
from ..ops.layer_norm import layer_norm

MOMENTUM = 0.1  # of BatchNorm's running statistics, PyTorch's default


@dataclass(frozen=True)
class Norm:
    """What a network needs to know of a norm of the residual sum x + r [B, D, L].

    Parameters
    ----------
    apply : function (params, state, x, r, training) -> (out, the new norm state)
    by_definition : the same in evaluation, of the definitions alone: what a stream of single samples takes
    per_step : bool
        Whether every time step is normalised by itself. If not, padding and the rest of the batch matter in training.
    torch : str
        The class in `torch.nn`.
    parameters : the names of its parameters [D], and what each starts from
    statistics : the names of its running statistics [D], and what each starts from
    """

    apply: Callable[[Params, Params, Array, Array, bool], tuple[Array, Params]]
    by_definition: Callable[[Params, Params, Array, Array], Array]
    per_step: bool
    torch: str
    parameters: dict[str, float] = field(default_factory=lambda: {"weight": 1.0, "bias": 0.0})
    statistics: dict[str, float] = field(default_factory=dict)

    def init_state(self, D: int, dtype: str) -> Params:
        """Fresh running statistics, and the number of batches they have seen; empty where the norm has none."""
        state = {name: np.full(D, value, dtype) for name, value in self.statistics.items()}
        return state | {"count": np.zeros((), np.int64)} if state else {}

    def state_shapes(self, D: int) -> dict[str, tuple[int, ...]]:
        """The shapes of `init_state`."""
        return dict.fromkeys(self.statistics, (D,)) | ({"count": ()} if self.statistics else {})


def apply_layer_norm(params: Params, state: Params, x: Array, r: Array, training: bool) -> tuple[Array, Params]:
    """LayerNorm, which has no state."""
    return layer_norm(x, r, params["weight"], params["bias"]), state


def apply_batch_norm(params: Params, state: Params, x: Array, r: Array, training: bool) -> tuple[Array, Params]:
    """BatchNorm: in training by the statistics of the batch, which enter the running ones; in evaluation by the running ones."""
    weight, bias = params["weight"], params["bias"]
    if not training:
        return batch_norm(x, r, weight, bias, state["mean"], state["var"], False), state
    mean, var = batch_statistics(unboxed(x), unboxed(r))
    out = batch_norm(x, r, weight, bias, mean, var, True)
    return out, updated_statistics(state, mean, var, count=x.shape[0] * x.shape[2])


def updated_statistics(state: Params, mean: Array, var: Array, count: int) -> Params:
    """running <- 0.9 running + 0.1 batch; the variance entered is the unbiased one, count / (count - 1) times the biased."""
    unbiased = var * (count / max(count - 1, 1))
    return {
        "mean": (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean,
        "var": (1 - MOMENTUM) * state["var"] + MOMENTUM * unbiased,
        "count": state["count"] + 1,
    }


NORMS = {
    "layer": Norm(
        apply_layer_norm,
        lambda params, state, x, r: layer_norm.definition(x, r, params["weight"], params["bias"]),
        per_step=True,
        torch="LayerNorm",
    ),
    "batch": Norm(
        apply_batch_norm,
        lambda params, state, x, r: batch_norm.definition(
            x, r, params["weight"], params["bias"], state["mean"], state["var"], False
        ),
        per_step=False,
        torch="BatchNorm1d",
        statistics={"mean": 0.0, "var": 1.0},
    ),
}
