"""One Adam step for one array, in place, in PyTorch's order of operations.

    p <- (1 - lr weight_decay) p                             decoupled decay (AdamW)
    m <- m + (1 - beta1) (g - m)
    v <- beta2 v + (1 - beta2) g^2
    p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

Source: Kingma and Ba 2015 (arXiv 1412.6980); Loshchilov and Hutter 2019 (arXiv 1711.05101); `torch.optim.AdamW`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..base.arrays import Array, get_xp
from .registry import ArrayFunction


class AdamFactors(NamedTuple):
    """The numbers in the formulas of one step, which are the same for every array."""

    keep: float  # 1 - lr weight_decay
    rate1: float  # 1 - beta1
    beta2: float
    rate2: float  # 1 - beta2
    root: float  # sqrt(1 - beta2^t)
    eps: float
    size: float  # lr / (1 - beta1^t)


def adam_factors(
    lr: float, weight_decay: float, step: int, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> AdamFactors:
    """The factors of step t = `step`, which counts from 1. beta1, beta2 and eps are PyTorch's, and the authors'.

    Examples
    --------
    >>> factors = adam_factors(0.5, 0.25, 1, beta1=0.75)
    >>> factors.keep, factors.size
    (0.875, 2.0)
    """
    root = math.sqrt(1.0 - beta2**step)
    return AdamFactors(1.0 - lr * weight_decay, 1.0 - beta1, beta2, 1.0 - beta2, root, eps, lr / (1.0 - beta1**step))


@ArrayFunction
def adam_update(p: Array, g: Array, m: Array, v: Array, factors: AdamFactors) -> None:
    """Change p, m and v in place. g is left alone."""
    xp = get_xp(p, g, m, v)
    p *= factors.keep
    m += (g - m) * factors.rate1
    v *= factors.beta2
    v += (g * g) * factors.rate2
    p -= (m / (xp.sqrt(v) / factors.root + factors.eps)) * factors.size
