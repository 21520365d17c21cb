"""One block: the multiresolution layer, channel mixing, residual sum, post-norm.

    v = GELU(multires_conv(x)) * mask_1                    the layer, with channel dropout
    r = GLU(W1 v + c1) * mask_2                            1x1 convolution D -> 2 D, gated
    r = W2 r + c2                                          autoregressive networks only
    out = Norm(x + r)                                      post-norm: the norm comes after the residual sum

Source: the paper's networks; the authors' `classification.py` and `autoregressive.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..base.arrays import Array, get_xp, unboxed
from ..base.pytrees import Params
from ..base.ranks import Share
from ..ops.conv1x1 import conv1x1
from ..ops.gelu import gelu
from ..ops.glu import glu
from ..ops.linear import linear
from ..ops.mixing import is_compiled, kept_for, mixing
from ..ops.multires_conv import multires_conv
from .config import NetworkConfig
from .norms import NORMS

Hook = Callable[[str, Array], None]  # it is given every intermediate array, with its name
Masks = tuple[Array | None, Array | None]  # of channel dropout, after GELU and after GLU


def ignore(name: str, array: Array) -> None:
    """A hook that does nothing."""


class Steps(NamedTuple):
    """The functions that a block is made of, after its convolution."""

    gelu: Callable[..., Array]
    mix: Callable[..., Array]
    glu: Callable[..., Array]


OVER_TIME = Steps(gelu, conv1x1, glu)  # arrays [B, D, L]
ONE_SAMPLE = Steps(gelu.definition, linear.definition, glu.definition)  # arrays [B, D]: too small for compiled loops


def block(
    config: NetworkConfig,
    params: Params,
    state: Params,
    x: Array,
    masks: Masks,
    training: bool,
    hook: Hook = ignore,
    engine: str = "auto",
    share: Share | None = None,
) -> tuple[Array, Params]:
    """x [B, D, L] -> (out [B, D, L], the block's new norm state). `hook` is given every intermediate array with its name.

    `share` says which rows of a batch x holds, where several processes train together.
    """
    conv = params["conv"]
    c = multires_conv(
        x, conv["h0"], conv["h1"], conv["w"], conv["w_skip"], tree_select=config.tree_select, depth=config.J, engine=engine
    )
    hook("conv", c)
    r = after_convolution(params, c, masks, hook)
    out, state = NORMS[config.norm].apply(params["norm"], state, x, r, training, share)
    hook("norm", out)
    return out, state


def after_convolution(
    params: Params, c: Array, masks: Masks = (None, None), hook: Hook = ignore, steps: Steps = OVER_TIME
) -> Array:
    """What a block makes of its convolution's output c [B, D, L], up to the residual sum: r [B, D, L].

    Where nobody looks at what is between, the first three steps are one compiled operation.
    """
    weight, bias = params["mix"]["weight"], params["mix"]["bias"]
    if hook is ignore and steps is OVER_TIME and is_compiled(c):
        r = mixing(c, weight, bias, *masks, kept_for(c))
    else:
        v = steps.gelu(c, masks[0])
        hook("gelu", v)
        u = steps.mix(v, weight, bias)  # [B, 2 D, L]
        hook("mix", u)
        r = steps.glu(u, masks[1])  # [B, D, L]
        hook("glu", r)
    if "mix2" in params:
        r = steps.mix(r, params["mix2"]["weight"], params["mix2"]["bias"])
        hook("mix2", r)
    return r


def dropout_masks(config: NetworkConfig, rng: np.random.Generator | None, x: Array, share: Share | None = None) -> Masks:
    """The two masks [B, D, 1] of a block: 0 with probability p, else 1 / (1 - p); None where p is 0 or nothing is dropped.

    Drawn on the CPU from `rng`, so that a seed gives the same run on a CPU and on a GPU, and then put where x is. Masks belong to
    examples: for a rank's `share` those of the whole batch are drawn, so that every rank's generator goes on in the same way, and
    the rank's own are taken.
    """
    if rng is None or config.dropout == 0:
        return None, None
    keep = 1 - config.dropout
    B, rows = (x.shape[0], slice(None)) if share is None else (share.size, share.rows)
    draws = rng.random((2, B, config.d_model, 1))[:, rows] < keep
    masks = get_xp(unboxed(x)).asarray((draws * (1 / keep)).astype(str(x.dtype)))
    return masks[0], masks[1]
