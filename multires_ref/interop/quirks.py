"""Our network with the usual mistakes built in, one switch each: what `compare` holds a departing layer against.

Every switch off, this is `network.apply` (a test says so). It is written out apart from it, so that the network itself knows
nothing of mistakes.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import autodiff as ad
from ..autodiff.norms import EPS
from ..engines.readout import level_slices
from ..network import Model, NetworkConfig
from ..network.layer import MOMENTUM
from ..network.model import decode, encode
from ..tree import dilated_conv, memory_rows, taps_per_level


@dataclass(frozen=True)
class Quirks:
    """How a network is put together; the defaults are right."""

    taps: str = "lag order"  # or "reversed"
    filters: str = "h0 low"  # or "swapped": h1 carries the tree on
    skip: str = "last"  # of the packed weights; or "first", "missing"
    padding: str = "left"  # or "right"
    weights: str = "coarse to fine"  # or "fine to coarse", "reversed" (a_J last)
    dilations: str = "fine first"  # or "coarse first"
    gelu: str = "erf"  # or "tanh"
    norm: str = "post"  # or "pre"
    variance: str = "biased"  # in the norm; or "unbiased"
    running: str = "unbiased"  # the variance entered into BatchNorm's running one; or "biased"
    statistics: str = "running"  # of BatchNorm in evaluation; or "batch"
    shift: str = "by one"  # of the autoregressive input; or "none"
    pooling: str = "true length"  # or "padded length"


def apply_with_quirks(
    model: Model, x: Any, lengths: Any, quirks: Quirks, blocks: Container[int] | None = None, training: bool = False
) -> dict[str, np.ndarray]:
    """Every layer's output by probe name, `quirks` being in the given blocks (None: in all); in training mode also the
    running statistics, as "blocks.i.norm.running_mean" and "... running_var".

    Examples
    --------
    >>> model = Model.init(NetworkConfig(3, 10, 8, 1, max_length=32), np.random.default_rng(0))
    >>> x = np.random.default_rng(1).standard_normal((2, 3, 32)).astype(np.float32)
    >>> bool(np.allclose(apply_with_quirks(model, x, None, Quirks())["decoder"], model(x), atol=1e-6))
    True
    """
    config, params = model.config, model.params
    if config.kind == "autoregressive" and quirks.shift == "by one":
        x = ad.delay(x, 1)
    values = {"encoder": encode(config, params["encoder"], x)}
    x = values["encoder"]
    for i, (block, state) in enumerate(zip(params["blocks"], model.state["blocks"], strict=True)):
        q = quirks if blocks is None or i in blocks else Quirks()
        x, shown = block_with_quirks(config, block, state, x, q, training)
        values |= {f"blocks.{i}.{name}": array for name, array in shown.items()}
    lengths = lengths if quirks.pooling == "true length" else None
    values["decoder"] = decode(config, params["decoder"], x, lengths, lambda name, array: values.update({name: array}))
    return values


def block_with_quirks(
    config: NetworkConfig, params: Any, state: Any, x: Any, q: Quirks, training: bool
) -> tuple[Any, dict[str, np.ndarray]]:
    """x [B, D, L] -> the block's output, and its layers' outputs by name."""
    shown = {}
    inner = x
    if q.norm == "pre":
        inner, shown = norm_with_quirks(config, params["norm"], state, x, q, training)
    shown["conv"] = conv_with_quirks(config, params["conv"], inner, q)
    shown["gelu"] = ad.gelu(shown["conv"]) if q.gelu == "erf" else tanh_gelu(shown["conv"])
    shown["mix"] = ad.conv1x1(shown["gelu"], params["mix"]["weight"], params["mix"]["bias"])
    r = shown["glu"] = ad.glu(shown["mix"])
    if "mix2" in params:
        r = shown["mix2"] = ad.conv1x1(r, params["mix2"]["weight"], params["mix2"]["bias"])
    if q.norm == "pre":
        return x + r, shown
    out, of_norm = norm_with_quirks(config, params["norm"], state, x + r, q, training)
    return out, shown | of_norm


def conv_with_quirks(config: NetworkConfig, conv: Any, x: Any, q: Quirks) -> Any:
    """The multiresolution convolution of x [B, D, L], by levels."""
    J = config.J
    taps = taps_per_level(J, config.kernel_size, config.tree_select, config.m)
    h0, h1 = (conv["h1"], conv["h0"]) if q.filters == "swapped" else (conv["h0"], conv["h1"])
    if q.taps == "reversed":
        h0, h1 = h0[..., ::-1], h1[..., ::-1]
    w, w_skip = weights_with_quirks(config, conv, q)
    y, a = w_skip[:, None] * x, x
    for i, (t, part) in enumerate(zip(taps, level_slices(taps), strict=True), start=1):
        dilation = 2 ** (i - 1) if q.dilations == "fine first" else 2 ** (J - i)
        low, high = (h[i - 1] if h.ndim == 3 else h for h in (h0, h1))
        if t:
            b = padded_conv(a, high, dilation, q.padding)
            y = y + padded_conv(b, w[:, part], 2 * dilation, q.padding, turned=False)
        a = padded_conv(a, low, dilation, q.padding)
    return y + w[:, :1] * a


def weights_with_quirks(config: NetworkConfig, conv: Any, q: Quirks) -> tuple[Any, Any]:
    """w [D, m] and w_skip [D] as a network with these quirks would read them."""
    w, w_skip = conv["w"], conv["w_skip"]
    if q.skip == "missing":
        w_skip = np.zeros_like(w_skip)
    elif q.skip == "first":
        w, w_skip = np.concatenate((w[:, 1:], w_skip[:, None]), axis=1), w[:, 0]
    if q.weights != "coarse to fine":
        rows = memory_rows(config.J, config.kernel_size, config.tree_select, config.m)
        a_first = q.weights == "fine to coarse"
        theirs = sorted(
            range(len(rows)), key=lambda r: (rows[r].kind == "unused", (rows[r].kind == "a") != a_first, rows[r].level, r)
        )
        w = w[:, np.argsort(theirs)]  # column p of w is read as the weight of their p-th row
    return w, w_skip


def padded_conv(a: Any, h: Any, dilation: int, padding: str, turned: bool = True) -> Any:
    """The dilated filter, causal; or padded on the right: sum_j k[j] a[n + j dilation], the kernel k being h turned round."""
    if padding == "left":
        return dilated_conv(a, h, dilation)
    return dilated_conv(a[..., ::-1], h[..., ::-1] if turned else h, dilation)[..., ::-1]


def tanh_gelu(x: Any) -> Any:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    return 0.5 * x * (1.0 + np.tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * x**3)))


def norm_with_quirks(
    config: NetworkConfig, params: Any, state: Any, s: Any, q: Quirks, training: bool
) -> tuple[Any, dict[str, np.ndarray]]:
    """LayerNorm or BatchNorm of s [B, D, L]: the output, and it by name with the running statistics."""
    axes = (1,) if config.norm == "layer" else (0, 2)
    mean, var = s.mean(axis=axes, keepdims=True), s.var(axis=axes, keepdims=True)
    count = s.size // mean.size
    unbiased = var * (count / max(count - 1, 1))
    shown = {}
    if config.norm == "batch" and training:
        entered = unbiased if q.running == "unbiased" else var
        shown["norm.running_mean"] = (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean[0, :, 0]
        shown["norm.running_var"] = (1 - MOMENTUM) * state["var"] + MOMENTUM * entered[0, :, 0]
    if config.norm == "batch" and not training and q.statistics == "running":
        mean, var = state["mean"][:, None], state["var"][:, None]
    elif q.variance == "unbiased":
        var = unbiased
    out = params["weight"][:, None] * (s - mean) / np.sqrt(var + EPS) + params["bias"][:, None]
    return out, {"norm": out} | shown
