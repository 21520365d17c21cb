"""Our network with the usual mistakes built in, one switch each: what `compare` holds a departing layer against.

Every switch off, this is `network.apply` (a test says so). It is written out apart from it, so that the network itself knows
nothing of mistakes. The mistakes of the convolution are in `quirks_conv.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..network import Model, NetworkConfig
from ..network.model import encode
from ..network.norms import MOMENTUM, NORMS
from ..ops.conv1x1 import conv1x1
from ..ops.dilated_conv import delay
from ..ops.gelu import gelu
from ..ops.glu import glu
from ..ops.layer_norm import EPS
from ..ops.linear import linear
from ..ops.masked_mean import masked_mean


@dataclass(frozen=True)
class Quirks:
    """How a network is put together; the defaults are right."""

    tree: tuple[str, int] | None = None  # tree_select and depth, where they are not the config's
    depth: str = "J"  # or "one less", "one more"
    taps: str = "lag order"  # or "reversed", "h0 reversed", "h1 reversed"
    filters: str = "h0 low"  # or "swapped": h1 carries the tree on
    shared: str = "no"  # or "h0", "both": the filter of channel 0 serves all channels
    skip: str = "last"  # of the packed weights; or "first", "missing", "one"
    padding: str = "left"  # or "right", "symmetric", "circular", "circular, symmetric"
    weights: str = "coarse to fine"  # or "fine to coarse", "reversed" (a_J last), "a_J last" (details coarse to fine)
    readout: str = "newest first"  # of the taps of a level, uniform tree; or "oldest first"
    dilations: str = "fine first"  # or "coarse first", "from 2", "powers of K", "linear", "none"
    gelu: str = "erf"  # or "tanh", "relu", "silu"
    glu: str = "second half gates"  # or "first half gates", "interleaved"
    mix2: str = "there"  # the second 1x1 convolution of autoregressive blocks; or "missing"
    residual: str = "there"  # or "missing"
    norm: str = "post"  # or "pre"
    eps: float = EPS
    variance: str = "biased"  # in the norm; or "unbiased"
    running: str = "unbiased"  # the variance entered into BatchNorm's running one; or "biased"
    statistics: str = "running"  # of BatchNorm in evaluation; or "batch"
    shift: str = "by one"  # of the autoregressive input; or "none"
    pooling: str = "mean"  # or "max", "last", "sum"
    lengths: str = "used"  # by the pooling; or "ignored"


RIGHT = Quirks()


def apply_with_quirks(
    model: Model, x: Any, lengths: Any, quirks: Quirks, blocks: Container[int] | None = None, training: bool = False
) -> dict[str, np.ndarray]:
    """Every layer's output by hook name, `quirks` being in the given blocks (None: in all); in training mode also the
    running statistics, as "blocks.i.norm.running_mean" and "... running_var". "blocks.i.input" is what goes into block i.

    Examples
    --------
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> x = np.random.default_rng(1).standard_normal((2, 3, 32)).astype(np.float32)
    >>> bool(np.allclose(apply_with_quirks(model, x, None, Quirks())["decoder"], model(x), atol=1e-6))
    True
    """
    inside = [quirks if blocks is None or i in blocks else RIGHT for i in range(model.config.n_layers)]
    values = dict(steps(model, x, lengths, inside, quirks, training))
    return dict(sorted(values.items(), key=lambda item: ("running" in item[0], item[0] == "decoder")))


def steps(
    model: Model, x: Any, lengths: Any, inside: Sequence[Quirks], outside: Quirks, training: bool,
    start: int = 0, begin: Any = None, few: tuple[int, slice] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:  # fmt: skip
    """The layers' names and outputs one after the other, computed as far as they are asked for.

    Parameters
    ----------
    inside, outside : the quirks of each block, and those of what stands around the blocks
    start, begin : the first block to run, and what goes into it (None: all blocks, from x)
    few : (block, channels): in that block the convolution is computed of these channels alone, and nothing follows it
    """
    config, params = model.config, model.params
    if begin is None:
        if config.kind == "autoregressive" and outside.shift == "by one":
            x = delay(x, 1)
        begin = encode(config, params["encoder"], x)
        yield "encoder", begin
    x = begin
    for i in range(start, config.n_layers):
        channels = few[1] if few and few[0] == i else None
        for name, value in block_steps(config, params["blocks"][i], model.state["blocks"][i], x, inside[i], training, channels):
            if name == "out":
                x = value
            else:
                yield f"blocks.{i}.{name}", value
    if config.kind == "classifier":
        x = pool_with_quirks(x, lengths, outside)
        yield "pool", x
        yield "decoder", linear(x, params["decoder"]["weight"], params["decoder"]["bias"])
    else:
        yield "decoder", conv1x1(x, params["decoder"]["weight"], params["decoder"]["bias"])


def block_steps(
    config: NetworkConfig, params: Any, state: Any, x: Any, q: Quirks, training: bool, channels: slice | None
) -> Iterator[tuple[str, np.ndarray]]:
    """What a block makes of x [B, D, L]: its layers by name, and "out", which goes into the next block."""
    from .quirks_conv import conv_with_quirks

    inner = x
    if q.norm == "pre":
        normed = norm_with_quirks(config, params["norm"], state, x, q, training)
        inner = normed["norm"]
        yield from normed.items()
    yield "input", inner
    v = conv_with_quirks(config, params["conv"], inner, q, channels)
    yield "conv", v
    v = ACTIVATIONS[q.gelu](v)
    yield "gelu", v
    u = conv1x1(v, params["mix"]["weight"], params["mix"]["bias"])
    yield "mix", u
    r = glu(gates_with_quirks(u, q))
    yield "glu", r
    if "mix2" in params:
        r = conv1x1(r, params["mix2"]["weight"], params["mix2"]["bias"]) if q.mix2 == "there" else r
        yield "mix2", r
    s = x + r if q.residual == "there" else r
    if q.norm == "post":
        normed = norm_with_quirks(config, params["norm"], state, s, q, training)
        s = normed["norm"]
        yield from normed.items()
    yield "out", s


def tanh_gelu(x: Any) -> Any:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return 0.5 * x * (1.0 + np.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "erf": gelu,
    "tanh": tanh_gelu,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: 0.5 * x * (1 + np.tanh(0.5 * x)),  # x sigmoid(x)
}


def gates_with_quirks(u: Any, q: Quirks) -> Any:
    """u [B, 2 D, L] with its channels in the order in which GLU takes values, then gates."""
    D = u.shape[1] // 2
    if q.glu == "first half gates":
        return np.concatenate((u[:, D:], u[:, :D]), axis=1)
    return np.concatenate((u[:, ::2], u[:, 1::2]), axis=1) if q.glu == "interleaved" else u


def pool_with_quirks(x: Any, lengths: Any, q: Quirks) -> Any:
    """[B, D, L] -> [B, D]: the mean over time, or what was taken for it."""
    B, _, L = x.shape
    lengths = np.full(B, L) if lengths is None or q.lengths == "ignored" else np.asarray(lengths)
    if q.pooling == "last":
        return x[np.arange(B), :, lengths - 1]
    if q.pooling == "max":
        return np.where(np.arange(L) < lengths[:, None, None], x, -np.inf).max(axis=2).astype(x.dtype)
    mean = masked_mean(x, lengths)
    return mean * lengths[:, None].astype(x.dtype) if q.pooling == "sum" else mean


def norm_with_quirks(config: NetworkConfig, params: Any, state: Any, s: Any, q: Quirks, training: bool) -> dict[str, np.ndarray]:
    """The network's norm of s [B, D, L] as "norm", and the running statistics by name."""
    norm = NORMS[config.norm]
    axes = (1,) if norm.per_step else (0, 2)
    mean = s.mean(axis=axes, keepdims=True) * norm.centred
    var = np.square(s - mean).mean(axis=axes, keepdims=True)
    count = s.size // mean.size
    unbiased = var * (count / max(count - 1, 1))
    shown = {}
    if norm.statistics and training:
        entered = unbiased if q.running == "unbiased" else var
        shown["norm.running_mean"] = (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean[0, :, 0]
        shown["norm.running_var"] = (1 - MOMENTUM) * state["var"] + MOMENTUM * entered[0, :, 0]
    if norm.statistics and not training and q.statistics == "running":
        mean, var = state["mean"][:, None], state["var"][:, None]
    elif q.variance == "unbiased":
        var = unbiased
    out = params["weight"][:, None] * (s - mean) / np.sqrt(var + q.eps)
    if "bias" in params:
        out = out + params["bias"][:, None]
    return {"norm": out} | shown
