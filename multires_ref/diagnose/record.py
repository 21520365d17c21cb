"""Our side of a comparison: a model in a dtype, an input for it, and one run with every array and every gradient kept by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import FLOATS, check_choice
from ..base.pytrees import flatten, map_pytree
from ..network import Model, apply
from ..ops.tracing import backward, gradient_of, record


class Record(NamedTuple):
    """The arrays of one forward and backward pass. Layers by the names of hooks ("encoder", "blocks.0.conv", ...), in order."""

    output: np.ndarray
    values: dict[str, np.ndarray]  # each layer's output
    gradients: dict[str, np.ndarray]  # of sum(g * output) in each layer's output
    parameters: dict[str, np.ndarray]  # of sum(g * output) in each parameter
    state: dict[str, np.ndarray]  # the norms' new running statistics
    input: np.ndarray | None = None  # the gradient in the input; None for tokens, or without a backward pass


def record_model(
    model: Model, x: Any, lengths: Any = None, g: Any = None, training: bool = False, engine: str = "auto"
) -> Record:
    """Run `model` forward, and backward from `g`, and keep every array.

    Parameters
    ----------
    model : Model
    x, lengths
        As the model takes them.
    g : array of the output's shape, or None
        The gradient that arrives at the output. With None there is no backward pass, and the gradients are empty.
    training : bool
        Whether BatchNorm uses the batch's own statistics. Dropout is off in both cases.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> list(record_model(model, np.zeros((2, 3, 32), np.float32)).values)
    ['encoder', 'blocks.0.conv', 'blocks.0.gelu', 'blocks.0.mix', 'blocks.0.glu', 'blocks.0.norm', 'pool', 'decoder']
    """
    values: dict[str, np.ndarray] = {}
    nodes: dict[Any, str] = {}
    kept: dict[str, Any] = {}

    def keep(name: str, array: Any) -> None:
        values[name] = np.array(getattr(array, "_value", array))
        if hasattr(array, "_node"):
            nodes[array._node] = name

    def run(leaves: dict[str, Any]) -> Any:
        inputs = (leaves["x"], lengths) if is_float else (x, lengths)
        out, kept["state"] = apply(
            model.config, leaves["params"], model.state, *inputs, training=training, hook=keep, engine=engine
        )
        return out

    is_float = np.asarray(x).dtype.kind == "f"  # tokens have no gradient
    leaves = {"params": model.params} | ({"x": x} if is_float else {})
    if g is None:
        run(leaves)
        return Record(values["decoder"], values, {}, {}, flatten(kept["state"]))
    out, boxes = record(run, leaves)
    arrived = backward(out._node, g, keep=nodes.__contains__)
    gradients = {name: np.array(arrived[node]) for node, name in nodes.items() if node in arrived}
    of_leaves = map_pytree(lambda box: gradient_of(box, arrived), boxes)
    ordered = {name: gradients[name] for name in values}
    of_input = np.array(of_leaves["x"]) if is_float else None
    return Record(values["decoder"], values, ordered, flatten(of_leaves["params"]), flatten(kept["state"]), of_input)


def map_model(function: Callable[[np.ndarray], np.ndarray], model: Model) -> Model:
    """The model with `function` applied to every parameter and to every running statistic of its norms."""
    return Model(model.config, map_pytree(function, model.params), map_pytree(function, model.state))


def cast_model(model: Model, dtype: str) -> Model:
    """A copy of `model` with its parameters and running statistics in `dtype`; counts stay whole numbers.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> model = Model.init(NetworkConfig(3, 10, 8, 2, max_length=32), np.random.default_rng(0))
    >>> cast_model(model, "float64").params["decoder"]["weight"].dtype
    dtype('float64')
    """
    check_choice("dtype", str(np.dtype(dtype)), FLOATS)
    return map_model(lambda array: cast(array, dtype), model)


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """A float array in `dtype`; whole numbers (tokens, counts) as they are; always a copy."""
    return array.astype(dtype) if array.dtype.kind == "f" else array.copy()


def random_input(model: Model, rng: np.random.Generator, batch: int, length: int) -> tuple[np.ndarray, np.ndarray | None]:
    """An input that fits the model, in its dtype; for tokens with true lengths between half and all of `length`.

    Examples
    --------
    >>> from multires_ref import NetworkConfig
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> random_input(model, np.random.default_rng(0), batch=2, length=32)[0].shape
    (2, 3, 32)
    """
    config = model.config
    if config.encoder == "embedding":
        lengths = rng.integers((length + 1) // 2, length + 1, batch)
        return rng.integers(0, config.d_input, (batch, length)), lengths
    dtype = model.params["decoder"]["weight"].dtype
    if config.kind == "autoregressive":  # data in [-1, 1] on a grid of `n_values` values
        grid = rng.integers(0, config.n_values, (batch, config.d_input, length))
        return (grid * (2 / (config.n_values - 1)) - 1).astype(dtype), None
    return rng.standard_normal((batch, config.d_input, length)).astype(dtype), None
