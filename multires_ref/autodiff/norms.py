"""Post-norms of the residual sum s = x + r, and their adjoints.

LayerNorm: mean and variance over the D channels at each time step. BatchNorm: over batch and time, for each channel; in
evaluation the running statistics, which are constants. Both: out = weight * (s - mean) / sqrt(var + eps) + bias.

The residual sum is inside, because x and r are stored for the backward pass anyway and s then need not be.
"""

from __future__ import annotations

from typing import Any

from ..arrays import get_xp

EPS = 1e-5  # PyTorch's default for both norms


def mean_over(s: Any, axes: tuple[int, ...]) -> Any:
    """The mean that keeps its axes and its dtype, also backwards (autograd's own `mean` turns to float64 there)."""
    count = 1
    for axis in axes:
        count *= s.shape[axis]
    return get_xp(s).sum(s, axis=axes, keepdims=True) * (1.0 / count)


def normalised(s: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """(s - mean) / sqrt(var + eps), and 1 / sqrt(var + eps)."""
    centred = s - mean_over(s, axes)
    scale = 1.0 / get_xp(s).sqrt(mean_over(centred * centred, axes) + EPS)
    return centred * scale, scale


def norm_adjoint(g: Any, s: Any, weight: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """The gradients of s, weight [D] and bias [D] when mean and variance were taken over `axes` of s [B, D, L].

    With s^ the normalised s and u = g weight:  ds = scale (u - mean(u) - s^ mean(u s^)).
    """
    xp = get_xp(g, s)
    hat, scale = normalised(s, axes)
    u = g * weight[:, None]
    ds = scale * (u - mean_over(u, axes) - hat * mean_over(u * hat, axes))
    return ds, xp.sum(g * hat, axis=(0, 2)), xp.sum(g, axis=(0, 2))


def layer_norm(x: Any, r: Any, weight: Any, bias: Any) -> Any:
    """LayerNorm over channels of x + r [B, D, L]."""
    return weight[:, None] * normalised(x + r, (1,))[0] + bias[:, None]


def layer_norm_adjoint(g: Any, x: Any, r: Any, weight: Any) -> tuple[Any, Any, Any]:
    """ds (for x and for r alike) [B, D, L], dweight [D], dbias [D]."""
    return norm_adjoint(g, x + r, weight, (1,))


def batch_statistics(x: Any, r: Any) -> tuple[Any, Any]:
    """Mean and biased variance of x + r over batch and time: [D] each."""
    s = x + r
    mean = mean_over(s, (0, 2))
    return mean[0, :, 0], mean_over((s - mean) * (s - mean), (0, 2))[0, :, 0]


def batch_norm(x: Any, r: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool) -> Any:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D].

    In training these must be `batch_statistics(x, r)`; the gradient then knows that they depend on x and r.
    """
    scale = weight / get_xp(x, r).sqrt(var + EPS)
    return (x + r - mean[:, None]) * scale[:, None] + bias[:, None]


def batch_norm_adjoint(g: Any, x: Any, r: Any, weight: Any, mean: Any, var: Any, training: bool) -> tuple[Any, Any, Any]:
    """ds [B, D, L], dweight [D], dbias [D]; in evaluation the statistics are constants."""
    if training:
        return norm_adjoint(g, x + r, weight, (0, 2))
    xp = get_xp(g, x, r)
    scale = 1.0 / xp.sqrt(var + EPS)
    dweight = xp.sum(g * ((x + r - mean[:, None]) * scale[:, None]), axis=(0, 2))
    return g * (weight * scale)[:, None], dweight, xp.sum(g, axis=(0, 2))
