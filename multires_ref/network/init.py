"""Fresh parameters and norm state for a config.

params = {"encoder": {"weight" [D, d_input], "bias" [D]}             or {"table" [n_tokens, D]},
          "blocks": [{"conv": {"h0", "h1" [D, K] (untied [J, D, K]), "w" [D, m], "w_skip" [D]},
                      "mix":  {"weight" [2 D, D], "bias" [2 D]},
                      "mix2": {"weight" [D, D], "bias" [D]},          autoregressive only
                      "norm": {"weight" [D], "bias" [D]}}, ...],
          "decoder": {"weight" [d_output, D], "bias" [d_output]}}
state  = {"blocks": [{"mean" [D], "var" [D], "count" []}, ...]}        BatchNorm's running statistics; {} for LayerNorm
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..base.memory import memory_bytes
from ..base.names import spelled
from ..filters import wavelet_filters
from .config import NetworkConfig
from .norms import NORMS

Params = dict[str, Any]
BYTES_PER_LAYER = 4096  # at least, of Python's own objects: names, shapes and arrays


def init_params(config: NetworkConfig, rng: np.random.Generator, dtype: str = "float32") -> Params:
    """Parameters drawn as the authors draw them (see `init.py`'s head for the layout).

    Raises
    ------
    ValueError
        If they need more memory than this machine has.

    Examples
    --------
    >>> config = NetworkConfig(d_input=1, d_output=10, d_model=8, n_layers=2, max_length=64)
    >>> params = init_params(config, np.random.default_rng(0))
    >>> params["blocks"][0]["conv"]["w"].shape  # [D, m]: depth 6, so m = 7
    (8, 7)
    """
    check_size(config, np.dtype(dtype).itemsize)
    draw = drawer(rng, dtype)
    D = config.d_model
    if config.encoder == "embedding":
        encoder = {"table": rng.standard_normal((config.d_input, D)).astype(dtype)}
    else:
        encoder = linear_params(draw, config.d_input, D)
    blocks = [block_params(config, draw, dtype) for _ in range(config.n_layers)]
    return {"encoder": encoder, "blocks": blocks, "decoder": linear_params(draw, D, config.d_output)}


Draw = Callable[[float, tuple[int, ...]], np.ndarray]


def drawer(rng: np.random.Generator, dtype: str) -> Draw:
    """A function (bound, shape) -> array ~ U(-bound, bound)."""
    return lambda bound, shape: rng.uniform(-bound, bound, shape).astype(dtype)


def linear_params(draw: Draw, fan_in: int, fan_out: int) -> dict[str, np.ndarray]:
    """Weight [out, in] and bias [out] ~ U(-1, 1) / sqrt(fan_in), as PyTorch's Linear and Conv1d start."""
    bound = fan_in**-0.5
    return {"weight": draw(bound, (fan_out, fan_in)), "bias": draw(bound, (fan_out,))}


def block_params(config: NetworkConfig, draw: Draw, dtype: str) -> dict[str, dict[str, np.ndarray]]:
    """One block: filters, memory weights, 1x1 maps and norm."""
    D = config.d_model
    block = {"conv": conv_params(config, draw, dtype), "mix": linear_params(draw, D, 2 * D)}
    if config.kind == "autoregressive":
        block["mix2"] = linear_params(draw, D, D)
    block["norm"] = NORMS[config.norm].init(D, dtype)
    return block


def conv_params(config: NetworkConfig, draw: Draw, dtype: str) -> dict[str, np.ndarray]:
    """h0, h1, w and w_skip: filters ~ U(-1, 1) sqrt(2 / (2 K)) or a wavelet's; weights ~ U(-1, 1) sqrt(2 / (2 m + 2))."""
    D, K, m = config.d_model, config.kernel_size, config.m
    shape = (D, K) if config.tied else (config.J, D, K)
    if config.wavelet is None:
        h0, h1 = (draw((2 / (2 * K)) ** 0.5, shape) for _ in range(2))
    else:
        pair = wavelet_filters(config.wavelet, config.filter_order, dtype)
        h0, h1 = (np.broadcast_to(h, shape).copy() for h in pair)
    bound = (2 / (2 * m + 2)) ** 0.5
    return {"h0": h0, "h1": h1, "w": draw(bound, (D, m)), "w_skip": draw(1.0 if config.indep_res_init else bound, (D,))}


def init_state(config: NetworkConfig, dtype: str = "float32") -> Params:
    """The norms' running statistics, per block: BatchNorm's mean 0, variance 1 and number of batches seen; none for LayerNorm."""
    check_size(config, np.dtype(dtype).itemsize)
    norm = NORMS[config.norm]
    return {"blocks": [norm.init_state(config.d_model, dtype) for _ in range(config.n_layers)]}


def state_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every array of `init_state` by its path, such as "blocks.0.mean", without making one.

    Examples
    --------
    >>> state_shapes(NetworkConfig(1, 10, d_model=8, n_layers=1, norm="batch"))
    {'blocks.0.mean': (8,), 'blocks.0.var': (8,), 'blocks.0.count': ()}
    """
    shapes = NORMS[config.norm].state_shapes(config.d_model)
    return {f"blocks.{i}.{name}": shape for i in range(config.n_layers) for name, shape in shapes.items()}


def parameter_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter by its path, such as "blocks.0.conv.h0", without drawing one.

    Raises
    ------
    ValueError
        If the parameters need more memory than this machine has.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024)
    >>> sum(int(np.prod(shape)) for shape in parameter_shapes(config).values())  # the paper's sequential CIFAR-10 network
    1365514
    """
    check_size(config, itemsize=4)
    encoder, block, decoder = shapes_by_part(config)
    return encoder | {f"blocks.{i}.{name}": shape for i in range(config.n_layers) for name, shape in block.items()} | decoder


Shapes = dict[str, tuple[int, ...]]


def shapes_by_part(config: NetworkConfig) -> tuple[Shapes, Shapes, Shapes]:
    """The shapes of the encoder's parameters, of those of one block (without its number), and of the decoder's."""
    D, K, m = config.d_model, config.kernel_size, config.m
    filters = (D, K) if config.tied else (config.J, D, K)
    block: Shapes = {"conv.h0": filters, "conv.h1": filters, "conv.w": (D, m), "conv.w_skip": (D,)}
    block |= {"mix.weight": (2 * D, D), "mix.bias": (2 * D,)}
    if config.kind == "autoregressive":
        block |= {"mix2.weight": (D, D), "mix2.bias": (D,)}
    block |= {f"norm.{name}": (D,) for name in NORMS[config.norm].parameters}
    encoder: Shapes = {"encoder.weight": (D, config.d_input), "encoder.bias": (D,)}
    if config.encoder == "embedding":
        encoder = {"encoder.table": (config.d_input, D)}
    return encoder, block, {"decoder.weight": (config.d_output, D), "decoder.bias": (config.d_output,)}


def count_parameters(config: NetworkConfig) -> int:
    """How many numbers the parameters are; counted without making a list of them.

    Examples
    --------
    >>> count_parameters(NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024))
    1365514
    """
    encoder, block, decoder = (sum(map(prod, shapes.values())) for shapes in shapes_by_part(config))
    return encoder + config.n_layers * block + decoder


def check_size(config: NetworkConfig, itemsize: int) -> None:
    """Raise a ValueError that says the size if the parameters need more memory than this machine has."""
    count, memory = count_parameters(config), memory_bytes()
    needed = count * itemsize + config.n_layers * BYTES_PER_LAYER
    if needed > memory:
        names = ("d_model", "n_layers", "d_input", "d_output", "kernel_size", "memory_size")
        largest = max(names, key=lambda name: getattr(config, name) or 0)
        raise ValueError(
            f"this network would have {count:,} parameters and need {needed / 2**30:,.0f} GiB for them; this machine has "
            f"{memory / 2**30:,.1f} GiB of memory. {spelled(largest)} is {getattr(config, largest):,}"
        )
