"""RMSNorm of the residual sum s = x + r: divided, at each time step, by the root of the mean square over the D channels.

    out = weight s / sqrt(mean(s^2) + eps)

Source: Zhang and Sennrich 2019 (arXiv 1910.07467); `torch.nn.RMSNorm` with the same eps.
"""

from __future__ import annotations

from ..base.arrays import Array, get_xp
from .layer_norm import EPS, mean_over
from .registry import Example, operation


def inverse_rms(s: Array) -> Array:
    """1 / sqrt(mean(s^2) + eps) at each time step: [B, 1, L]."""
    return 1.0 / get_xp(s).sqrt(mean_over(s * s, (1,)) + EPS)


@operation(Example([(2, 3, 7), (2, 3, 7), (3,)]), torch="torch.nn.functional.rms_norm")
def rms_norm(x: Array, r: Array, weight: Array) -> Array:
    """RMSNorm over channels of x + r [B, D, L]."""
    s = x + r
    return weight[:, None] * (s * inverse_rms(s))


@rms_norm.adjoint(of=3)
def rms_norm_adjoint(g: Array, x: Array, r: Array, weight: Array) -> tuple[Array, Array, Array]:
    """The gradients of x, r [B, D, L] and weight [D].

    With scale = 1 / sqrt(mean(s^2) + eps), s^ = scale s and u = g weight:  ds = scale (u - s^ mean(u s^)).
    """
    s = x + r
    scale = inverse_rms(s)
    hat, u = s * scale, g * weight[:, None]
    ds = scale * (u - hat * mean_over(u * hat, (1,)))
    return ds, ds, get_xp(g, s).sum(g * hat, axis=(0, 2))
