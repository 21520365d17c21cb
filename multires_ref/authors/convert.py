"""The authors' parameters and ours: names, shapes and order, converted both ways exactly, as dictionaries of NumPy arrays.

    authors (thjashin/multires-conv, commit 828089f)      ours
    encoder.weight [D, d_input, 1], encoder.bias [D]      encoder.weight [D, d_input], encoder.bias
    encoder.weight [n_tokens, D] (embedding)              encoder.table
    seq_layers.i.h0, .h1 [D, 1, K], newest sample last    blocks.i.conv.h0, .h1 [D, K], newest sample first
    seq_layers.i.w [D, m + 1], the skip weight last       blocks.i.conv.w [D, m] and .w_skip [D]
    mixing_layers.i.0.weight [2 D, D, 1], .bias           blocks.i.mix.weight [2 D, D], .bias
    mixing_layers.i.3.weight [D, D, 1], .bias             blocks.i.mix2 (autoregressive only)
    norms.i.weight, .bias                                 blocks.i.norm.weight, .bias
    norms.i.running_mean, .running_var, .num_batches_tracked    state: mean, var, count (BatchNorm only)
    output_mapping.weight [d_output, D], .bias            decoder.weight, .bias (classifier)
    decoder.weight [d_output, D, 1], .bias                decoder.weight, .bias (autoregressive)

Our own shapes are those of `network.init`; theirs follow from them. Nothing here needs PyTorch: `load.py` turns files into such
dictionaries and back, and `derive.py` finds the settings of the network whose tensors they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from ..base.checks import FLOATS
from ..base.pytrees import flatten, unflatten
from ..network import Model, NetworkConfig, parameter_shapes
from ..network.init import Params, state_shapes
from ..network.norms import NORMS

Tensors = dict[str, np.ndarray]
Value = TypeVar("Value")

# What wrapping a module puts into the names: DataParallel and DistributedDataParallel, torch.compile, and two more of PyTorch's.
WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
IN_A_LAYER = re.compile(r"(?P<prefix>.*?)seq_layers\.[0-9]+\.(h0|h1|w)", re.DOTALL)

ORDER = ("encoder", "seq_layers", "mixing_layers", "norms", "decoder", "output_mapping")  # of the authors' state dict
# The last linear map, by the kind of network. A tagger's is ours: the authors' code has none
HEADS = {"classifier": "output_mapping", "tagger": "decoder", "autoregressive": "decoder"}
PARTS = {"conv": "seq_layers.{}", "mix": "mixing_layers.{}.0", "mix2": "mixing_layers.{}.3", "norm": "norms.{}"}
FILTERS = ("h0", "h1")
UNTIED = "tied must be True: the authors' layer has one pair of filters for all levels, this model one for each level"
STATISTICS = {"mean": "running_mean", "var": "running_var", "count": "num_batches_tracked"}


def without_prefix(tensors: dict[str, Value]) -> dict[str, Value]:
    """The same tensors under the network's own names; names that do not carry its prefix stay as they are.

    The prefix may be "model.", "net.", ...: a Lightning module, or any module that holds the network in an attribute.

    Raises
    ------
    ValueError
        If the tensors hold more than one network, such as a second one with averaged weights.

    Examples
    --------
    >>> list(without_prefix({"model._orig_mod.seq_layers.0.h0": 1, "model._orig_mod.encoder.bias": 2, "loss.weight": 3}))
    ['seq_layers.0.h0', 'encoder.bias', 'loss.weight']
    """
    named = {without_wrappers(str(name)): value for name, value in tensors.items()}
    if len(named) < len(tensors):
        raise ValueError("the checkpoint holds two tensors of one name, once with and once without 'module.' or '_orig_mod.'")
    prefixes = sorted({match["prefix"] for match in map(IN_A_LAYER.fullmatch, named) if match})
    if len(prefixes) > 1:
        shown = ", ".join(map(repr, prefixes[:6]))
        raise ValueError(f"the checkpoint holds {len(prefixes)} networks, under the names {shown}: keep the tensors of one")
    prefix = prefixes[0] if prefixes else ""
    return {name.removeprefix(prefix): value for name, value in named.items()}


def without_wrappers(name: str) -> str:
    """A name without the words that wrapping a module, or one of its layers, puts into it."""
    for word in WRAPPERS:
        name = re.sub(rf"(^|\.){re.escape(word)}", r"\1", name)
    return name


def find_head(tensors: Tensors, kind: str) -> str:
    """The name of the last linear map, "output_mapping" or "decoder": the one that is there, else what the authors call it."""
    usual = HEADS[kind]
    other = next(head for head in HEADS.values() if head != usual)
    return other if f"{other}.weight" in tensors and f"{usual}.weight" not in tensors else usual


def authors_name(ours: str, config: NetworkConfig) -> str:
    """The authors' name of the array that holds our parameter `ours` (a path such as "blocks.0.conv.w_skip").

    Examples
    --------
    >>> authors_name("blocks.1.conv.w_skip", NetworkConfig(3, 10, 8, 2))
    'seq_layers.1.w'
    """
    if ours not in parameter_shapes(config):
        raise ValueError(f"ours must be the path of a parameter; got {ours!r}")
    return name_of(ours, HEADS[config.kind])


def name_of(ours: str, head: str) -> str:
    """`authors_name` of a path that is known to exist, in a network whose last linear map is called `head`."""
    group, *rest = ours.split(".")
    leaf = {"table": "weight", "w_skip": "w"}.get(rest[-1], rest[-1])
    if group == "blocks":
        return f"{PARTS[rest[1]].format(rest[0])}.{leaf}"
    return f"{head if group == 'decoder' else group}.{leaf}"


def is_1x1(ours: str, config: NetworkConfig) -> bool:
    """Whether the authors keep this weight as the kernel of a 1x1 convolution, with one more axis of size 1."""
    maps = ("mix", "mix2", "encoder", *(["decoder"] if config.has_output_at_every_step else []))
    return ours.endswith(".weight") and ours.split(".")[-2] in maps


def authors_shapes(config: NetworkConfig, head: str = "") -> dict[str, tuple[int, ...]]:
    """The name and shape of every array in a checkpoint of this network.

    Examples
    --------
    >>> authors_shapes(NetworkConfig(3, 10, 8, 1, max_length=32))["seq_layers.0.w"]
    (8, 7)
    """
    ours = {name: np.broadcast_to(np.int8(0), shape) for name, shape in parameter_shapes(config).items()}  # takes no memory
    shapes = {name: array.shape for name, array in laid_out(ours, config, head or HEADS[config.kind])}
    return shapes | {statistic_name(name): shape for name, shape in state_shapes(config).items()}


def laid_out(ours: Tensors, config: NetworkConfig, head: str) -> Iterator[tuple[str, np.ndarray]]:
    """The authors' names and arrays, made from our parameters by their paths; views where that is possible."""
    for name, array in ours.items():
        leaf = name.rpartition(".")[2]
        if leaf in FILTERS:
            array = array[:, None, ::-1]  # [D, 1, K]
        elif leaf == "w":
            array = np.concatenate((array, ours[f"{name}_skip"][:, None]), axis=1)  # [D, m + 1]
        elif is_1x1(name, config):
            array = array[:, :, None]
        if leaf != "w_skip":  # the last column of w
            yield name_of(name, head), array


def statistic_name(ours: str) -> str:
    """The authors' (PyTorch's) name of a running statistic: "blocks.1.mean" is theirs at "norms.1.running_mean"."""
    _, i, leaf = ours.split(".")
    return f"norms.{i}.{STATISTICS[leaf]}"


def not_in_authors_format(config: NetworkConfig) -> str:
    """Why the authors' code has no such network, in words that name the setting; empty where it has."""
    if config.kind == "tagger":
        return "kind must be 'classifier' or 'autoregressive', the networks that the authors' code has; this model is a 'tagger'"
    if not config.tied:
        return UNTIED
    if not NORMS[config.norm].in_authors_format:
        theirs = " or ".join(repr(name) for name, norm in NORMS.items() if norm.in_authors_format)
        return f"norm must be {theirs}, the norms that the authors' networks have; this model has {config.norm!r}"
    return ""


def check_tied(config: NetworkConfig) -> None:
    """Raise a ValueError for filters untied across levels, for which the authors' arrays have no place."""
    if not config.tied:
        raise ValueError(UNTIED)


def check_tensors(tensors: Tensors, config: NetworkConfig) -> None:
    """Raise one ValueError that lists every missing, unknown and misshapen array, and every wrong dtype."""
    if config.n_layers > len(tensors):  # before anything is built for each of them
        raise ValueError(f"the settings say n_layers = {config.n_layers:,}; the checkpoint holds {len(tensors)} tensors")
    shapes = authors_shapes(config, find_head(tensors, config.kind))
    problems = [f"missing: {name} {list(shape)}" for name, shape in shapes.items() if name not in tensors]
    problems += [f"unknown: {name} {list(tensors[name].shape)}" for name in tensors if name not in shapes]
    known = {name: tensors[name] for name in shapes if name in tensors}
    problems += [
        f"misshapen: {name} is {list(array.shape)}, expected {list(shapes[name])}"
        for name, array in known.items()
        if tuple(array.shape) != shapes[name]
    ]
    problems += wrong_dtypes(known)
    if problems:
        raise ValueError(f"the checkpoint does not fit a {config.kind} of {config.n_layers} layers:\n  " + "\n  ".join(problems))


def wrong_dtypes(tensors: Tensors) -> list[str]:
    """A line for every count that is no whole number, and for every other array that has not the dtype of most."""
    counts = {name for name in tensors if name.endswith(STATISTICS["count"])}
    kinds = Counter(str(array.dtype) for name, array in tensors.items() if name not in counts)
    common = next((kind for kind, _ in kinds.most_common() if kind in FLOATS), FLOATS[0])
    return [
        f"dtype: {name} is {array.dtype}, expected {'int64' if name in counts else common}"
        for name, array in tensors.items()
        if (array.dtype.kind not in "iu" if name in counts else str(array.dtype) != common)
    ]


def params_from_authors(tensors: Tensors, config: NetworkConfig) -> tuple[Params, Params]:
    """(params, state) of a network whose config is known; a ValueError lists what does not fit."""
    check_tied(config)
    tensors = without_prefix(tensors)
    check_tensors(tensors, config)
    head = find_head(tensors, config.kind)
    params = {ours: own(taken(tensors[name_of(ours, head)], ours, shape)) for ours, shape in parameter_shapes(config).items()}
    state: Params = {"blocks": [{} for _ in range(config.n_layers)]}
    for ours in state_shapes(config):
        _, i, leaf = ours.split(".")
        state["blocks"][int(i)][leaf] = own(tensors[statistic_name(ours)])
    return unflatten(params), state


def taken(theirs: np.ndarray, ours: str, shape: tuple[int, ...]) -> np.ndarray:
    """Our parameter `ours`, of this shape, out of the authors' array that holds it; a view where that is possible."""
    leaf = ours.rpartition(".")[2]
    if leaf in ("w", "w_skip"):
        return theirs[:, :-1] if leaf == "w" else theirs[:, -1]
    array = theirs.reshape(shape)
    return array[..., ::-1] if leaf in FILTERS else array


def to_authors(model: Model) -> Tensors:
    """A state dict of the authors' code: their names, shapes and order of taps; dtype kept, exact; statistics come last.

    Raises
    ------
    ValueError
        For a network that their code does not have: see `not_in_authors_format`.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=8, n_layers=1, max_length=32)
    >>> for name, array in to_authors(Model.init(config, np.random.default_rng(0))).items():
    ...     print(name, array.shape)
    encoder.weight (8, 3, 1)
    encoder.bias (8,)
    seq_layers.0.h0 (8, 1, 2)
    seq_layers.0.h1 (8, 1, 2)
    seq_layers.0.w (8, 7)
    mixing_layers.0.0.weight (16, 8, 1)
    mixing_layers.0.0.bias (16,)
    norms.0.weight (8,)
    norms.0.bias (8,)
    output_mapping.weight (10, 8)
    output_mapping.bias (10,)
    """
    if reason := not_in_authors_format(model.config):
        raise ValueError(f"{reason}. save_model(model, 'x.safetensors') keeps it, in this package's own format")
    return params_to_authors(model.config, model.params) | state_to_authors(model.state)


def params_to_authors(config: NetworkConfig, params: Params) -> Tensors:
    """Arrays laid out as parameters are (parameters, gradients, an optimiser's moments), by the authors' names."""
    check_tied(config)
    tensors = {name: own(array) for name, array in laid_out(flatten(params), config, HEADS[config.kind])}
    return dict(sorted(tensors.items(), key=lambda item: ORDER.index(item[0].partition(".")[0])))


def state_to_authors(state: Params) -> Tensors:
    """BatchNorm's running statistics by the authors' (PyTorch's) names."""
    tensors = {statistic_name(ours): own(array) for ours, array in flatten(state).items()}
    return {name: a.astype(np.int64) if name.endswith(STATISTICS["count"]) else a for name, a in tensors.items()}


def own(array: np.ndarray) -> np.ndarray:
    """A contiguous copy in C order: safetensors silently corrupts anything else, and a view would tie two models together."""
    return np.array(array, order="C", copy=True)
