"""The Adam step on CuPy arrays: one launch for a parameter."""

from __future__ import annotations

import math

from ...base.arrays import Array
from ..adam_update import adam_update
from ._kernels import Kernel

INPUTS = "T p, T g, T m, T v, float64 keep, float64 rest1, float64 beta2, float64 rest2, float64 root, float64 eps, float64 rate"
OPERATION = (
    "m_new = m + (g - m) * T(rest1); v_new = v * T(beta2) + g * g * T(rest2);"
    "p_new = p * T(keep) - m_new / (sqrt(v_new) / T(root) + T(eps)) * T(rate)"
)
STEP = Kernel("adam", INPUTS, "T p_new, T m_new, T v_new", OPERATION)


@adam_update.implementation("cupy")
def one_launch(
    p: Array, g: Array, m: Array, v: Array, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: int
) -> None:
    """Change p, m and v in place; `step` counts from 1."""
    keep, root, rate = 1.0 - lr * weight_decay, math.sqrt(1.0 - beta2**step), lr / (1.0 - beta1**step)
    numbers = (keep, 1.0 - beta1, beta2, 1.0 - beta2, root, eps, rate)
    STEP(p, g, m, v, *numbers, p, m, v)
