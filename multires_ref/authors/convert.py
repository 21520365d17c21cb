"""The authors' parameter names and ours: plain dictionaries of NumPy arrays, converted both ways, exactly.

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

Nothing here needs PyTorch: `load.py` turns files into such dictionaries and back. What a checkpoint does not say, and how the
rest is derived, is in `derive.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..network import Model, NetworkConfig, parameter_shapes
from ..network.norms import NORMS
from .derive import Derived, check_tensors, derive, head_name
from .keys import without_prefix

Tensors = dict[str, np.ndarray]


def from_authors(tensors: Tensors, **told: Any) -> tuple[NetworkConfig, dict[str, Any], dict[str, Any]]:
    """(config, params, state) from a state dict of the authors' code, as NumPy arrays; dtype kept.

    Parameters
    ----------
    tensors : dict of arrays
        By the authors' names; a common prefix such as ``module.`` is taken off.
    told : depth, max_length, tree_select, dropout, ...
        What a checkpoint does not hold, by the names of `NetworkConfig`: see `derive.derive`.

    Returns
    -------
    config, params, state : as `network.init` lays them out

    Raises
    ------
    ValueError
        Listing at once every missing, unknown and misshapen key; or naming what has to be told.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=8, n_layers=2, max_length=32)
    >>> tensors = to_authors(Model.init(config, np.random.default_rng(0)))
    >>> from_authors(tensors, tree_select="fading")[0] == NetworkConfig(3, 10, 8, 2, max_length=32, depth=5)
    True
    """
    config = config_from(derive(tensors, **told))
    return config, *params_from_authors(tensors, config)


def config_from(items: list[Derived]) -> NetworkConfig:
    """The config of what was derived."""
    return NetworkConfig(**{item.name: item.value for item in items})


def params_from_authors(tensors: Tensors, config: NetworkConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """(params, state) of a network whose config is known; a ValueError lists what does not fit."""
    tensors = without_prefix(tensors)
    check_tensors(tensors, config)
    blocks = [block_from_authors(tensors, config, i) for i in range(config.n_layers)]
    params = {
        "encoder": encoder_from_authors(tensors, config),
        "blocks": blocks,
        "decoder": linear_from_authors(tensors, head_name(tensors, config)),
    }
    return params, {"blocks": [state_from_authors(tensors, config, i) for i in range(config.n_layers)]}


def encoder_from_authors(tensors: Tensors, config: NetworkConfig) -> Tensors:
    """The token table, or the linear map of the input."""
    if config.encoder == "embedding":
        return {"table": own(tensors["encoder.weight"])}
    return linear_from_authors(tensors, "encoder")


def linear_from_authors(tensors: Tensors, name: str) -> Tensors:
    """Weight [E, D] and bias [E], from weight [E, D] or, for a 1x1 convolution, [E, D, 1]."""
    weight = tensors[f"{name}.weight"]
    return {"weight": own(weight.reshape(weight.shape[:2])), "bias": own(tensors[f"{name}.bias"])}


def block_from_authors(tensors: Tensors, config: NetworkConfig, i: int) -> dict[str, Tensors]:
    """Block i: taps turned round, the packed w split, 1x1 kernels as matrices."""
    w = tensors[f"seq_layers.{i}.w"]  # [D, m + 1]
    h0, h1 = (own(tensors[f"seq_layers.{i}.{h}"][:, 0, ::-1]) for h in ("h0", "h1"))  # [D, K]
    block = {
        "conv": {"h0": h0, "h1": h1, "w": own(w[:, :-1]), "w_skip": own(w[:, -1])},
        "mix": linear_from_authors(tensors, f"mixing_layers.{i}.0"),
    }
    if config.kind == "autoregressive":
        block["mix2"] = linear_from_authors(tensors, f"mixing_layers.{i}.3")
    block["norm"] = {name: own(tensors[f"norms.{i}.{name}"]) for name in NORMS[config.norm].parameters}
    return block


def state_from_authors(tensors: Tensors, config: NetworkConfig, i: int) -> Tensors:
    """BatchNorm's running mean, variance and count; nothing for LayerNorm."""
    if not NORMS[config.norm].statistics:
        return {}
    names = {"mean": "running_mean", "var": "running_var", "count": "num_batches_tracked"}
    return {ours: own(tensors[f"norms.{i}.{theirs}"]) for ours, theirs in names.items()}


def to_authors(model: Model) -> Tensors:
    """A state dict of the authors' code: names, shapes, packing and tap order; dtype kept, exact; statistics come last.

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
    return params_to_authors(model.config, model.params) | state_to_authors(model)


def not_in_authors_format(config: NetworkConfig) -> str:
    """Why the authors' code has no such network, in words that name the setting; empty where it has."""
    if not config.tied:
        return "tied must be True: the authors' layer has one pair of filters for all levels, this model one a level"
    if not NORMS[config.norm].in_authors_format:
        theirs = " or ".join(repr(name) for name, norm in NORMS.items() if norm.in_authors_format)
        return f"norm must be {theirs}, the norms that the authors' networks have; this model has {config.norm!r}"
    return ""


def params_to_authors(config: NetworkConfig, params: dict[str, Any]) -> Tensors:
    """What is laid out as parameters are (parameters, gradients, an optimiser's moments), by the authors' names."""
    blocks = params["blocks"]
    out = encoder_to_authors(config, params["encoder"])
    for i, block in enumerate(blocks):
        conv = block["conv"]
        out |= {f"seq_layers.{i}.{h}": own(conv[h][:, None, ::-1]) for h in ("h0", "h1")}  # [D, 1, K]
        out[f"seq_layers.{i}.w"] = np.concatenate((conv["w"], conv["w_skip"][:, None]), axis=1)  # [D, m + 1]
    for i, block in enumerate(blocks):
        for name, place in (("mix", 0), ("mix2", 3)):
            if name in block:
                out[f"mixing_layers.{i}.{place}.weight"] = own(block[name]["weight"][:, :, None])
                out[f"mixing_layers.{i}.{place}.bias"] = own(block[name]["bias"])
    for i, block in enumerate(blocks):
        out |= {f"norms.{i}.{name}": own(array) for name, array in block["norm"].items()}
    return out | decoder_to_authors(config, params["decoder"])


def encoder_to_authors(config: NetworkConfig, encoder: Tensors) -> Tensors:
    if config.encoder == "embedding":
        return {"encoder.weight": own(encoder["table"])}
    return {"encoder.weight": own(encoder["weight"][:, :, None]), "encoder.bias": own(encoder["bias"])}


def decoder_to_authors(config: NetworkConfig, decoder: Tensors) -> Tensors:
    if config.kind == "autoregressive":
        return {"decoder.weight": own(decoder["weight"][:, :, None]), "decoder.bias": own(decoder["bias"])}
    return {"output_mapping.weight": own(decoder["weight"]), "output_mapping.bias": own(decoder["bias"])}


def state_to_authors(model: Model) -> Tensors:
    """BatchNorm's statistics by the authors' (PyTorch's) names."""
    out = {}
    for i, state in enumerate(model.state["blocks"]):
        if state:
            out[f"norms.{i}.running_mean"] = own(state["mean"])
            out[f"norms.{i}.running_var"] = own(state["var"])
            out[f"norms.{i}.num_batches_tracked"] = np.array(state["count"], dtype=np.int64)
    return out


def authors_name(ours: str, config: NetworkConfig) -> str:
    """The authors' key that holds our parameter `ours` (a path such as "blocks.0.conv.w_skip").

    Examples
    --------
    >>> authors_name("blocks.1.conv.w_skip", NetworkConfig(3, 10, 8, 2))
    'seq_layers.1.w'
    """
    if ours not in parameter_shapes(config):
        raise ValueError(f"ours must be the path of a parameter; got {ours!r}")
    head = "decoder" if config.kind == "autoregressive" else "output_mapping"
    group, *rest = ours.split(".")
    if group != "blocks":
        return f"{head if group == 'decoder' else group}.{'weight' if rest[0] == 'table' else rest[0]}"
    i, part, leaf = rest
    if part == "conv":
        return f"seq_layers.{i}.{'w' if leaf == 'w_skip' else leaf}"
    return {"mix": f"mixing_layers.{i}.0", "mix2": f"mixing_layers.{i}.3", "norm": f"norms.{i}"}[part] + f".{leaf}"


def own(array: Any) -> np.ndarray:
    """A contiguous copy in C order: safetensors silently corrupts anything else, and a view would tie two models together."""
    return np.array(array, order="C", copy=True)
