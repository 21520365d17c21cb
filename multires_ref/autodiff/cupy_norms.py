"""LayerNorm and BatchNorm on CuPy arrays: the kernels of `norms.cu`, and what is left pointwise. As `norms.py` defines them.

Sums over batch and time are taken row by row and then joined in a fixed order: no atomics, the same bits every time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..engines.cuda import kernel, launch
from .norms import EPS

BLOCK = (32, 8)  # lanes, groups: as in norms.cu
POINTWISE = {  # name: (inputs, outputs, operation)
    "batch_norm": (
        "T x, T r, T weight, T bias, T mean, T var, float64 eps",
        "T y",
        "y = (x + r - mean) * (weight / sqrt(var + T(eps))) + bias",
    ),
    "batch_norm_adjoint": (
        "T g, T x, T r, T weight, T mean, T var, T dweight, T dbias, float64 eps, float64 share",
        "T ds",
        "const T scale = T(1) / sqrt(var + T(eps));"
        "ds = scale * weight * (g - T(share) * (dbias + (x + r - mean) * scale * dweight))",
    ),
}


@cache
def elementwise(name: str) -> Any:
    """The compiled pointwise kernel of that name."""
    import cupy

    return cupy.ElementwiseKernel(*POINTWISE[name], f"multires_{name}")


def run(name: str, grid: tuple[int, ...], *args: Any) -> None:
    """Launch a kernel of norms.cu; floats go to it in the type of its arrays."""
    dtype = args[0].dtype
    args = tuple(dtype.type(a) if isinstance(a, float) else a for a in args)
    launch(kernel(name, ("autodiff/norms.cu",), str(dtype)), grid, BLOCK, args, 256 * dtype.itemsize)


def contiguous(*arrays: Any) -> list[Any]:
    """The arrays in C order."""
    import cupy

    return [cupy.ascontiguousarray(a) for a in arrays]


def layer_norm(x: Any, r: Any, weight: Any, bias: Any) -> Any:
    """LayerNorm over channels of x + r [B, D, L]: one launch."""
    import cupy

    (B, D, L), out = x.shape, cupy.empty(x.shape, dtype=x.dtype)
    run("layer_norm", (-(-L // 32), B), *contiguous(x, r, weight, bias), out, D, L, EPS)
    return out


def layer_norm_adjoint(g: Any, x: Any, r: Any, weight: Any) -> tuple[Any, Any, Any]:
    """ds [B, D, L], dweight [D], dbias [D]: one launch and a sum."""
    import cupy

    (B, D, L), ds = x.shape, cupy.empty(x.shape, dtype=x.dtype)
    partial = cupy.empty((B * -(-L // 32), 2, D), dtype=x.dtype)
    run("layer_norm_adjoint", (-(-L // 32), B), *contiguous(g, x, r, weight), ds, partial, D, L, EPS)
    sums = partial.sum(axis=0)
    return ds, sums[0], sums[1]


def batch_statistics(x: Any, r: Any) -> tuple[Any, Any]:
    """Mean and biased variance of x + r over batch and time, [D] each: two launches, one reading of the arrays."""
    import cupy

    B, D, L = x.shape
    rows, mean, var = (cupy.empty(shape, dtype=x.dtype) for shape in ((2, B, D), (D,), (D,)))
    run("row_statistics", (B * D,), *contiguous(x, r), rows, L)
    function = kernel("join_statistics", ("autodiff/norms.cu",), str(x.dtype))
    launch(function, (-(-D // 256),), (256,), (rows, mean, var, B, D, L))
    return mean, var


def columns(*vectors: Any) -> list[Any]:
    """[D, 1] from [D], so that they stand beside [B, D, L]."""
    return [v[:, None] for v in vectors]


def batch_norm(x: Any, r: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool) -> Any:
    """BatchNorm of x + r [B, D, L] with the given mean and variance [D]: one launch."""
    return elementwise("batch_norm")(x, r, *columns(weight, bias, mean, var), EPS)


def batch_norm_adjoint(g: Any, x: Any, r: Any, weight: Any, mean: Any, var: Any, training: bool) -> tuple[Any, Any, Any]:
    """ds [B, D, L], dweight [D], dbias [D]: two launches and a sum. In evaluation the statistics are constants: no share."""
    import cupy

    B, D, L = x.shape
    rows = cupy.empty((2, B, D), dtype=x.dtype)
    run("row_sums", (B * D,), *contiguous(g, x, r, mean, var), rows, D, L, EPS)
    dweight, dbias = rows.sum(axis=1)
    share = 1.0 / (B * L) if training else 0.0
    vectors = columns(weight, mean, var, dweight, dbias)
    return elementwise("batch_norm_adjoint")(g, x, r, *vectors, EPS, share), dweight, dbias
