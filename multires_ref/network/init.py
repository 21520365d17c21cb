"""Fresh parameters and norm state for a config.

params = {"encoder": {"weight" [D, d_input], "bias" [D]}             or {"table" [n_tokens, D]},
          "blocks": [{"conv": {"h0", "h1" [D, K] (untied [J, D, K]), "w" [D, m], "w_skip" [D]},
                      "mix":  {"weight" [2 D, D], "bias" [2 D]},
                      "mix2": {"weight" [D, D], "bias" [D]},          autoregressive only
                      "norm": {"weight" [D], "bias" [D]}}, ...],      as `norms.py` says: no bias for RMSNorm
          "decoder": {"weight" [d_output, D], "bias" [d_output]}}
state  = {"blocks": [{"mean" [D], "var" [D], "count" []}, ...]}        BatchNorm's running statistics; {} for the other norms

`entries` is the one table of these parameters: the shape of each, and how it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from ..base.checks import memory_bytes
from ..base.names import spelled
from ..base.pytrees import Params, unflatten
from ..filters import filter_bound, wavelet_filters
from .config import NetworkConfig
from .norms import NORMS

BYTES_PER_LAYER = 4096  # at least, of Python's own objects: names, shapes and arrays

Shape = tuple[int, ...]
Start = Callable[[np.random.Generator, Shape, str], np.ndarray]  # (rng, shape, dtype) -> a fresh array


class Entry(NamedTuple):
    """One parameter: its shape, and how it starts."""

    shape: Shape
    start: Start


Entries = dict[str, Entry]  # by path, such as "conv.h0"; in the order in which they are drawn


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
    return unflatten({path: entry.start(rng, entry.shape, dtype) for path, entry in all_entries(config).items()})


def entries(config: NetworkConfig) -> tuple[Entries, Entries, Entries]:
    """The parameters of the encoder, of one block (without its number), and of the decoder."""
    D = config.d_model
    encoder = linear_entries("encoder", config.d_input, D)
    if config.encoder == "embedding":
        encoder = {"encoder.table": Entry((config.d_input, D), normal)}
    block = conv_entries(config) | linear_entries("mix", D, 2 * D)
    if config.kind == "autoregressive":
        block |= linear_entries("mix2", D, D)
    block |= {f"norm.{name}": Entry((D,), filled(value)) for name, value in NORMS[config.norm].parameters.items()}
    return encoder, block, linear_entries("decoder", D, config.d_output)


def all_entries(config: NetworkConfig) -> Entries:
    """All parameters of a network, whose blocks are numbered: "blocks.0.conv.h0"."""
    encoder, block, decoder = entries(config)
    return encoder | {f"blocks.{i}.{path}": entry for i in range(config.n_layers) for path, entry in block.items()} | decoder


def linear_entries(name: str, fan_in: int, fan_out: int) -> Entries:
    """Weight [out, in] and bias [out] ~ U(-1, 1) / sqrt(fan_in), as PyTorch's Linear and Conv1d start."""
    start = uniform(fan_in**-0.5)
    return {f"{name}.weight": Entry((fan_out, fan_in), start), f"{name}.bias": Entry((fan_out,), start)}


def conv_entries(config: NetworkConfig) -> Entries:
    """h0, h1, w and w_skip: filters at random or a wavelet's; weights ~ U(-1, 1) sqrt(2 / (2 m + 2))."""
    D, K, m = config.d_model, config.kernel_size, config.m
    shape = (D, K) if config.tied else (config.J, D, K)
    bound = (2 / (2 * m + 2)) ** 0.5
    h0, h1 = uniform(filter_bound(K)), uniform(filter_bound(K))
    if config.wavelet is not None:
        h0, h1 = (of_wavelet(config.wavelet, config.filter_order, which) for which in (0, 1))
    return {
        "conv.h0": Entry(shape, h0),
        "conv.h1": Entry(shape, h1),
        "conv.w": Entry((D, m), uniform(bound)),
        "conv.w_skip": Entry((D,), uniform(1.0 if config.indep_res_init else bound)),
    }


def uniform(bound: float) -> Start:
    """U(-bound, bound)."""
    return lambda rng, shape, dtype: rng.uniform(-bound, bound, shape).astype(dtype)


def normal(rng: np.random.Generator, shape: Shape, dtype: str) -> np.ndarray:
    """N(0, 1), as PyTorch's Embedding starts."""
    return rng.standard_normal(shape).astype(dtype)


def filled(value: float) -> Start:
    """The same number everywhere."""
    return lambda rng, shape, dtype: np.full(shape, value, dtype)


def of_wavelet(name: str, order: str, which: int) -> Start:
    """The low-pass (0) or high-pass (1) filter of a wavelet, for every channel and level."""
    return lambda rng, shape, dtype: np.full(shape, wavelet_filters(name, order, dtype)[which], dtype)


def init_state(config: NetworkConfig, dtype: str = "float32") -> Params:
    """The norms' running statistics, block by block: BatchNorm's mean 0, variance 1 and count of batches; nothing for others."""
    check_size(config, np.dtype(dtype).itemsize)
    norm = NORMS[config.norm]
    return {"blocks": [norm.init_state(config.d_model, dtype) for _ in range(config.n_layers)]}


def state_shapes(config: NetworkConfig) -> dict[str, Shape]:
    """The shape of every array of `init_state` by its path, such as "blocks.0.mean", without making one.

    Examples
    --------
    >>> state_shapes(NetworkConfig(1, 10, d_model=8, n_layers=1, norm="batch"))
    {'blocks.0.mean': (8,), 'blocks.0.var': (8,), 'blocks.0.count': ()}
    """
    shapes = NORMS[config.norm].state_shapes(config.d_model)
    return {f"blocks.{i}.{name}": shape for i in range(config.n_layers) for name, shape in shapes.items()}


def parameter_shapes(config: NetworkConfig) -> dict[str, Shape]:
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
    return {path: entry.shape for path, entry in all_entries(config).items()}


def count_parameters(config: NetworkConfig) -> int:
    """How many elements the parameters hold together; counted without making a list of all blocks.

    Examples
    --------
    >>> count_parameters(NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024))
    1365514
    """
    encoder, block, decoder = (sum(prod(entry.shape) for entry in part.values()) for part in entries(config))
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
