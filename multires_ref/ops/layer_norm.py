"""LayerNorm of the residual sum s = x + r: mean and variance over the D channels at each time step.

    out = weight (s - mean) / sqrt(var + eps) + bias

The residual sum is inside, because x and r are stored for the backward pass anyway and s then need not be.
"""

from __future__ import annotations

from ..base.arrays import Array, get_xp
from .registry import Example, operation

EPS = 1e-5  # PyTorch's default for its norms


def mean_over(s: Array, axes: tuple[int, ...]) -> Array:
    """The mean that keeps its axes and its dtype, also backwards (autograd's own `mean` turns to float64 there)."""
    count = 1
    for axis in axes:
        count *= s.shape[axis]
    return get_xp(s).sum(s, axis=axes, keepdims=True) * (1.0 / count)


def normalised(s: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """(s - mean) / sqrt(var + eps), and 1 / sqrt(var + eps)."""
    centred = s - mean_over(s, axes)
    scale = 1.0 / get_xp(s).sqrt(mean_over(centred * centred, axes) + EPS)
    return centred * scale, scale


def norm_adjoint(g: Array, s: Array, weight: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r, weight [D] and bias [D] when mean and variance were taken over `axes` of s = x + r [B, D, L].

    With s^ the normalised s and u = g weight:  ds = scale (u - mean(u) - s^ mean(u s^)), which goes to x and to r alike.
    """
    xp = get_xp(g, s)
    hat, scale = normalised(s, axes)
    u = g * weight[:, None]
    ds = scale * (u - mean_over(u, axes) - hat * mean_over(u * hat, axes))
    return ds, ds, xp.sum(g * hat, axis=(0, 2)), xp.sum(g, axis=(0, 2))


@operation(Example([(2, 3, 7), (2, 3, 7), (3,), (3,)]), torch="torch.nn.functional.layer_norm")
def layer_norm(x: Array, r: Array, weight: Array, bias: Array) -> Array:
    """LayerNorm over channels of x + r [B, D, L]."""
    return weight[:, None] * normalised(x + r, (1,))[0] + bias[:, None]


@layer_norm.adjoint(of=4)
def layer_norm_adjoint(g: Array, x: Array, r: Array, weight: Array, bias: Array) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]."""
    return norm_adjoint(g, x + r, weight, (1,))
