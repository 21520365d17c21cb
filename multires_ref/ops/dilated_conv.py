"""The dilated convolution and its two adjoints: three operations, closed under differentiation; delay and advance.

The form <g, conv(a, h)> = sum_n sum_k g[n] h[k] a[n - k s] is linear in each of g, a and h, so its gradient in each is one of

    conv(a, h)        out[n] = sum_k h[k] a[n - k s]        gradient in g
    correlate(g, h)   out[n] = sum_k h[k] g[n + k s]        gradient in a
    taps(g, a)        out[k] = sum_n g[n] a[n - k s]        gradient in h

and the derivatives of these three are again these three: gradients of any order from six rules of one line.
Shapes: a, g [B, D, L]; h [D, K]; s is the dilation.
"""

from __future__ import annotations

from .. import tree
from ..base.arrays import Array, get_xp
from .registry import Example, operation

X = (2, 3, 7)

dilated_conv = operation(Example([X, (3, 4)], (2,)), torch="torch.nn.functional.conv1d")(tree.dilated_conv)
delay = operation(Example([X], (3,)))(tree.delay)


@operation(Example([X], (3,)))
def advance(g: Array, steps: int) -> Array:
    """g[n + steps] along the last axis, zero beyond the end: the adjoint of `delay`."""
    if steps == 0:
        return g
    xp, L = get_xp(g), g.shape[-1]
    steps = min(steps, L)
    return xp.concatenate((g[..., steps:], xp.zeros_like(g[..., :steps])), axis=-1)


@operation(Example([X, (3, 4)], (2,)))
def dilated_correlate(g: Array, h: Array, dilation: int) -> Array:
    """out[n] = sum_k h[k] g[n + k dilation]: the adjoint of `dilated_conv` in its signal."""
    return sum(h[..., k, None] * advance.definition(g, k * dilation) for k in range(h.shape[-1]))


@operation(Example([X, X], (2, 4)))
def dilated_taps(g: Array, a: Array, dilation: int, K: int) -> Array:
    """out[d, k] = sum over batch and time of g[n] a[n - k dilation]: the adjoint of `dilated_conv` in its filter, [D, K]."""
    xp, L = get_xp(g, a), a.shape[-1]
    columns = []
    for k in range(K):
        s = min(k * dilation, L)
        columns.append(xp.sum(g[..., s:] * a[..., : L - s], axis=(0, 2)))
    return xp.stack(columns, axis=-1)


delay.adjoints(lambda g, a, steps: advance(g, steps))
advance.adjoints(lambda g, a, steps: delay(g, steps))
dilated_conv.adjoints(
    lambda g, a, h, s: dilated_correlate(g, h, s),
    lambda g, a, h, s: dilated_taps(g, a, s, h.shape[-1]),
)
dilated_correlate.adjoints(
    lambda gg, g, h, s: dilated_conv(gg, h, s),
    lambda gg, g, h, s: dilated_taps(g, gg, s, h.shape[-1]),
)
dilated_taps.adjoints(
    lambda gh, g, a, s, K: dilated_conv(a, gh, s),
    lambda gh, g, a, s, K: dilated_correlate(g, gh, s),
)
