"""GELU with the channel dropout that follows it: x Phi(x), times the mask.

`mask` is the dropout mask [B, D, 1], already scaled by 1 / (1 - p), or None: one number for a whole channel (Dropout1d).
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from ..base.arrays import Array, family, get_xp
from .registry import Example, operation

ROOT_HALF = math.sqrt(0.5)
DENSITY_AT_ZERO = 1 / math.sqrt(2 * math.pi)
MASK = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]])[:, :, None]  # of the examples


def special(x: Array) -> ModuleType:
    """The module with `erf` for the array: SciPy's, CuPy's or autograd's."""
    kind = family(x)
    if kind == "cupy":
        import cupyx.scipy.special as module
    elif kind == "autograd":
        import autograd.scipy.special as module
    else:
        import scipy.special as module
    return module


def masked(y: Array, mask: Array | None) -> Array:
    """y times the mask; y itself where there is no mask."""
    return y if mask is None else y * mask


@operation(Example([(2, 3, 7)]), Example([(2, 3, 7)], (MASK,), "dropout"), torch="torch.nn.functional.gelu")
def gelu(x: Array, mask: Array | None = None) -> Array:
    """x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2: the exact GELU (not the tanh approximation), times the mask."""
    return masked(0.5 * x * (1.0 + special(x).erf(x * ROOT_HALF)), mask)


@gelu.adjoint(of=1)
def gelu_adjoint(g: Array, x: Array, mask: Array | None = None) -> Array:
    """d/dx [x Phi(x)] = Phi(x) + x phi(x), phi the normal density."""
    xp = get_xp(g, x)
    slope = 0.5 * (1.0 + special(x).erf(x * ROOT_HALF)) + x * (DENSITY_AT_ZERO * xp.exp(-0.5 * x * x))
    return masked(g, mask) * slope
