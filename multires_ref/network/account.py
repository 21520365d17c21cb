"""What a network costs, counted from its config alone: parameters, receptive field, work and memory.

Work is counted in multiply-adds for one time step of one sequence, forward; backward takes about twice as much. Memory of a
training step is what must be kept between the forward and the backward pass, and what the optimiser holds.
"""

from __future__ import annotations

from math import prod

from ..base.checks import check_int
from ..engines import multiplications
from ..engines.rings import plan_rings
from ..tree import kept_per_level
from .config import NetworkConfig
from .init import parameter_shapes

# How many arrays [B, D, L] a block keeps for the backward pass: x, conv, both halves of mix, GLU (and mix2)
STORED = {"classifier": 5, "tagger": 5, "autoregressive": 6}
PARTS = {
    "encoder": "encoder",
    "conv.h0": "filters h0, h1",
    "conv.h1": "filters h0, h1",
    "conv.w": "memory weights w",
    "conv.w_skip": "skip weights",
    "mix": "1x1 maps",
    "mix2": "1x1 maps",
    "norm": "norms",
    "decoder": "decoder",
}


def parameters_by_part(config: NetworkConfig) -> dict[str, int]:
    """How many parameters each kind of part holds, over all blocks; they add up to the whole.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024)
    >>> parts = parameters_by_part(config)
    >>> parts["filters h0, h1"], parts["1x1 maps"], sum(parts.values())
    (10240, 1315840, 1365514)
    """
    counts: dict[str, int] = {}
    for path, shape in parameter_shapes(config).items():
        name = path.split(".", 2)[2] if path.startswith("blocks.") else path
        part = PARTS.get(name) or PARTS[name.split(".")[0]]
        counts[part] = counts.get(part, 0) + prod(shape)
    return counts


def work_by_part(config: NetworkConfig) -> dict[str, int]:
    """Multiply-adds per time step of one sequence, forward, over all blocks.

    The tree, a channel: J K for the approximations, and sum_i Q_i + 1 for reading out, with Q_i = 2 (T_i - 1) + K taps at a
    level of which the memory keeps T_i details (see `engines/readout.py`).

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024)
    >>> work_by_part(config)
    {'encoder': 768, 'tree': 104960, '1x1 maps': 1310720}
    """
    D, K = config.d_model, config.kernel_size
    kept = kept_per_level(config.J, K, config.tree_select, config.memory_size)
    maps = 2 * D * D + (D * D if config.kind == "autoregressive" else 0)
    work = {
        "encoder": 0 if config.encoder == "embedding" else config.d_input * D,
        "tree": config.n_layers * D * multiplications(config.J, kept, K),
        "1x1 maps": config.n_layers * maps,
    }
    if config.has_output_at_every_step:
        work["decoder"] = D * config.d_output
    return work


def training_memory(config: NetworkConfig, batch_size: int, itemsize: int = 4, compiled: bool = True) -> dict[str, int]:
    """Bytes that one training step must hold: what the backward pass needs, and four numbers a parameter.

    `compiled` says whether the compiled operations are used (extra `fast`, on a CPU). Without them each block also keeps what
    GELU gave, which the compiled channel mixing computes again.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024)
    >>> {part: round(size / 2**20) for part, size in training_memory(config, batch_size=50).items()}  # MiB
    {'stored for the backward pass': 2500, 'parameters, gradients, two moments': 21}
    """
    array = check_int("batch_size", batch_size, 1) * config.d_model * config.max_length * itemsize
    per_block = STORED[config.kind] + (not compiled)
    parameters = sum(prod(shape) for shape in parameter_shapes(config).values())
    return {
        "stored for the backward pass": config.n_layers * per_block * array,
        "parameters, gradients, two moments": 4 * parameters * itemsize,
    }


def streaming_memory(config: NetworkConfig, itemsize: int = 4) -> int:
    """Bytes of past that one stream keeps: (K - 1)(2^J - 1) elements a channel and layer for the fading tree, more for others.

    Examples
    --------
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, max_length=1024)
    >>> streaming_memory(config) == 10 * 256 * 1023 * 4
    True
    """
    kept = kept_per_level(config.J, config.kernel_size, config.tree_select, config.memory_size)
    return config.n_layers * config.d_model * plan_rings(kept, config.kernel_size).size * itemsize
