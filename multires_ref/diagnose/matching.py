"""Which layer, and which parameter, of a PyTorch module is which of ours.

A mapping of layers says it by names: {"norms.0": "blocks.0.norm", ...}. A name that ends in ":input" means what goes into that
layer; "act@1" means the second time that the layer `act` runs in one pass. Layers are found by the authors' names, or by the
order and type of those that run. Parameters are found by the authors' names, by the layers that hold them, or by their numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..authors.convert import HEADS, PARTS, name_of, taken
from ..base.optional import import_torch
from ..base.pytrees import flatten
from ..network import Model, NetworkConfig
from ..network.norms import NORMS

if TYPE_CHECKING:
    from torch.nn import Module

INPUT, TIMES = ":input", "@"
PURPOSE = "comparing with a PyTorch module"
Take = Callable[[np.ndarray], np.ndarray]


class Call(NamedTuple):
    """One run of one layer of a module: its name, how often it has run before in this pass, and the layer."""

    name: str
    before: int
    layer: Module

    @property
    def key(self) -> str:
        """The name of this run in a mapping."""
        return f"{self.name}{TIMES}{self.before}" if self.before else self.name


def layer_name(key: str) -> str:
    """The module's name for the layer of a mapping's key.

    Examples
    --------
    >>> layer_name("act@1:input")
    'act'
    """
    return key.removesuffix(INPUT).partition(TIMES)[0]


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
    head = HEADS[config.kind]
    layers = {"encoder": "encoder"}
    for i in range(config.n_layers):
        layer, mix = PARTS["conv"].format(i), PARTS["mix"].format(i)
        layers |= {f"{layer}{INPUT}": f"blocks.{i}.input", f"{layer}.activation{INPUT}": f"blocks.{i}.conv"}
        layers |= {layer: f"blocks.{i}.gelu", mix: f"blocks.{i}.mix", f"mixing_layers.{i}.1": f"blocks.{i}.glu"}
        if config.kind == "autoregressive":
            layers[PARTS["mix2"].format(i)] = f"blocks.{i}.mix2"
        layers[PARTS["norm"].format(i)] = f"blocks.{i}.norm"
    pool = {f"{head}{INPUT}": "pool"} if config.kind == "classifier" else {}
    return layers | pool | {head: "decoder"}


def prefix_of(names: list[str]) -> str | None:
    """The text before the authors' names ("", "model.", ...); None if these names are not found.

    Examples
    --------
    >>> prefix_of(["model", "model.encoder", "model.seq_layers.0"])
    'model.'
    """
    found = [name.removesuffix("seq_layers.0") for name in names if name == "seq_layers.0" or name.endswith(".seq_layers.0")]
    return min(found, key=len, default=None)


def every_layer(module: Module) -> list[Call]:
    """The calls of a module in which every layer runs once, in its order."""
    return [Call(name, 0, layer) for name, layer in module.named_modules() if name]


def default_layers(calls: list[Call], config: NetworkConfig) -> dict[str, str]:
    """A mapping for the layers that run (see `every_layer`): by the authors' names where these are found, otherwise by type."""
    names = {call.name for call in calls}
    by_type = layers_by_type(calls, config)
    prefix = prefix_of(list(names))
    if prefix is None:
        return by_type
    known = {prefix + key: ours for key, ours in authors_layers(config).items() if layer_name(prefix + key) in names}
    missing = set(our_layers(config)) - set(known.values())  # layers to which the module gives other names
    return known | {key: ours for key, ours in by_type.items() if ours in missing and key not in known}


def layers_by_type(calls: list[Call], config: NetworkConfig) -> dict[str, str]:
    """The layers that can be recognised by what they are.

    Each kind must run once in every block, in order, or the kind is left out (see `kind_of`). What goes into the activations is
    the convolution's output; where there are none, the layers that hold the filters are taken to return it.
    """
    found = by_kind(calls, config)
    layers = {key: kind for kind in ("encoder", "decoder") for key in found[kind]}
    if config.kind == "classifier":
        layers |= {key + INPUT: "pool" for key in found["decoder"]}
    found["input"] = [key + INPUT for key in found["conv"]]
    if found["gelu"]:
        found["conv"] = [key + INPUT for key in found["gelu"]]
    for kind in ("gelu", "glu", "norm", "mix", "mix2", "conv", "input"):
        if len(found[kind]) == config.n_layers:
            layers |= {key: f"blocks.{i}.{kind}" for i, key in enumerate(found[kind])}
    return layers


def by_kind(calls: list[Call], config: NetworkConfig) -> dict[str, list[str]]:
    """The keys of the layers of each kind, in the order in which they run; one encoder and one decoder at most.

    The encoder is the first linear map of its size, the decoder is the last of its size.
    """
    D = config.d_model
    first = (config.d_input, D) if config.encoder == "embedding" else (D, config.d_input)
    encoder = next((call for call in calls if size_of_map(call.layer) == first), None)
    last = (call for call in reversed(calls) if size_of_map(call.layer) == (config.d_output, D) and call is not encoder)
    decoder = next(last, None)
    found: dict[str, list[str]] = defaultdict(list)
    for call in calls:
        kind = "encoder" if call is encoder else "decoder" if call is decoder else kind_of(call.layer, config)
        found[kind].append(call.key)
    return found


def kind_of(layer: Module, config: NetworkConfig) -> str:
    """The kind of a layer in a block, by its type, by the size of a linear map, or by parameters that are filters; or ""."""
    nn, D, K = import_torch(PURPOSE).nn, config.d_model, config.kernel_size
    types = {
        "gelu": (nn.GELU, nn.ReLU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Mish),
        "glu": nn.GLU,
        "norm": tuple(getattr(nn, norm.torch) for norm in NORMS.values()),
    }
    for kind, classes in types.items():
        if isinstance(layer, classes):
            return kind
    filters = [p for p in layer.parameters(recurse=False) if tuple(p.shape) in ((D, K), (D, 1, K))]
    if len(filters) >= 2:
        return "conv"
    maps = {(2 * D, D): "mix"} | ({(D, D): "mix2"} if config.kind == "autoregressive" else {})
    return maps.get(size_of_map(layer), "")


def size_of_map(layer: Module) -> tuple[int, ...]:
    """The first two sizes of a linear map's weight, () for another layer."""
    nn = import_torch(PURPOSE).nn
    return tuple(layer.weight.shape[:2]) if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Embedding)) else ()


def count_blocks(calls: list[Call], config: NetworkConfig) -> int | None:
    """How many blocks a module has, where its norms and its maps D -> 2 D agree on it; otherwise None."""
    found = by_kind(calls, config)
    norms, maps = len(found["norm"]), len(found["mix"])
    return norms if norms == maps > 0 else None


def check_layers(layers: dict[str, str], module: Module, ours: list[str]) -> None:
    """Raise a ValueError that names the layers of a mapping which one of the two sides does not have."""
    names = {name for name, _ in module.named_modules()}
    unknown = [key for key in layers if layer_name(key) not in names]
    if unknown:
        raise ValueError(f"layers names {unknown}, which the module does not have; it has {sorted(names - {''})[:40]}")
    foreign = sorted(set(layers.values()) - set(ours))
    if foreign:
        raise ValueError(f"layers maps to {foreign}, which are no layers of ours; ours are {ours}")


class Link(NamedTuple):
    """Our parameter, the module's that holds it, and how to take ours out of an array laid out as theirs."""

    ours: str
    theirs: str
    take: Take


def link_parameters(held: dict[str, np.ndarray], layers: dict[str, str], model: Model) -> dict[str, Link]:
    """The links that are found, by our names. `held` are the module's parameters by its names.

    A parameter that neither the authors' names nor a recognised layer gives is looked for by its numbers.
    """
    ours = flatten(model.params)
    links = by_layers(held, layers, ours) | by_names(held, ours, model.config)
    used = {link.theirs for link in links.values()}
    for name in (name for name in ours if name not in links):
        link = by_numbers(held, used, name, ours[name])
        if link is not None:
            links[name] = link
            if ".w" not in name:  # a packed array holds both w and w_skip
                used.add(link.theirs)
    return {name: links[name] for name in ours if name in links}


def by_names(held: dict[str, np.ndarray], ours: dict[str, np.ndarray], config: NetworkConfig) -> dict[str, Link]:
    """By the authors' names, after any prefix; the layout of the arrays is that of `authors.convert`."""
    prefix = prefix_of([name.rpartition(".")[0] for name in held])
    if prefix is None or not config.tied:
        return {}
    links = [
        Link(name, prefix + name_of(name, HEADS[config.kind]), partial(taken, ours=name, shape=array.shape))
        for name, array in ours.items()
    ]
    return {link.ours: link for link in links if fits(link, held, ours[link.ours].shape)}


def by_layers(held: dict[str, np.ndarray], layers: dict[str, str], ours: dict[str, np.ndarray]) -> dict[str, Link]:
    """Weights and biases of the linear maps and norms that are recognised."""
    links = {}
    for key, layer in layers.items():
        leaves = [] if key.endswith(INPUT) else [n for n in ours if n.rpartition(".")[0] == layer and ".conv" not in n]
        for name in leaves:
            leaf = name.rpartition(".")[2]
            theirs = f"{layer_name(key)}.{'weight' if leaf == 'table' else leaf}"
            link = Link(name, theirs, layouts(ours[name].shape)[0])
            if fits(link, held, ours[name].shape):
                links[name] = link
    return links


def by_numbers(held: dict[str, np.ndarray], used: set[str], name: str, numbers: np.ndarray) -> Link | None:
    """The first parameter that holds our numbers in one of the usual layouts.

    None for arrays whose elements are all equal, as those of fresh biases are: many parameters may hold the same.
    """
    if numbers.size < 2 or np.all(numbers == numbers.flat[0]):
        return None
    for theirs, array in held.items():
        for take in layouts(numbers.shape) if theirs not in used else ():
            link = Link(name, theirs, take)
            if fits(link, held, numbers.shape) and np.array_equal(take(array), numbers.astype(array.dtype)):
                return link
    return None


def layouts(shape: tuple[int, ...]) -> list[Take]:
    """The ways in which an array of ours may be stored: as it is, taps reversed, transposed, or with w and w_skip packed."""
    return [
        lambda a: a.reshape(shape),
        lambda a: a.reshape(shape)[..., ::-1],
        lambda a: a.reshape(shape[::-1]).T,
        lambda a: a[:, :-1].reshape(shape),
        lambda a: a[:, -1].reshape(shape),
        lambda a: a[:, 1:].reshape(shape),
        lambda a: a[:, 0].reshape(shape),
    ]


def fits(link: Link, held: dict[str, np.ndarray], shape: tuple[int, ...]) -> bool:
    """Whether the module has this parameter, and an array of our shape can be taken out of it."""
    try:
        return link.theirs in held and link.take(held[link.theirs]).shape == shape
    except (ValueError, IndexError):
        return False


def different_numbers(links: dict[str, Link], held: dict[str, np.ndarray], model: Model) -> list[str]:
    """The module's names of the parameters whose numbers are not the model's."""
    ours = flatten(model.params)
    unlike = [
        link.theirs
        for name, link in links.items()
        if not np.allclose(link.take(held[link.theirs]), ours[name], rtol=1e-6, atol=1e-8)
    ]
    return list(dict.fromkeys(unlike))
