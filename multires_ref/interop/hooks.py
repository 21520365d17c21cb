"""The same record of a PyTorch module: hooks on its layers, whatever they are called and however they lay out their channels.

A mapping says which of the module's layers shows which of ours: {"norms.0": "blocks.0.norm", ...}; a name that ends in
":input" means what goes into that layer. `default_layers` finds one by the authors' names, or else by order and type.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np

from ..base.optional import import_torch
from ..network import NetworkConfig
from .load import as_numpy

INPUT = ":input"


def authors_layers(config: NetworkConfig) -> dict[str, str]:
    """The mapping for modules that name their layers as the authors do.

    Examples
    --------
    >>> authors_layers(NetworkConfig(3, 10, 8, 1))["seq_layers.0.activation:input"]
    'blocks.0.conv'
    """
    autoregressive = config.kind == "autoregressive"
    layers = {"encoder": "encoder"}
    for i in range(config.n_layers):
        layers |= {f"seq_layers.{i}.activation{INPUT}": f"blocks.{i}.conv", f"seq_layers.{i}": f"blocks.{i}.gelu"}
        layers |= {f"mixing_layers.{i}.0": f"blocks.{i}.mix", f"mixing_layers.{i}.1": f"blocks.{i}.glu"}
        if autoregressive:
            layers[f"mixing_layers.{i}.3"] = f"blocks.{i}.mix2"
        layers[f"norms.{i}"] = f"blocks.{i}.norm"
    if autoregressive:
        return layers | {"decoder": "decoder"}
    return layers | {f"output_mapping{INPUT}": "pool", "output_mapping": "decoder"}


def default_layers(module: Any, config: NetworkConfig) -> dict[str, str]:
    """A mapping for `module`: the authors' names where it has them, otherwise by the order and type of its layers."""
    names = {name for name, _ in module.named_modules()}
    known = {key: ours for key, ours in authors_layers(config).items() if key.removesuffix(INPUT) in names}
    if any(ours.startswith("blocks.") for ours in known.values()):
        return known
    return layers_by_type(module, config)


def layers_by_type(module: Any, config: NetworkConfig) -> dict[str, str]:
    """Layers recognised by what they are: for each kind there must be one a block, in order, or the kind is left out.

    GELU and GLU modules, LayerNorm or BatchNorm1d, linear maps D -> 2 D (and D -> D) by their weight's shape, and modules that
    hold filters of their own ([D, K] or [D, 1, K], two or more). Of the other linear maps the first from d_input is the encoder,
    the last to d_output the decoder.
    """
    torch = import_torch("comparing with a PyTorch module")
    nn, D, K, n = torch.nn, config.d_model, config.kernel_size, config.n_layers
    named = [(name, layer) for name, layer in module.named_modules() if name]
    maps = [(name, layer) for name, layer in named if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Embedding))]

    def holds_filters(layer: Any) -> bool:
        shapes = [tuple(p.shape) for p in layer.parameters(recurse=False)]
        return sum(shape in ((D, K), (D, 1, K)) for shape in shapes) >= 2

    def width(layer: Any) -> tuple[int, int]:
        return tuple(layer.weight.shape[:2])

    encoder_width = (config.d_input, D) if config.encoder == "embedding" else (D, config.d_input)
    layers, tail = {}, config.kind == "autoregressive"
    first = next((name for name, layer in maps if width(layer) == encoder_width), None)
    last = next((name for name, layer in reversed(maps) if width(layer) == (config.d_output, D) and name != first), None)
    inner = [(name, layer) for name, layer in maps if name not in (first, last)]
    if first is not None:
        layers[first] = "encoder"
    if last is not None:
        layers |= {last: "decoder"} if tail else {f"{last}{INPUT}": "pool", last: "decoder"}
    by_kind = {
        "gelu": [name for name, layer in named if isinstance(layer, nn.GELU)],
        "glu": [name for name, layer in named if isinstance(layer, nn.GLU)],
        "norm": [name for name, layer in named if isinstance(layer, (nn.LayerNorm, nn.BatchNorm1d))],
        "mix": [name for name, layer in inner if width(layer) == (2 * D, D)],
        "mix2": [name for name, layer in inner if width(layer) == (D, D)] if tail else [],
        "conv": [name for name, layer in named if holds_filters(layer)],
    }
    if by_kind["gelu"]:  # the layer itself may end before or after its GELU; what goes into the GELU is certain
        by_kind["conv"] = [name + INPUT for name in by_kind["gelu"]]
    for kind, found in by_kind.items():
        if len(found) == n:
            layers |= {name: f"blocks.{i}.{kind}" for i, name in enumerate(found)}
    return layers


def check_layers(layers: dict[str, str], module: Any, probes: list[str]) -> None:
    """Raise a ValueError that names the layers of a mapping which one of the two sides does not have."""
    names = {name for name, _ in module.named_modules()}
    unknown = [name for name in layers if name.removesuffix(INPUT) not in names]
    if unknown:
        raise ValueError(f"layers names {unknown}, which the module does not have; it has {sorted(names - {''})[:40]}")
    foreign = sorted(set(layers.values()) - set(probes))
    if foreign:
        raise ValueError(f"layers maps to {foreign}, which are no layers of ours; ours are {probes}")


def hook(module: Any, layers: dict[str, str], kept: dict[str, Any]) -> list[Any]:
    """Hooks that put each mapped layer's output (or input) into `kept` under our name, with its gradient to come."""
    modules = dict(module.named_modules())

    def keep(ours: str, tensor: Any) -> None:
        tensor = tensor[0] if isinstance(tensor, (tuple, list)) else tensor
        if tensor.requires_grad:
            tensor.retain_grad()
        kept[ours] = (tensor, as_numpy(tensor.detach().clone()))  # cloned: a later layer may write in place

    def hooked(name: str, ours: str) -> Any:
        layer = modules[name.removesuffix(INPUT)]
        if name.endswith(INPUT):
            return layer.register_forward_pre_hook(lambda _, inputs: keep(ours, inputs[0]))
        return layer.register_forward_hook(lambda _, inputs, output: keep(ours, output))

    return [hooked(name, ours) for name, ours in layers.items()]


def record_module(
    module: Any, call: Callable[[], Any], layers: dict[str, str], g: Any = None
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Output, layers' outputs and (where g is given) layers' gradients of a module, by our names.

    Parameters
    ----------
    module : torch.nn.Module, in the mode it is to be run in
    call : function without arguments that runs it and returns its output
    layers : mapping from the module's layer names to ours
    g : tensor that arrives at the output, or None
    """
    torch, kept = import_torch("comparing with a PyTorch module"), {}
    handles = hook(module, layers, kept)
    try:
        with torch.set_grad_enabled(g is not None):
            out = call()
        if g is not None:
            module.zero_grad()
            out.backward(g)
    finally:
        for handle in handles:
            handle.remove()
    values = {ours: value for ours, (_, value) in kept.items()}
    gradients = {ours: as_numpy(t.grad) for ours, (t, _) in kept.items() if g is not None and t.grad is not None}
    return as_numpy(out), values, gradients


def aligned(theirs: np.ndarray, ours: np.ndarray) -> np.ndarray | None:
    """`theirs` with its axes in our order ([B, D, L]): of the orders whose shape fits, the nearest; None where none fits.

    Examples
    --------
    >>> ours = np.arange(6.0).reshape(1, 2, 3)
    >>> aligned(ours.transpose(2, 0, 1), ours).shape
    (1, 2, 3)
    """
    if theirs.ndim != ours.ndim:
        theirs = theirs.reshape([n for n in theirs.shape if n != 1]) if theirs.ndim > ours.ndim else theirs
    if theirs.ndim != ours.ndim:
        return None
    fitting = [theirs.transpose(order) for order in permutations(range(theirs.ndim))]
    fitting = [a for a in fitting if a.shape == ours.shape]
    return min(fitting, key=lambda a: float(np.linalg.norm((a - ours).ravel())), default=None)
