"""One Adam step for one array, in place, in PyTorch's order of operations.

    p <- (1 - lr weight_decay) p                             decoupled decay (AdamW)
    m <- m + (1 - beta1) (g - m)
    v <- beta2 v + (1 - beta2) g^2
    p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

Source: Kingma and Ba 2015 (arXiv 1412.6980); Loshchilov and Hutter 2019 (arXiv 1711.05101); `torch.optim.AdamW`.
"""

from __future__ import annotations

import math

from ..base.arrays import Array, get_xp
from .registry import ArrayFunction


@ArrayFunction
def adam_update(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """Change p, m and v in place; `step` counts from 1. g is left alone."""
    xp = get_xp(p, g, m, v)
    p *= 1.0 - lr * weight_decay
    m += (g - m) * (1.0 - beta1)
    v *= beta2
    v += (g * g) * (1.0 - beta2)
    denominator = xp.sqrt(v) / math.sqrt(1.0 - beta2**step) + eps
    p -= (m / denominator) * (lr / (1.0 - beta1**step))
