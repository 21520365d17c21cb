"""The record of a PyTorch module: hooks on its layers, whatever they are called and however they lay out their channels.

A mapping says which of the module's layers shows which of ours: {"norms.0": "blocks.0.norm", ...}. A name that ends in ":input"
means what goes into that layer; "act@1" means the second time that the layer `act` runs in one pass. `layers.py` finds mappings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..authors.torch_file import as_numpy
from ..base.optional import import_torch

INPUT, TIMES = ":input", "@"


class Call(NamedTuple):
    """One run of one layer of a module: its name, how often it has run before in this pass, and the layer."""

    name: str
    before: int
    layer: Any

    @property
    def key(self) -> str:
        """The name by which a mapping says it."""
        return f"{self.name}{TIMES}{self.before}" if self.before else self.name


def layer_name(key: str) -> str:
    """The module's name for the layer of a mapping's key.

    Examples
    --------
    >>> layer_name("act@1:input")
    'act'
    """
    return key.removesuffix(INPUT).partition(TIMES)[0]


def first_tensor(value: Any) -> Any:
    """The tensor of a layer's input or output; of a tuple, list or dict the first one."""
    while isinstance(value, (tuple, list, dict)):
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return value


def hook(module: Any, layers: dict[str, str], kept: dict[str, Any], gradients: dict[str, Any]) -> list[Any]:
    """Hooks that put each mapped layer's output (or input) into `kept` under our name, and its gradient into `gradients`."""
    modules = dict(module.named_modules())
    runs: Counter[str] = Counter()

    def keep(key: str, value: Any) -> None:
        tensor = first_tensor(value)
        if key in layers and hasattr(tensor, "detach"):
            ours = layers[key]
            kept[ours] = as_numpy(tensor.detach().clone())  # cloned: a later layer may write in place
            if tensor.requires_grad:
                tensor.register_hook(lambda g: gradients.__setitem__(ours, as_numpy(g.detach().clone())))

    def entered(name: str) -> Callable[..., None]:
        return lambda _, args, kwargs: keep(Call(name, runs[name], None).key + INPUT, (*args, *kwargs.values()))

    def left(name: str) -> Callable[..., None]:
        def after(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            keep(Call(name, runs[name], None).key, output)
            runs[name] += 1

        return after

    names = dict.fromkeys(layer_name(key) for key in layers)
    handles = [modules[name].register_forward_pre_hook(entered(name), with_kwargs=True) for name in names]
    return handles + [modules[name].register_forward_hook(left(name), with_kwargs=True) for name in names]


def record_module(
    module: Any, call: Callable[[], Any], layers: dict[str, str], g: Any = None
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Output, layers' outputs and (where g is given) layers' gradients of a module, by our names, axes as the module has them.

    Parameters
    ----------
    module : torch.nn.Module, in the mode it is to be run in
    call : function without arguments that runs it and returns its output
    layers : mapping from the module's layer names to ours
    g : tensor that arrives at the output, or None
    """
    torch = import_torch("comparing with a PyTorch module")
    values: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}
    handles = hook(module, layers, values, gradients)
    try:
        with torch.set_grad_enabled(g is not None):
            out = call()
        if g is not None:
            module.zero_grad()
            out.backward(g)
    finally:
        for handle in handles:
            handle.remove()
    return as_numpy(out), values, gradients


def record_calls(module: Any, call: Callable[[], Any]) -> list[Call]:
    """Which layers run, in the order in which they begin; those that never run are not in it."""
    calls: list[Call] = []
    runs: Counter[str] = Counter()

    def entered(name: str) -> Callable[..., None]:
        def before(layer: Any, inputs: Any) -> None:
            calls.append(Call(name, runs[name], layer))
            runs[name] += 1

        return before

    handles = [layer.register_forward_pre_hook(entered(name)) for name, layer in module.named_modules() if name]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return calls
