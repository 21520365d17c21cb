"""BatchNorm of the residual sum s = x + r: mean and variance of each channel over batch and time.

    out = weight (s - mean) / sqrt(var + eps) + bias

In evaluation mean and variance are the running statistics, which are constants.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp, unboxed
from .layer_norm import EPS, mean_over, norm_adjoint
from .registry import ArrayFunction, Example, operation

SHAPES = [(2, 3, 7), (2, 3, 7), (3,), (3,)]
RUNNING = (np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]), False)


@ArrayFunction
def batch_statistics(x: Array, r: Array) -> tuple[Array, Array]:
    """Mean and biased variance of x + r over batch and time: [D] each."""
    s = x + r
    mean = mean_over(s, (0, 2))
    return mean[0, :, 0], mean_over((s - mean) * (s - mean), (0, 2))[0, :, 0]


def of_the_batch(x: Array, r: Array, weight: Array, bias: Array) -> tuple[Array, Array, bool]:
    """The last arguments of BatchNorm in training."""
    return *batch_statistics(unboxed(x), unboxed(r)), True


@operation(
    Example(SHAPES, of_the_batch, "training"), Example(SHAPES, RUNNING, "evaluation"), torch="torch.nn.functional.batch_norm"
)
def batch_norm(x: Array, r: Array, weight: Array, bias: Array, mean: Array, var: Array, training: bool) -> Array:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D].

    In training these must be `batch_statistics(x, r)`; the gradient then knows that they depend on x and r.
    """
    scale = weight / get_xp(x, r).sqrt(var + EPS)
    return (x + r - mean[:, None]) * scale[:, None] + bias[:, None]


@batch_norm.adjoint(of=4)
def batch_norm_adjoint(
    g: Array, x: Array, r: Array, weight: Array, bias: Array, mean: Array, var: Array, training: bool
) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]; in evaluation the statistics are constants."""
    if training:
        return norm_adjoint(g, x + r, weight, (0, 2))
    xp = get_xp(g, x, r)
    scale = 1.0 / xp.sqrt(var + EPS)
    ds = g * (weight * scale)[:, None]
    dweight = xp.sum(g * ((x + r - mean[:, None]) * scale[:, None]), axis=(0, 2))
    return ds, ds, dweight, xp.sum(g, axis=(0, 2))
