"""Our network with the usual mistakes built in, one switch for each: what `compare` holds a layer that differs against.

With every switch at its default this computes what `network.apply` computes (a test checks it). It is written apart from the
network, so that the network itself knows nothing of mistakes. `usual_mistakes.py` lists them, and what is right instead.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engines.readout import level_slices
from ..network import Model, NetworkConfig
from ..network.block import OVER_TIME, Steps, after_convolution
from ..network.init import Params
from ..network.model import encode
from ..network.norms import MOMENTUM, NORMS
from ..ops.conv1x1 import conv1x1
from ..ops.gelu import gelu
from ..ops.glu import glu
from ..ops.layer_norm import EPS
from ..ops.linear import linear
from ..ops.masked_mean import masked_mean
from ..tree import delay, dilated_conv, kept_per_level, memory_rows

Layers = Iterator[tuple[str, np.ndarray]]  # names and outputs, one after the other


@dataclass(frozen=True)
class Mistakes:
    """How a network is put together; the defaults are right."""

    tree: tuple[str, int] | None = None  # tree_select and depth, where they are not the config's
    depth: str = "J"  # or "one less", "one more"
    taps: str = "lag order"  # or "reversed", "h0 reversed", "h1 reversed"
    filters: str = "h0 low"  # or "swapped": h1 carries the tree on
    shared: str = "no"  # or "h0", "both": the filter of channel 0 serves all channels
    skip: str = "last"  # of the packed weights; or "first", "missing", "one"
    padding: str = "left"  # or "right", "symmetric", "circular", "circular, symmetric"
    weights: str = "coarse to fine"  # or "fine to coarse", "reversed" (a_J last), "a_J last" (details coarse to fine)
    readout: str = "newest first"  # the weights of a level, in a uniform tree; or "oldest first"
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


NONE = Mistakes()


def apply_with_mistakes(
    model: Model,
    x: np.ndarray,
    lengths: np.ndarray | None,
    mistakes: Mistakes,
    blocks: Container[int] | None = None,
    training: bool = False,
) -> dict[str, np.ndarray]:
    """Every layer's output, by the names that hooks are given, with `mistakes` in the given blocks (None: in all).

    "blocks.i.input" is what goes into block i. In training mode the running statistics are there too, as
    "blocks.i.norm.running_mean" and "blocks.i.norm.running_var".

    Examples
    --------
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> x = np.random.default_rng(1).standard_normal((2, 3, 32)).astype(np.float32)
    >>> bool(np.allclose(apply_with_mistakes(model, x, None, Mistakes())["decoder"], model(x), atol=1e-6))
    True
    """
    inside = [mistakes if blocks is None or i in blocks else NONE for i in range(model.config.n_layers)]
    values = dict(layers_with_mistakes(model, x, lengths, inside, mistakes, training))
    return dict(sorted(values.items(), key=lambda item: ("running" in item[0], item[0] == "decoder")))


def layers_with_mistakes(
    model: Model, x: np.ndarray | None, lengths: np.ndarray | None, inside: Sequence[Mistakes], outside: Mistakes, training: bool,
    start: int = 0, begin: np.ndarray | None = None, few: tuple[int, slice] | None = None,
) -> Layers:  # fmt: skip
    """The layers' names and outputs one after the other; a block is computed only when it is asked for.

    Parameters
    ----------
    inside, outside : the mistakes of each block, and those of the encoder, the pooling and the decoder
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
        for name, value in block_with_mistakes(model, i, x, inside[i], training, channels):
            if name == "out":
                x = value
            else:
                yield f"blocks.{i}.{name}", value
    decoder = params["decoder"]
    if config.kind == "classifier":
        x = pool_with_mistakes(x, lengths, outside)
        yield "pool", x
        yield "decoder", linear(x, decoder["weight"], decoder["bias"])
    else:
        yield "decoder", conv1x1(x, decoder["weight"], decoder["bias"])


def block_with_mistakes(model: Model, i: int, x: np.ndarray, m: Mistakes, training: bool, channels: slice | None) -> Layers:
    """The layers of block i, from x [B, D, L]; the last one, "out", is what goes into the next block."""
    params, shown = model.params["blocks"][i], []

    def norm(s: np.ndarray) -> dict[str, np.ndarray]:
        return norm_with_mistakes(model.config, params["norm"], model.state["blocks"][i], s, m, training)

    inner = x
    if m.norm == "pre":
        normed = norm(x)
        inner = normed["norm"]
        yield from normed.items()
    yield "input", inner
    c = conv_with_mistakes(model.config, params["conv"], inner, m, channels)
    yield "conv", c
    used = {name: p for name, p in params.items() if name != "mix2" or m.mix2 == "there"}
    r = after_convolution(used, c, hook=lambda name, array: shown.append((name, array)), steps=steps_with_mistakes(m))
    yield from shown
    if used.keys() != params.keys():
        yield "mix2", r
    s = x + r if m.residual == "there" else r
    if m.norm == "post":
        normed = norm(s)
        s = normed["norm"]
        yield from normed.items()
    yield "out", s


def tanh_gelu(x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return 0.5 * x * (1.0 + np.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "erf": gelu,
    "tanh": tanh_gelu,
    "relu": lambda x, mask=None: np.maximum(x, 0),
    "silu": lambda x, mask=None: 0.5 * x * (1 + np.tanh(0.5 * x)),  # x sigmoid(x)
}


def steps_with_mistakes(m: Mistakes) -> Steps:
    """What a block is made of after its convolution."""
    return OVER_TIME._replace(gelu=ACTIVATIONS[m.gelu], glu=lambda u, mask: glu(gates_with_mistakes(u, m), mask))


def gates_with_mistakes(u: np.ndarray, m: Mistakes) -> np.ndarray:
    """u [B, 2 D, L] with its channels in the order in which GLU takes values, then gates."""
    D = u.shape[1] // 2
    if m.glu == "first half gates":
        return np.concatenate((u[:, D:], u[:, :D]), axis=1)
    return np.concatenate((u[:, ::2], u[:, 1::2]), axis=1) if m.glu == "interleaved" else u


def pool_with_mistakes(x: np.ndarray, lengths: np.ndarray | None, m: Mistakes) -> np.ndarray:
    """[B, D, L] -> [B, D]: the mean over time, or what was taken for it."""
    B, _, L = x.shape
    lengths = np.full(B, L) if lengths is None or m.lengths == "ignored" else np.asarray(lengths)
    if m.pooling == "last":
        return x[np.arange(B), :, lengths - 1]
    if m.pooling == "max":
        return np.where(np.arange(L) < lengths[:, None, None], x, -np.inf).max(axis=2).astype(x.dtype)
    mean = masked_mean(x, lengths)
    return mean * lengths[:, None].astype(x.dtype) if m.pooling == "sum" else mean


def norm_with_mistakes(
    config: NetworkConfig, params: Params, state: Params, s: np.ndarray, m: Mistakes, training: bool
) -> dict[str, np.ndarray]:
    """The network's norm of s [B, D, L] as "norm", and the running statistics by name."""
    norm = NORMS[config.norm]
    axes = (1,) if norm.per_step else (0, 2)
    mean = s.mean(axis=axes, keepdims=True) * norm.centred
    var = np.square(s - mean).mean(axis=axes, keepdims=True)
    count = s.size // mean.size
    unbiased = var * (count / max(count - 1, 1))
    shown = {}
    if norm.statistics and training:
        entered = unbiased if m.running == "unbiased" else var
        shown["norm.running_mean"] = (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean[0, :, 0]
        shown["norm.running_var"] = (1 - MOMENTUM) * state["var"] + MOMENTUM * entered[0, :, 0]
    if norm.statistics and not training and m.statistics == "running":
        mean, var = state["mean"][:, None], state["var"][:, None]
    elif m.variance == "unbiased":
        var = unbiased
    out = params["weight"][:, None] * (s - mean) / np.sqrt(var + m.eps)
    if "bias" in params:
        out = out + params["bias"][:, None]
    return {"norm": out} | shown


def conv_with_mistakes(
    config: NetworkConfig, conv: Params, x: np.ndarray, m: Mistakes, channels: slice | None = None
) -> np.ndarray:
    """The convolution of x [B, D, L], level by level; of some channels alone where `channels` is given."""
    select, J = m.tree or (config.tree_select, config.J)
    kept_counts = kept_per_level(J, config.kernel_size, select, config.m)
    parts = level_slices(kept_counts)
    h0, h1 = filters_with_mistakes(conv, m)
    w, w_skip = weights_with_mistakes(config, conv, m, select, J)
    if channels is not None:
        x, h0, h1, w, w_skip = x[:, channels], h0[..., channels, :], h1[..., channels, :], w[channels], w_skip[channels]
    y, a = w_skip[:, None] * x, x
    for i in range(1, J + {"J": 0, "one less": -1, "one more": 1}[m.depth] + 1):
        dilation = dilation_with_mistakes(i, J, config.kernel_size, m)
        low, high = (h[min(i, J) - 1] if h.ndim == 3 else h for h in (h0, h1))
        if i <= J and kept_counts[i - 1]:
            kept = w[:, parts[i - 1]]
            kept = kept if m.readout == "newest first" else kept[:, ::-1]
            b = padded_conv(a, high, dilation, m.padding)
            y = y + padded_conv(b, kept, 2 * dilation, m.padding, reverse=False)
        a = padded_conv(a, low, dilation, m.padding)
    return y + w[:, :1] * a


def filters_with_mistakes(conv: Params, m: Mistakes) -> tuple[np.ndarray, np.ndarray]:
    """h0 and h1 as a network with these mistakes would read them."""
    h0, h1 = (conv["h1"], conv["h0"]) if m.filters == "swapped" else (conv["h0"], conv["h1"])
    h0 = h0[..., ::-1] if m.taps in ("reversed", "h0 reversed") else h0
    h1 = h1[..., ::-1] if m.taps in ("reversed", "h1 reversed") else h1
    h0 = np.broadcast_to(h0[..., :1, :], h0.shape) if m.shared in ("h0", "both") else h0
    h1 = np.broadcast_to(h1[..., :1, :], h1.shape) if m.shared == "both" else h1
    return h0, h1


def dilation_with_mistakes(i: int, J: int, K: int, m: Mistakes) -> int:
    """The dilation of level i."""
    rules = {"fine first": 2 ** (i - 1), "coarse first": 2 ** max(J - i, 0), "from 2": 2**i}
    return (rules | {"powers of K": K ** (i - 1), "linear": i, "none": 1})[m.dilations]


def weights_with_mistakes(config: NetworkConfig, conv: Params, m: Mistakes, select: str, J: int) -> tuple[np.ndarray, np.ndarray]:
    """w [D, m] and w_skip [D] as a network with these mistakes would read them."""
    w, w_skip = conv["w"], conv["w_skip"]
    if m.skip == "missing":
        w_skip = np.zeros_like(w_skip)
    elif m.skip == "one":
        w_skip = np.ones_like(w_skip)
    elif m.skip == "first":
        w, w_skip = np.concatenate((w[:, 1:], w_skip[:, None]), axis=1), w[:, 0]
    if m.weights == "coarse to fine":
        return w, w_skip
    rows = memory_rows(J, config.kernel_size, select, config.m)
    a_first, finest_first = m.weights == "fine to coarse", m.weights != "a_J last"

    def place(r: int) -> tuple[Any, ...]:
        level = rows[r].level if finest_first else -rows[r].level
        return rows[r].kind == "unused", (rows[r].kind == "a") != a_first, level, r

    theirs = sorted(range(len(rows)), key=place)
    return w[:, np.argsort(theirs)], w_skip  # column p of w is read as the weight of their p-th row


def padded_conv(a: np.ndarray, h: np.ndarray, dilation: int, padding: str, reverse: bool = True) -> np.ndarray:
    """The dilated filter: causal ("left"), or with another padding, its kernel being h reversed where `reverse` is true.

    With p zeros on the left and (K - 1) dilation - p on the right, a correlation gives what the causal filter gives
    (K - 1) dilation - p samples later. "symmetric" is PyTorch's "same", p = (K - 1) dilation // 2; "circular" takes samples
    from the other end of the signal in place of zeros.
    """
    if padding == "left":
        return dilated_conv(a, h, dilation)
    if padding == "right":
        return dilated_conv(a[..., ::-1], h[..., ::-1] if reverse else h, dilation)[..., ::-1]
    total = (h.shape[-1] - 1) * dilation
    ahead = total - total // 2 if "symmetric" in padding else 0
    if padding.startswith("circular"):
        return sum(h[..., k, None] * np.roll(a, k * dilation - ahead, axis=-1) for k in range(h.shape[-1]))
    return sum(h[..., k, None] * moved(a, k * dilation - ahead) for k in range(h.shape[-1]))


def moved(a: np.ndarray, steps: int) -> np.ndarray:
    """a[n - steps], zero outside; steps may be negative."""
    return delay(a, steps) if steps >= 0 else delay(a[..., ::-1], -steps)[..., ::-1]
