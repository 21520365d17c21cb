"""Where a number that is not finite first appeared: said when a run stops because of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.arrays import get_xp
from ..base.pytrees import flatten
from ..network import NetworkConfig, apply
from .data import Split


def all_finite(array: Any) -> bool:
    """Whether every number is finite (waits for a graphics card)."""
    return bool(get_xp(array).isfinite(array).all())


def first_bad_array(tree: Any) -> str | None:
    """The name of the first array of a nest that holds NaN or infinity.

    Examples
    --------
    >>> first_bad_array({"encoder": {"weight": np.ones(2), "bias": np.array([1.0, np.nan])}})
    'encoder.bias'
    """
    return next((name for name, array in flatten(tree).items() if not all_finite(array)), None)


def first_bad_layer(
    config: NetworkConfig, params: Any, state: Any, batch: Split, rng: np.random.Generator, engine: str = "auto"
) -> str | None:
    """The first layer of a training forward pass whose output is not finite, such as "blocks.1.conv"; None where all are.

    `rng` must be as it was before the step, so that the same channels are dropped.
    """
    seen: list[str] = []

    def hook(name: str, array: Any) -> None:
        if not seen and not all_finite(array):
            seen.append(name)

    apply(config, params, state, batch.x, batch.lengths, training=True, rng=rng, hook=hook, engine=engine)
    return seen[0] if seen else None


def explain(config: NetworkConfig, params: Any, state: Any, batch: Split, rng: np.random.Generator, engine: str = "auto") -> str:
    """One sentence: which parameter is already not finite, or which layer was the first to give such a number."""
    bad = first_bad_array({"params": params, "state": state})
    if bad is not None:
        return f"{bad} is itself not finite: the update of an earlier step made it so"
    layer = first_bad_layer(config, params, state, batch, rng, engine)
    if layer is None:
        return "every layer's output is finite: it appeared in the loss itself"
    return f"it first appeared in the output of layer {layer}"
