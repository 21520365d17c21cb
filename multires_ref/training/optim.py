"""The optimiser: the learning rate of every step, Adam and AdamW on pytrees, and clipping by the global norm.

The update of one array is in `ops/adam_update.py`.
"""

from __future__ import annotations

import math
from typing import Any

from ..base.arrays import Array, get_xp
from ..base.pytrees import flatten, map_pytree
from ..base.threads import limited
from ..network.init import Params
from ..ops.adam_update import adam_factors, adam_update
from .config import TrainingConfig


def learning_rate(step: int, steps: int, lr: float, warmup: int = 0) -> float:
    """The rate of step number `step` (counted from 0) of `steps`.

        step < warmup     lr step / warmup
        else              lr (1 + cos(pi (step - warmup) / (steps - warmup))) / 2

    Notes
    -----
    The authors' scripts: PyTorch's `CosineAnnealingLR`, and `get_cosine_schedule_with_warmup` of the transformers package.
    The very first step of a warm-up has rate 0.

    Examples
    --------
    >>> [round(learning_rate(n, 6, 1.0, warmup=2), 3) for n in range(6)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return lr * step / warmup
    return lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def adam_init(params: Params) -> dict[str, Any]:
    """The optimiser's state before the first step: {"step": 0, "m": zeros, "v": zeros}, m and v shaped as the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> adam_init({"bias": np.ones(2)})
    {'step': 0, 'm': {'bias': array([0., 0.])}, 'v': {'bias': array([0., 0.])}}
    """

    def zeros() -> Params:
        return map_pytree(lambda p: get_xp(p).zeros_like(p), params)

    return {"step": 0, "m": zeros(), "v": zeros()}


def adam_step(params: Params, grads: Params, optimizer_state: dict[str, Any], lr: float, settings: TrainingConfig) -> None:
    """One step of Adam or AdamW: changes `params` and `optimizer_state` in place.

    Parameters
    ----------
    params, grads : pytrees of arrays, of the same structure
    optimizer_state : dict
        From `adam_init`; the run is resumed from it.
    lr : float
        This step's learning rate.
    settings : TrainingConfig
        Its `optimizer` and `weight_decay`. "adamw" shrinks the parameters by 1 - lr weight_decay (decoupled decay);
        "adam" adds weight_decay times the parameter to the gradient.

    Notes
    -----
    `torch.optim.AdamW` and `torch.optim.Adam` in their order of operations.

    Examples
    --------
    The first step moves every parameter by lr, whatever the gradient's size.

    >>> import numpy as np
    >>> params = {"bias": np.array([1.0, 1.0])}
    >>> adam_step(params, {"bias": np.array([0.5, -2.0])}, adam_init(params), 0.1, TrainingConfig(1, 1, 0.1, weight_decay=0.0))
    >>> params["bias"].round(6)
    array([0.9, 1.1])
    """
    optimizer_state["step"] += 1
    decay, coupled = settings.weight_decay, settings.optimizer == "adam"
    factors = adam_factors(lr, 0.0 if coupled else decay, optimizer_state["step"])
    gradients, m, v = flatten(grads), flatten(optimizer_state["m"]), flatten(optimizer_state["v"])
    with limited(0):  # one section for all the small arrays
        for name, p in flatten(params).items():
            g = gradients[name] + decay * p if coupled and decay else gradients[name]
            adam_update(p, g, m[name], v[name], factors)


def global_norm(grads: Params) -> Array:
    """The Euclidean norm of all elements of a pytree together: one number, on the device of the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> print(global_norm({"a": np.array([3.0]), "b": [np.array([0.0, 4.0])]}))
    5.0
    """
    arrays = list(flatten(grads).values())
    xp = get_xp(*arrays)
    return xp.sqrt(sum(xp.sum(a * a) for a in arrays))


def clip_by_global_norm(grads: Params, largest: float) -> Params:
    """The gradients, scaled down together where their global norm is above `largest`.

    As `torch.nn.utils.clip_grad_norm_`: the factor is min(1, largest / (norm + 1e-6)).

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_global_norm({"a": np.array([3.0, 4.0])}, 1.0)["a"].round(4)
    array([0.6, 0.8])
    """
    norm = global_norm(grads)
    factor = get_xp(norm).minimum(largest / (norm + 1e-6), 1.0)
    return map_pytree(lambda g: g * factor.astype(g.dtype), grads)
