"""One training step: forward, backward, update; and where a number that is not finite first appeared in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.arrays import Array, family, get_xp
from ..base.pytrees import flatten
from ..base.ranks import Share
from ..base.threads import limited
from ..network import NetworkConfig, apply
from ..network.init import Params
from ..network.model import work_of
from ..ops.tracing import value_and_gradients
from .config import TrainingConfig
from .data import Split
from .objectives import Objective
from .optim import adam_step, clip_by_global_norm


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite."""


def train_step(
    config: NetworkConfig,
    params: Params,
    norm_state: Params,
    optimizer_state: dict[str, Any],
    batch: Split,
    lr: float,
    rng: np.random.Generator,
    objective: Objective,
    training: TrainingConfig,
    share: Share | None = None,
) -> tuple[Array, Params]:
    """One step on one batch: returns (the loss before it, the new norm state).

    `params` and `optimizer_state` are changed in place. With `share` the batch is one rank's share of a whole one, and all ranks
    take the step of the whole batch together.

    Raises
    ------
    NonFiniteLoss
        If the loss is not finite; nothing has been changed then. On a GPU the loss is not looked at here, because that would
        wait for the GPU: see `loop.py`.

    Examples
    --------
    >>> from multires_ref.training.objectives import get_objective
    >>> from multires_ref.training.optim import adam_init
    >>> from multires_ref import NetworkConfig, init_params, init_state
    >>> config, training = NetworkConfig(1, 2, d_model=4, n_layers=1, max_length=8), TrainingConfig(1, 2, lr=0.01)
    >>> rng = np.random.default_rng(0)
    >>> params, norm_state = init_params(config, rng), init_state(config)
    >>> adam, objective = adam_init(params), get_objective("classification")
    >>> batch = Split(np.float32([[[1] * 8], [[-1] * 8]]), np.array([0, 1]))
    >>> losses = [train_step(config, params, norm_state, adam, batch, 0.01, rng, objective, training)[0] for _ in range(20)]
    >>> bool(losses[-1] < losses[0])
    True
    """
    loss, grads, norm_state = loss_and_gradients(config, params, norm_state, batch, rng, objective, training.engine, share)
    if family(loss) == "numpy" and not np.isfinite(loss):
        raise NonFiniteLoss(f"the loss is {float(loss)}")
    if training.clip is not None:
        grads = clip_by_global_norm(grads, training.clip)
    adam_step(params, grads, optimizer_state, lr, training)
    return loss, norm_state


def loss_and_gradients(
    config: NetworkConfig,
    params: Params,
    norm_state: Params,
    batch: Split,
    rng: np.random.Generator | None,
    objective: Objective,
    engine: str = "auto",
    share: Share | None = None,
) -> tuple[Array, Params, Params]:
    """The loss of a batch in training mode, its gradient (a pytree like `params`), and the new norm state.

    With `share`, `batch` is one rank's share, and all three are those of the whole batch, the same on all ranks. The gradients
    are summed while the backward pass still runs.
    """
    new = {}

    def loss(params: Params) -> Array:
        options: dict[str, Any] = {"training": True, "rng": rng, "engine": engine, "share": share}
        out, new["norm_state"] = apply(config, params, norm_state, batch.x, batch.lengths, **options)
        own = objective.loss(out, batch.y)
        return own if share is None else own * objective.part(share)

    with limited(work_of(config, batch.x)):
        if share is None:
            value, grads = value_and_gradients(loss, params)
        else:
            whole = share.ranks.gradient_sum(params)
            value, grads = value_and_gradients(loss, params, whole.add)
            value, grads = share.ranks.sum(value), whole.result(grads)
    return value, grads, new["norm_state"]


def all_finite(array: Array) -> bool:
    """Whether every element is finite; for a GPU's array this waits until it is computed."""
    return bool(get_xp(array).isfinite(array).all())


def first_bad_array(tree: Params) -> str | None:
    """The name of the first array of a pytree that holds NaN or infinity; None where all elements are finite.

    Examples
    --------
    >>> first_bad_array({"encoder": {"weight": np.ones(2), "bias": np.array([1.0, np.nan])}})
    'encoder.bias'
    """
    return next((name for name, array in flatten(tree).items() if not all_finite(array)), None)


def first_bad_layer(
    config: NetworkConfig,
    params: Params,
    norm_state: Params,
    batch: Split,
    rng: np.random.Generator,
    engine: str = "auto",
    share: Share | None = None,
) -> str | None:
    """The first layer of a training forward pass whose output is not finite, such as "blocks.1.conv"; None where all are.

    `rng` must be as it was before the step, so that the same channels are dropped. With `share`, a layer counts whose output is
    not finite on any rank.
    """
    bad: dict[str, bool] = {}

    def hook(name: str, array: Array) -> None:
        bad[name] = not all_finite(array)

    options: dict[str, Any] = {"training": True, "rng": rng, "hook": hook, "engine": engine, "share": share}
    apply(config, params, norm_state, batch.x, batch.lengths, **options)
    flags = list(bad.values()) if share is None else share.ranks.flags(*bad.values())
    return next((name for name, flag in zip(bad, flags, strict=True) if flag), None)


def explain(
    config: NetworkConfig, params: Params, norm_state: Params, batch: Split, rng: np.random.Generator, engine: str = "auto",
    share: Share | None = None,
) -> str:  # fmt: skip
    """One sentence: which parameter is already not finite, or which layer was the first to give such a number."""
    bad = first_bad_array({"params": params, "state": norm_state})
    if bad is not None:
        return f"{bad} is itself not finite: the update of an earlier step made it so"
    layer = first_bad_layer(config, params, norm_state, batch, rng, engine, share)
    if layer is None:
        return "every layer's output is finite: it appeared in the loss itself"
    return f"it first appeared in the output of layer {layer}"
