"""A model in another dtype: the same numbers, widened exactly or rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.checks import FLOATS, check_choice
from ..base.pytrees import map_pytree
from ..network import Model


def cast_model(model: Model, dtype: str) -> Model:
    """A copy of `model` with its parameters and norm statistics in `dtype`; counts stay whole numbers.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> model = Model.init(NetworkConfig(3, 10, 8, 2, max_length=32), np.random.default_rng(0))
    >>> cast_model(model, "float64").params["decoder"]["weight"].dtype
    dtype('float64')
    """
    check_choice("dtype", str(np.dtype(dtype)), FLOATS)
    return Model(
        model.config, map_pytree(lambda a: cast(a, dtype), model.params), map_pytree(lambda a: cast(a, dtype), model.state)
    )


def cast(array: Any, dtype: str) -> Any:
    """A float array in `dtype`; whole numbers (tokens, counts) as they are; always a copy."""
    return array.astype(dtype) if array.dtype.kind == "f" else array.copy()
