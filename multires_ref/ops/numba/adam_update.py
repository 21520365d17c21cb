"""The Adam step, compiled. It agrees with its definition bit for bit: the same operations in the same order.

One pass over each array by one thread: a network of this kind has about a million parameters, which takes under a millisecond.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ...base.arrays import Array
from ...base.compiled import njit
from ..adam_update import AdamFactors, adam_update
from ._compile import compiled


@compiled(adam_update)
def compiled_adam_update(p: Array, g: Array, m: Array, v: Array, factors: AdamFactors) -> None:
    """Change p, m and v in place. g is left alone."""
    if not (p.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous):
        adam_update.definition(p, g, m, v, factors)
        return
    update(p.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1), constants(factors, p.dtype))


@lru_cache(maxsize=8)
def constants(factors: AdamFactors, dtype: np.dtype) -> tuple[np.floating, ...]:
    """The factors as numbers of the arrays' dtype: once for all arrays of a step."""
    return tuple(dtype.type(c) for c in factors)


@njit(error_model="numpy")
def update(p: Array, g: Array, m: Array, v: Array, factors: tuple[float, ...]) -> None:
    """Flat arrays."""
    keep, rate1, beta2, rate2, root, eps, size = factors
    for i in range(p.size):
        m[i] += (g[i] - m[i]) * rate1
        v[i] = v[i] * beta2 + (g[i] * g[i]) * rate2
        p[i] = p[i] * keep - (m[i] / (math.sqrt(v[i]) / root + eps)) * size
