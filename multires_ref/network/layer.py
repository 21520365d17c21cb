"""One block: the multiresolution layer, channel mixing, residual sum, post-norm.

    v = GELU(multires_conv(x)) * mask_1                    the layer, with channel dropout
    r = GLU(W1 v + c1) * mask_2                            1x1 convolution D -> 2 D, gated
    r = W2 r + c2                                          autoregressive networks only
    out = Norm(x + r)                                      post-norm: the norm comes after the residual sum

Source: the paper's networks; the authors' `classification.py` and `autoregressive.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import autodiff as ad
from ..arrays import get_xp
from ..autodiff.dispatch import call
from .config import NetworkConfig

Probe = Callable[[str, Any], None]
MOMENTUM = 0.1  # of BatchNorm's running statistics, PyTorch's default


def block(
    config: NetworkConfig,
    params: dict[str, Any],
    state: dict[str, Any],
    x: Any,
    masks: tuple[Any, Any],
    training: bool,
    probe: Probe,
    engine: str = "auto",
) -> tuple[Any, dict[str, Any]]:
    """x [B, D, L] -> (out [B, D, L], the block's new norm state). `probe` is shown every intermediate array by name."""
    conv, mix = params["conv"], params["mix"]
    c = ad.multires_conv(
        x, conv["h0"], conv["h1"], conv["w"], conv["w_skip"], tree_select=config.tree_select, depth=config.J, engine=engine
    )
    probe("conv", c)
    v = ad.gelu(c, masks[0])
    probe("gelu", v)
    u = ad.conv1x1(v, mix["weight"], mix["bias"])  # [B, 2 D, L]
    probe("mix", u)
    r = ad.glu(u, masks[1])  # [B, D, L]
    probe("glu", r)
    if "mix2" in params:
        r = ad.conv1x1(r, params["mix2"]["weight"], params["mix2"]["bias"])
        probe("mix2", r)
    out, state = norm(config, params["norm"], state, x, r, training)
    probe("norm", out)
    return out, state


def norm(
    config: NetworkConfig, params: dict[str, Any], state: dict[str, Any], x: Any, r: Any, training: bool
) -> tuple[Any, dict[str, Any]]:
    """LayerNorm or BatchNorm of x + r, and the new running statistics."""
    weight, bias = params["weight"], params["bias"]
    if config.norm == "layer":
        return ad.layer_norm(x, r, weight, bias), state
    if not training:
        return ad.batch_norm(x, r, weight, bias, state["mean"], state["var"], False), state
    mean, var = call("batch_statistics", value_of(x), value_of(r))
    out = ad.batch_norm(x, r, weight, bias, mean, var, True)
    return out, updated_statistics(state, mean, var, count=x.shape[0] * x.shape[2])


def updated_statistics(state: dict[str, Any], mean: Any, var: Any, count: int) -> dict[str, Any]:
    """running <- 0.9 running + 0.1 batch; the variance entered is the unbiased one, count / (count - 1) times the biased."""
    unbiased = var * (count / max(count - 1, 1))
    return {
        "mean": (1 - MOMENTUM) * state["mean"] + MOMENTUM * mean,
        "var": (1 - MOMENTUM) * state["var"] + MOMENTUM * unbiased,
        "count": state["count"] + 1,
    }


def value_of(array: Any) -> Any:
    """The plain array inside a traced one: statistics are not differentiated through (the norm's adjoint does that)."""
    while hasattr(array, "_value"):
        array = array._value
    return array


def dropout_masks(config: NetworkConfig, rng: np.random.Generator | None, x: Any) -> tuple[Any, Any]:
    """The two masks [B, D, 1] of a block: 0 with probability p, else 1 / (1 - p); None where p is 0 or nothing is dropped.

    Drawn on the CPU from `rng`, so that a seed gives the same run on any device, then put where x is (B D numbers).
    """
    if rng is None or config.dropout == 0:
        return None, None
    keep = 1 - config.dropout
    draws = rng.random((2, x.shape[0], config.d_model, 1)) < keep
    masks = get_xp(value_of(x)).asarray((draws * (1 / keep)).astype(str(x.dtype)))
    return masks[0], masks[1]
