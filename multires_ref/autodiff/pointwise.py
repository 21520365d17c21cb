"""GELU and GLU, with the channel dropout that follows them, and their adjoints.

`mask` is the dropout mask [B, D, 1], already scaled by 1 / (1 - p), or None: one number for a whole channel (Dropout1d).
"""

from __future__ import annotations

import math
from typing import Any

from ..arrays import family, get_xp

ROOT_HALF = math.sqrt(0.5)
DENSITY_AT_ZERO = 1 / math.sqrt(2 * math.pi)


def special(x: Any) -> Any:
    """The module with `erf` for the array: SciPy's, CuPy's or autograd's."""
    kind = family(x)
    if kind == "cupy":
        import cupyx.scipy.special as module
    elif kind == "autograd":
        import autograd.scipy.special as module
    else:
        import scipy.special as module
    return module


def times(y: Any, mask: Any) -> Any:
    """y * mask; y itself where there is no mask."""
    return y if mask is None else y * mask


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), written with tanh so that no exponential overflows."""
    return 0.5 * get_xp(x).tanh(0.5 * x) + 0.5


def gelu(x: Any, mask: Any = None) -> Any:
    """x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2: the exact GELU (not the tanh approximation), times the mask."""
    return times(0.5 * x * (1.0 + special(x).erf(x * ROOT_HALF)), mask)


def gelu_adjoint(g: Any, x: Any, mask: Any = None) -> Any:
    """d/dx [x Phi(x)] = Phi(x) + x phi(x), phi the normal density."""
    xp = get_xp(g, x)
    slope = 0.5 * (1.0 + special(x).erf(x * ROOT_HALF)) + x * (DENSITY_AT_ZERO * xp.exp(-0.5 * x * x))
    return times(g, mask) * slope


def glu(u: Any, mask: Any = None) -> Any:
    """u[:, :D] sigmoid(u[:, D:]) for u [B, 2 D, L], times the mask: [B, D, L]."""
    D = u.shape[1] // 2
    return times(u[:, :D] * sigmoid(u[:, D:]), mask)


def glu_adjoint(g: Any, u: Any, mask: Any = None) -> Any:
    """The gradient of both halves of u: [B, 2 D, L]."""
    D = u.shape[1] // 2
    g, s = times(g, mask), sigmoid(u[:, D:])
    return get_xp(g, u).concatenate((g * s, g * u[:, :D] * s * (1.0 - s)), axis=1)
