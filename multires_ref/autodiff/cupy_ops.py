"""The operations on CuPy arrays that are bound by memory, each in one pass over its arrays.

An `ElementwiseKernel` (a `ReductionKernel` for the mean over true lengths) does what `pointwise.py`, `channels.py` and
`update.py` define by several array operations. Same names, same signatures, held to the definitions by tests.

Kernels are C++ expressions in the type T of their arrays. Numbers that come from Python are passed as float64 and turned into T,
which is what NumPy does with a Python float beside a float32 array.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from .boxes import register_cupy
from .channels import pooling_weights

register_cupy()

PREAMBLE = """
template <class T> __device__ T sigmoid(T x) { return T(0.5) * tanh(T(0.5) * x) + T(0.5); }
template <class T> __device__ T normal_cdf(T x) { return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440))); }
template <class T> __device__ T normal_density(T x) { return T(0.39894228040143267794) * exp(T(-0.5) * x * x); }
"""
KERNELS = {  # name: (inputs, outputs, operation)
    "gelu": ("T x", "T y", "y = x * normal_cdf(x)"),
    "gelu_masked": ("T x, T mask", "T y", "y = mask * x * normal_cdf(x)"),
    "gelu_adjoint": ("T g, T x", "T dx", "dx = g * (normal_cdf(x) + x * normal_density(x))"),
    "gelu_adjoint_masked": ("T g, T x, T mask", "T dx", "dx = g * mask * (normal_cdf(x) + x * normal_density(x))"),
    "glu": ("T a, T b", "T y", "y = a * sigmoid(b)"),
    "glu_masked": ("T a, T b, T mask", "T y", "y = mask * a * sigmoid(b)"),
    "glu_adjoint": ("T g, T a, T b", "T da, T db", "const T s = sigmoid(b); da = g * s; db = g * a * s * (T(1) - s)"),
    "glu_adjoint_masked": (
        "T g, T a, T b, T mask",
        "T da, T db",
        "const T s = sigmoid(b), h = g * mask; da = h * s; db = h * a * s * (T(1) - s)",
    ),
    "embed": ("raw T table, I token, int64 D, int64 L", "T y", "y = table[token * D + i / L % D]"),
    "spread": ("T g, T weight", "T y", "y = g * weight"),
    "adam": (
        "T p, T g, T m, T v, float64 keep, float64 rest1, float64 beta2, float64 rest2, float64 root, float64 eps, float64 rate",
        "T p_new, T m_new, T v_new",
        "m_new = m + (g - m) * T(rest1); v_new = v * T(beta2) + g * g * T(rest2);"
        "p_new = p * T(keep) - m_new / (sqrt(v_new) / T(root) + T(eps)) * T(rate)",
    ),
}


@cache
def elementwise(name: str) -> Any:
    """The compiled kernel of that name."""
    import cupy

    return cupy.ElementwiseKernel(*KERNELS[name], f"multires_{name}", preamble=PREAMBLE)


def masked(name: str, mask: Any) -> tuple[Any, tuple]:
    """The kernel `name` with or without a mask, and what comes after its other arguments."""
    return (elementwise(name), ()) if mask is None else (elementwise(f"{name}_masked"), (mask,))


def gelu(x: Any, mask: Any = None) -> Any:
    """x Phi(x), times the mask."""
    kernel, mask = masked("gelu", mask)
    return kernel(x, *mask)


def gelu_adjoint(g: Any, x: Any, mask: Any = None) -> Any:
    """g (Phi(x) + x phi(x)), times the mask."""
    kernel, mask = masked("gelu_adjoint", mask)
    return kernel(g, x, *mask)


def glu(u: Any, mask: Any = None) -> Any:
    """u[:, :D] sigmoid(u[:, D:]), times the mask: [B, D, L] from u [B, 2 D, L]."""
    D = u.shape[1] // 2
    kernel, mask = masked("glu", mask)
    return kernel(u[:, :D], u[:, D:], *mask)


def glu_adjoint(g: Any, u: Any, mask: Any = None) -> Any:
    """The gradient of both halves of u, written into one array [B, 2 D, L]."""
    import cupy

    D, du = u.shape[1] // 2, cupy.empty_like(u)
    kernel, mask = masked("glu_adjoint", mask)
    kernel(g, u[:, :D], u[:, D:], *mask, du[:, :D], du[:, D:])
    return du


def embed(table: Any, tokens: Any) -> Any:
    """out[b, :, n] = table[tokens[b, n]]: [B, D, L], in that order in memory."""
    import cupy

    (B, L), D = tokens.shape, table.shape[1]
    spread = cupy.broadcast_to(tokens[:, None], (B, D, L))
    return elementwise("embed")(cupy.ascontiguousarray(table), spread, D, L)


@cache
def weighted_sum() -> Any:
    """The compiled reduction sum(x weight)."""
    import cupy

    return cupy.ReductionKernel("T x, T weight", "T y", "x * weight", "a + b", "y = a", "0", "multires_weighted_sum")


def masked_mean(x: Any, lengths: Any = None) -> Any:
    """The mean over time, over the first lengths[b] steps where lengths are given: [B, D]; x is read once."""
    weights = pooling_weights(x, lengths)
    return x.sum(axis=2) * weights if lengths is None else weighted_sum()(x, weights, axis=2)


def masked_mean_adjoint(g: Any, x: Any, lengths: Any = None) -> Any:
    """g spread evenly over the steps that were averaged: [B, D, L]."""
    import cupy

    weights = pooling_weights(x, lengths)
    if lengths is None:  # one number
        return cupy.broadcast_to((g * weights)[:, :, None], x.shape)
    return elementwise("spread")(g[:, :, None], weights)


def adam_update(
    p: Any, g: Any, m: Any, v: Any, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, step: int
) -> None:
    """One Adam step in place, as `update.adam_update`: one launch for a parameter."""
    keep, root, rate = 1.0 - lr * weight_decay, math.sqrt(1.0 - beta2**step), lr / (1.0 - beta1**step)
    elementwise("adam")(p, g, m, v, keep, 1.0 - beta1, beta2, 1.0 - beta2, root, eps, rate, p, m, v)
