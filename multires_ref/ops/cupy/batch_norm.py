"""BatchNorm on CuPy arrays. Sums over batch and time are taken row by row and then joined in a fixed order."""

from __future__ import annotations

from ...base.arrays import Array
from ...base.ranks import Share
from ..batch_norm import batch_norm, batch_norm_adjoint, batch_statistics, batch_sums, of_own_examples
from ..layer_norm import EPS
from ._kernels import Kernel, contiguous
from ._norms import run

NORMALISE = Kernel(
    "batch_norm",
    "T x, T r, T weight, T bias, T mean, T var, float64 eps",
    "T y",
    "y = (x + r - mean) * (weight / sqrt(var + T(eps))) + bias",
)
NORMALISE_ADJOINT = Kernel(
    "batch_norm_adjoint",
    "T g, T x, T r, T weight, T mean, T var, T sum_gs, T sum_g, float64 eps, float64 one",
    "T ds",
    "const T scale = T(1) / sqrt(var + T(eps));ds = scale * weight * (g - T(one) * (sum_g + (x + r - mean) * scale * sum_gs))",
)


@batch_statistics.implementation("cupy")
def two_launches(x: Array, r: Array) -> tuple[Array, Array]:
    """Mean and biased variance of x + r over batch and time, [D] each; the arrays are read once."""
    import cupy

    B, D, L = x.shape
    rows, mean, var = (cupy.empty(shape, dtype=x.dtype) for shape in ((2, B, D), (D,), (D,)))
    run("row_statistics", (B * D,), *contiguous(x, r), rows, L)
    run("join_statistics", (-(-D // 256),), rows, mean, var, B, D, L, block=(256,))
    return mean, var


def columns(*vectors: Array) -> list[Array]:
    """[D, 1] from [D], so that they stand beside [B, D, L]."""
    return [v[:, None] for v in vectors]


@batch_norm.implementation("cupy")
def one_launch(
    x: Array, r: Array, weight: Array, bias: Array, mean: Array, var: Array, training: bool, share: Share | None = None
) -> Array:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D]."""
    return NORMALISE(x, r, *columns(weight, bias, mean, var), EPS)


@batch_norm_adjoint.implementation("cupy")
def two_launches_and_a_sum(
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
    """The gradients of x, r [B, D, L], weight and bias [D]. In evaluation the statistics are constants, so `one` is zero."""
    import cupy

    B, D, L = x.shape
    rows = cupy.empty((2, B, D), dtype=x.dtype)
    run("row_sums", (B * D,), *contiguous(g, x, r, mean, var), rows, D, L, EPS)
    dweight, dbias = rows.sum(axis=1)
    sum_gs, sum_g, one = batch_sums(dweight, dbias, x.shape, share) if training else (dweight, dbias, 0.0)
    ds = of_own_examples(NORMALISE_ADJOINT(g, x, r, *columns(weight, mean, var, sum_gs, sum_g), EPS, one), share)
    return ds, ds, dweight, dbias
