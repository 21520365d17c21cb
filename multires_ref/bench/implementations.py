"""The operator in all implementations that are compared: our engines, and PyTorch in four formulations.

    conv1d     as the authors' code does it: a zero-padded depthwise dilated `conv1d` for each filter of each level
    tree       the same tree written with shifted, scaled sums
    compiled   the same under `torch.compile`
    fft        the layer as one long kernel (the response of the tree to an impulse), convolved by FFT

An implementation is a pair of functions without arguments. `forward` returns y; `both` computes forward and backward, and
returns y and the gradients of sum(g y) in x, h0, h1, w and w_skip.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..engines import usable_engines
from ..ops.multires_conv import multires_conv
from ..tree import depth_for
from .timing import check_agreement

AGREE = 2e-4  # of the norm; float32, and sums over time are added in another order


class Implementation(NamedTuple):
    """One way to compute the operator."""

    forward: Callable[[], Any]
    both: Callable[[], Any]


def operator_arguments(B: int, D: int, L: int, K: int, dtype: str = "float32") -> tuple[tuple[Any, ...], Any]:
    """x, h0, h1, w, w_skip of the fading layer at the depth that covers L, filters kept from growing with the depth; and g."""
    rng, m = np.random.default_rng(0), depth_for(L, K) + 1
    shapes = ((B, D, L), (D, K), (D, K), (D, m), (D,), (B, D, L))
    x, h0, h1, w, w_skip, g = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    h0 /= np.abs(h0).sum(axis=1, keepdims=True)
    return (x, h0, h1, w, w_skip), g


def our_implementations(args: tuple[Any, ...], g: Any) -> dict[str, Implementation]:
    """The engines that can be used here, by name."""
    return {name: ours(args, g, name) for name in usable_engines()}


def ours(args: tuple[Any, ...], g: Any, engine: str) -> Implementation:
    """`multires_conv` with one engine, its gradients by autograd as in training."""
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp

    def both() -> Any:
        vjp, y = make_vjp(lambda five: multires_conv(*five, engine=engine), traced_tuple(args))
        return y, vjp(g)

    return Implementation(lambda: multires_conv(*args, engine=engine), both)


def torch_implementations(args: tuple[Any, ...], g: Any) -> dict[str, Implementation]:
    """PyTorch's formulations: none where PyTorch is not installed, and no compiled one where there is no compiler."""
    try:
        import torch
    except ImportError:
        return {}
    functions = {"PyTorch conv1d": torch_conv1d, "PyTorch tree": torch_tree, "PyTorch fft": torch_fft}
    tensors, upstream = [torch.from_numpy(a).requires_grad_() for a in args], torch.from_numpy(g)

    def implementation(function: Callable) -> Implementation:
        def forward() -> Any:
            with torch.no_grad():
                return function(*tensors).numpy()

        def both() -> Any:
            y = function(*tensors)
            return y.detach().numpy(), [d.numpy() for d in torch.autograd.grad(y, tensors, upstream)]

        return Implementation(forward, both)

    return {name: implementation(function) for name, function in functions.items()} | compiled(implementation)


def compiled(implementation: Callable[[Callable], Implementation]) -> dict[str, Implementation]:
    """The tree under `torch.compile`, if that works here: it needs a C++ compiler."""
    import torch

    try:
        with warnings.catch_warnings():  # PyTorch warns about parts of its own
            warnings.simplefilter("ignore")
            made = implementation(torch.compile(torch_tree))
            made.both()
    except Exception as error:  # of any kind, from its back end; the line says which
        print(f"  torch.compile is left out: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
        return {}
    return {"PyTorch compiled": made}


def torch_conv1d(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any) -> Any:
    """The authors' `forward_fading`: two padded depthwise convolutions for each level."""
    from ..authors.torch_model import causal_conv

    J = w.shape[1] - 1
    kernel0, kernel1 = h0.flip(-1)[:, None], h1.flip(-1)[:, None]  # [D, 1, K], newest sample last
    y, a = w_skip[:, None] * x, x
    for i in range(1, J + 1):
        y = y + w[:, J + 1 - i, None] * causal_conv(a, kernel1, 2 ** (i - 1))
        a = causal_conv(a, kernel0, 2 ** (i - 1))
    return y + w[:, :1] * a


def torch_filter(a: Any, h: Any, dilation: int) -> Any:
    """sum_k h[:, k] a[n - k dilation] by padded slices."""
    import torch.nn.functional as F

    L, out = a.shape[-1], h[:, :1] * a
    for k in range(1, h.shape[1]):
        steps = min(k * dilation, L)
        out = out + h[:, k, None] * F.pad(a[..., : L - steps], (steps, 0))
    return out


def torch_tree(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any) -> Any:
    """The tree by shifted sums."""
    J = w.shape[1] - 1
    y, a = w_skip[:, None] * x, x
    for i in range(1, J + 1):
        y = y + w[:, J + 1 - i, None] * torch_filter(a, h1, 2 ** (i - 1))
        a = torch_filter(a, h0, 2 ** (i - 1))
    return y + w[:, :1] * a


def torch_fft(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any) -> Any:
    """The layer as one long kernel, by FFT."""
    import torch

    L = x.shape[-1]
    impulse = torch.zeros(1, x.shape[1], L, dtype=x.dtype)
    impulse[..., 0] = 1
    kernel = torch_tree(impulse, h0, h1, w, w_skip)  # [1, D, L]
    product = torch.fft.rfft(x, n=2 * L) * torch.fft.rfft(kernel, n=2 * L)
    return torch.fft.irfft(product, n=2 * L)[..., :L]


def largest_difference(make: Callable[[tuple[Any, ...], Any], dict[str, Implementation]], args: tuple[Any, ...], g: Any) -> float:
    """The largest relative difference of any implementation from the tree engine in float64, on two sequences of the batch.

    Raises
    ------
    ValueError
        If one differs by more than AGREE of the norm, forward or in a gradient: then nothing is timed.
    """
    few = (args[0][:2].copy(), *args[1:])
    exact = [a.astype(np.float64) for a in few]
    y, gradients = ours(tuple(exact), g[:2].astype(np.float64), "tree").both()
    differences = []
    for name, implementation in make(few, g[:2].copy()).items():
        their_y, theirs = implementation.both()
        pairs = [(their_y, y), (implementation.forward(), y), *zip(theirs, gradients, strict=True)]
        differences += [check_agreement(name, a, "the tree engine in float64", exact, AGREE) for a, exact in pairs]
    return max(differences, default=0.0)
