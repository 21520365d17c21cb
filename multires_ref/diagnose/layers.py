"""Which layer of a PyTorch module is which of ours: by the authors' names, or by the order and type of the layers that run."""

from __future__ import annotations

from typing import Any

from ..base.optional import import_torch
from ..network import NetworkConfig
from ..network.norms import NORMS
from .hooks import INPUT, Call, layer_name


def our_layers(config: NetworkConfig) -> list[str]:
    """Every layer that `compare` looks for, in order; "blocks.i.input" is what goes into block i.

    Examples
    --------
    >>> our_layers(NetworkConfig(3, 10, 8, 1))[:4]
    ['encoder', 'blocks.0.input', 'blocks.0.conv', 'blocks.0.gelu']
    """
    inside = ["input", "conv", "gelu", "mix", "glu", *(["mix2"] if config.kind == "autoregressive" else []), "norm"]
    blocks = [f"blocks.{i}.{name}" for i in range(config.n_layers) for name in inside]
    return ["encoder", *blocks, *(["pool"] if config.kind == "classifier" else []), "decoder"]


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
        layers |= {f"seq_layers.{i}{INPUT}": f"blocks.{i}.input", f"seq_layers.{i}.activation{INPUT}": f"blocks.{i}.conv"}
        layers |= {f"seq_layers.{i}": f"blocks.{i}.gelu", f"mixing_layers.{i}.0": f"blocks.{i}.mix"}
        layers[f"mixing_layers.{i}.1"] = f"blocks.{i}.glu"
        if autoregressive:
            layers[f"mixing_layers.{i}.3"] = f"blocks.{i}.mix2"
        layers[f"norms.{i}"] = f"blocks.{i}.norm"
    if autoregressive:
        return layers | {"decoder": "decoder"}
    return layers | {f"output_mapping{INPUT}": "pool", "output_mapping": "decoder"}


def prefix_of(names: list[str]) -> str | None:
    """What stands before the authors' names ("", "model.", ...); None where they are not found.

    Examples
    --------
    >>> prefix_of(["model", "model.encoder", "model.seq_layers.0"])
    'model.'
    """
    found = [name.removesuffix("seq_layers.0") for name in names if name == "seq_layers.0" or name.endswith(".seq_layers.0")]
    return min(found, key=len, default=None)


def default_layers(module: Any, config: NetworkConfig, calls: list[Call] | None = None) -> dict[str, str]:
    """A mapping for `module`: the authors' names where it has them, otherwise by the order and type of its layers.

    `calls` are the layers that run (`hooks.record_calls`); without them every layer is taken to run once, in its order.
    """
    calls = [Call(name, 0, layer) for name, layer in module.named_modules() if name] if calls is None else calls
    names = list(dict.fromkeys(call.name for call in calls))
    prefix = prefix_of(names)
    if prefix is None:
        return layers_by_type(module, config, calls)
    known = {prefix + key: ours for key, ours in authors_layers(config).items() if layer_name(prefix + key) in names}
    by_type = layers_by_type(module, config, calls)  # for layers that the module calls otherwise
    missing = set(our_layers(config)) - set(known.values())
    return known | {key: ours for key, ours in by_type.items() if ours in missing and key not in known}


def layers_by_type(module: Any, config: NetworkConfig, calls: list[Call] | None = None) -> dict[str, str]:
    """Layers recognised by what they are: for each kind there must be one a block, in order, or the kind is left out.

    Activations and GLU modules, LayerNorm or BatchNorm1d, linear maps D -> 2 D (and D -> D) by their weight's shape, and modules
    that hold filters of their own ([D, K] or [D, 1, K], two or more). Of the other linear maps the first from d_input is the
    encoder, the last to d_output the decoder.
    """
    calls = [Call(name, 0, layer) for name, layer in module.named_modules() if name] if calls is None else calls
    ends = find_ends(calls, config)
    layers = {call.key: name for name, call in ends.items()}
    if config.kind == "classifier" and "decoder" in ends:
        layers = {f"{ends['decoder'].key}{INPUT}": "pool", **layers}
    for kind, found in find_kinds(calls, list(ends.values()), config).items():
        if len(found) == config.n_layers:
            layers |= {key: f"blocks.{i}.{kind}" for i, key in enumerate(found)}
    return layers


def width(layer: Any) -> tuple[int, int]:
    return tuple(layer.weight.shape[:2])


def linear_maps(calls: list[Call]) -> list[Call]:
    nn = import_torch("comparing with a PyTorch module").nn
    return [call for call in calls if isinstance(call.layer, (nn.Linear, nn.Conv1d, nn.Embedding))]


def find_ends(calls: list[Call], config: NetworkConfig) -> dict[str, Call]:
    """The encoder and the decoder."""
    D, maps = config.d_model, linear_maps(calls)
    encoder_width = (config.d_input, D) if config.encoder == "embedding" else (D, config.d_input)
    first = next((call for call in maps if width(call.layer) == encoder_width), None)
    last = next((call for call in reversed(maps) if width(call.layer) == (config.d_output, D) and call is not first), None)
    return {name: call for name, call in (("encoder", first), ("decoder", last)) if call is not None}


def find_kinds(calls: list[Call], ends: list[Call], config: NetworkConfig) -> dict[str, list[str]]:
    """The keys of the layers of each kind, in the order in which they run."""
    nn = import_torch("comparing with a PyTorch module").nn
    D, inner = config.d_model, [call for call in linear_maps(calls) if call not in ends]

    def of_type(*types: Any) -> list[str]:
        return [call.key for call in calls if isinstance(call.layer, types)]

    convs = [call.key for call in calls if holds_filters(call.layer, config)]
    found = {
        "gelu": of_type(nn.GELU, nn.ReLU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Mish),
        "glu": of_type(nn.GLU),
        "norm": of_type(*(getattr(nn, norm.torch) for norm in NORMS.values())),
        "mix": [call.key for call in inner if width(call.layer) == (2 * D, D)],
        "mix2": [call.key for call in inner if width(call.layer) == (D, D)] if config.kind == "autoregressive" else [],
        "conv": convs,
        "input": [key + INPUT for key in convs],
    }
    if found["gelu"]:  # the layer itself may end before or after its activation; what goes into the activation is certain
        found["conv"] = [key + INPUT for key in found["gelu"]]
    return found


def holds_filters(layer: Any, config: NetworkConfig) -> bool:
    """Whether a layer has two or more parameters of the shape of filters."""
    D, K = config.d_model, config.kernel_size
    shapes = [tuple(p.shape) for p in layer.parameters(recurse=False)]
    return sum(shape in ((D, K), (D, 1, K)) for shape in shapes) >= 2


def count_blocks(calls: list[Call], config: NetworkConfig) -> int | None:
    """How many blocks a module has, where its kinds of layers agree on it; None where they do not."""
    kinds = find_kinds(calls, list(find_ends(calls, config).values()), config)
    counts = {len(kinds[kind]) for kind in ("norm", "mix") if kinds[kind]}
    return counts.pop() if len(counts) == 1 and kinds["norm"] and kinds["mix"] else None


def check_layers(layers: dict[str, str], module: Any, probes: list[str]) -> None:
    """Raise a ValueError that names the layers of a mapping which one of the two sides does not have."""
    names = {name for name, _ in module.named_modules()}
    unknown = [key for key in layers if layer_name(key) not in names]
    if unknown:
        raise ValueError(f"layers names {unknown}, which the module does not have; it has {sorted(names - {''})[:40]}")
    foreign = sorted(set(layers.values()) - set(probes))
    if foreign:
        raise ValueError(f"layers maps to {foreign}, which are no layers of ours; ours are {probes}")
