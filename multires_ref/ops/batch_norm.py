"""BatchNorm of the residual sum s = x + r: mean and variance of each channel over batch and time.

    out = weight (s - mean) / sqrt(var + eps) + bias

In evaluation mean and variance are the running statistics, which are constants.
"""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, get_xp, unboxed
from ..base.ranks import Share, in_order
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


def statistics_of_all_ranks(x: Array, r: Array, share: Share) -> tuple[Array, Array]:
    """Mean and biased variance [D] over the whole batch, of which x and r [B, D, L] are one rank's share.

    With the ranks' weights p, means m and variances v:  mean = sum p m,  var = sum p (v + (m - mean)^2)
    (Chan, Golub and LeVeque 1983).
    """
    mean, var = batch_statistics(x, r)
    both = share.ranks.gather(get_xp(mean).stack([mean, var]))  # [ranks, 2, D]
    means, variances = both[:, 0], both[:, 1]
    p = share.weights_like(mean)  # 0 for a rank without examples
    mean = in_order(p * means)
    return mean, in_order(p * (variances + (means - mean) ** 2))


def of_the_batch(x: Array, r: Array, weight: Array, bias: Array) -> tuple[Array, Array, bool]:
    """The last arguments of BatchNorm in training."""
    return *batch_statistics(unboxed(x), unboxed(r)), True


@operation(
    Example(SHAPES, of_the_batch, "training"), Example(SHAPES, RUNNING, "evaluation"), torch="torch.nn.functional.batch_norm"
)
def batch_norm(
    x: Array, r: Array, weight: Array, bias: Array, mean: Array, var: Array, training: bool, share: Share | None = None
) -> Array:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D].

    In training these must be `batch_statistics(x, r)`; the gradient then knows that they depend on x and r. Where x and r are one
    rank's `share` of a batch, they must be `statistics_of_all_ranks`; all ranks then take the gradient together.
    """
    scale = weight / get_xp(x, r).sqrt(var + EPS)
    return (x + r - mean[:, None]) * scale[:, None] + bias[:, None]


@batch_norm.adjoint(of=4)
def batch_norm_adjoint(
    g: Array,
    x: Array,
    r: Array,
    weight: Array,
    bias: Array,
    mean: Array,
    var: Array,
    training: bool,
    share: Share | None = None,
) -> tuple[Array, Array, Array, Array]:
    """The gradients of x, r [B, D, L], weight and bias [D]; in evaluation the statistics are constants.

    For a rank's `share` those of weight and bias are its part of the sum over the batch; it cannot be differentiated once more.
    """
    if training and share is None:
        return norm_adjoint(g, x + r, weight, (0, 2))
    xp = get_xp(g, x, r)
    scale = 1.0 / xp.sqrt(var + EPS)
    hat = (x + r - mean[:, None]) * scale[:, None]
    dweight, dbias = xp.sum(g * hat, axis=(0, 2)), xp.sum(g, axis=(0, 2))
    if training:
        sum_gs, sum_g, one = batch_sums(dweight, dbias, x.shape, share)
        g = g - (sum_g * one)[:, None] - hat * (sum_gs * one)[:, None]
    ds = of_own_examples(g * (weight * scale)[:, None], share)
    return ds, ds, dweight, dbias


def batch_sums(dweight: Array, dbias: Array, shape: tuple[int, ...], share: Share | None) -> tuple[Array, Array, float]:
    """The sums of g s^ and of g over the whole batch [D], and what makes means of them, from those over x of shape [B, D, L]."""
    if share is None:
        return dweight, dbias, 1.0 / (shape[0] * shape[2])
    sums = share.ranks.sum(get_xp(dweight).stack([dweight, dbias]))
    return sums[0], sums[1], 1.0 / (share.size * shape[2])


def of_own_examples(ds: Array, share: Share | None) -> Array:
    """ds; zero where the rank has no example, and what it computed with belongs to another one."""
    return ds if share is None or share.own else ds * 0.0
