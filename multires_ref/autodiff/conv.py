"""The dilated convolution and its two adjoints: three functions, closed under differentiation.

The form <g, conv(a, h)> = sum_n sum_k g[n] h[k] a[n - k s] is linear in each of g, a and h, so its gradient in each is one of

    conv(a, h)        out[n] = sum_k h[k] a[n - k s]        gradient in g
    correlate(g, h)   out[n] = sum_k h[k] g[n + k s]        gradient in a
    taps(g, a)        out[k] = sum_n g[n] a[n - k s]        gradient in h

and the derivatives of these three are again these three: gradients of any order from six one-line rules (`ops.py`).
Shapes: a, g [B, D, L]; h [D, K]; s is the dilation.
"""

from __future__ import annotations

from typing import Any

from ..arrays import get_xp
from ..tree import delay, dilated_conv

__all__ = ["advance", "delay", "dilated_conv", "dilated_correlate", "dilated_taps"]


def advance(g: Any, steps: int) -> Any:
    """g[n + steps] along the last axis, zero beyond the end: the adjoint of `delay`."""
    if steps == 0:
        return g
    xp, L = get_xp(g), g.shape[-1]
    steps = min(steps, L)
    return xp.concatenate((g[..., steps:], xp.zeros_like(g[..., :steps])), axis=-1)


def dilated_correlate(g: Any, h: Any, dilation: int) -> Any:
    """out[n] = sum_k h[k] g[n + k dilation]: the adjoint of `dilated_conv` in its signal."""
    return sum(h[..., k, None] * advance(g, k * dilation) for k in range(h.shape[-1]))


def dilated_taps(g: Any, a: Any, dilation: int, K: int) -> Any:
    """out[d, k] = sum over batch and time of g[n] a[n - k dilation]: the adjoint of `dilated_conv` in its filter, [D, K]."""
    xp, L = get_xp(g, a), a.shape[-1]
    columns = []
    for k in range(K):
        s = min(k * dilation, L)
        columns.append(xp.sum(g[..., s:] * a[..., : L - s], axis=(0, 2)))
    return xp.stack(columns, axis=-1)
