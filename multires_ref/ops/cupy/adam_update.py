"""The Adam step on CuPy arrays: one launch for a parameter."""

from __future__ import annotations

from ...base.arrays import Array
from ..adam_update import AdamFactors, adam_update
from ._kernels import Kernel

INPUTS = "T p, T g, T m, T v, float64 keep, float64 rate1, float64 beta2, float64 rate2, float64 root, float64 eps, float64 size"
OPERATION = (
    "m_new = m + (g - m) * T(rate1); v_new = v * T(beta2) + g * g * T(rate2);"
    "p_new = p * T(keep) - m_new / (sqrt(v_new) / T(root) + T(eps)) * T(size)"
)
STEP = Kernel("adam", INPUTS, "T p_new, T m_new, T v_new", OPERATION)


@adam_update.implementation("cupy")
def one_launch(p: Array, g: Array, m: Array, v: Array, factors: AdamFactors) -> None:
    """Change p, m and v in place."""
    STEP(p, g, m, v, *factors, p, m, v)
