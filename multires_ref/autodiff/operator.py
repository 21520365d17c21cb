"""`multires_conv`: the layer's convolution, by any engine, with one backward pass for all its arguments.

    y[n] = sum_r w[r] z_n[r] + w_skip x[n]          z_n: the memory that TreeSelect picks (see `tree.py`)

`multires_conv_traced` is the same by operations that autograd records one by one: for teaching, as a check of the fused
gradient, and for derivatives of second and higher order.
"""

from __future__ import annotations

from typing import Any

from autograd.builtins import tuple as traced_tuple
from autograd.core import make_vjp
from autograd.extend import defvjp_argnums, primitive

from ..arrays import is_traced
from ..checks import check_choice
from ..engines import ENGINES, choose, get_engine, readout
from ..tree import check_tree_arrays, check_weights, of_level, taps_per_level
from . import ops


def multires_conv(
    x: Any,
    h0: Any,
    h1: Any,
    w: Any,
    w_skip: Any,
    *,
    tree_select: str = "fading",
    depth: int | None = None,
    engine: str = "auto",
) -> Any:
    """The multiresolution convolution: y[n] = sum_r w[r] z_n[r] + w_skip x[n], channel by channel.

    Parameters
    ----------
    x : array [B, D, L]
        NumPy, CuPy or traced by autograd; float32 or float64, kept.
    h0, h1 : arrays [D, K], or untied across levels [J, D, K] (fine to coarse)
        Low-pass and high-pass filters in lag order: h0[:, 0] weights the newest sample.
    w : array [D, m]
        Weights of the memory in the order of `memory_rows`: a_J, b_J, ..., b_1.
    w_skip : array [D]
        Weight of the input itself.
    tree_select : "fading" or "uniform"
    depth : int, J
        m - 1 for the fading tree; must be told for the uniform one.
    engine : "tree", "fft", "fused", "gpu" or "auto"
        The algorithm; "auto" takes the fastest that is installed and fits the arrays.

    Returns
    -------
    y : array [B, D, L]

    Raises
    ------
    TypeError
        For a dtype other than float32 and float64, for mixed dtypes, and for arrays on different devices.
    ValueError
        For shapes that do not fit, a depth or memory size out of range, an unknown `tree_select` or `engine`.

    Notes
    -----
    The paper's layer; the authors' `MultiresLayer.forward` (thjashin/multires-conv, commit 828089f), which packs w and w_skip in
    one array and stores its filters newest sample last. Differentiable in all five arrays, to any order.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> h0, h1 = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])
    >>> multires_conv(x, h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.5]))
    array([[[ 1.5,  4. ,  7.5, 12. ]]])
    """
    x, h0, h1, w, w_skip, taps = check_arguments(x, h0, h1, w, w_skip, tree_select, depth)
    check_choice("engine", engine, (*ENGINES, "auto"))
    name = choose(engine, x, len(taps), taps, h0.shape[-1])
    return _multires_conv(x, h0, h1, w, w_skip, taps, name)


def check_arguments(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, tree_select: str, depth: int | None) -> tuple:
    """The five arrays, checked against each other, and the number of details kept at each level."""
    x, h0, h1 = check_tree_arrays(x, h0, h1)
    if x.ndim != 3:
        raise ValueError(f"x must have shape [B, D, L]; got {tuple(x.shape)}")
    if h0.ndim == 1:
        raise ValueError(f"h0 must have shape [D, K] or [J, D, K]; got {tuple(h0.shape)}")
    w, w_skip, J = check_weights(h0, w, w_skip, tree_select, depth)
    return x, h0, h1, w, w_skip, taps_per_level(J, h0.shape[-1], tree_select, w.shape[1])


@primitive
def _multires_conv(x, h0, h1, w, w_skip, taps, engine):
    return get_engine(engine).forward(x, h0, h1, w, w_skip, taps)


def _backward(g, x, h0, h1, w, w_skip, taps, engine):
    """The gradients of all five arrays."""
    return get_engine(engine).backward(g, x, h0, h1, w, w_skip, taps)


def _vjp(argnums, ans, args, kwargs):
    def vjp(g):
        if is_traced(g, *args[:5]):  # somebody differentiates the gradient: give autograd operations it knows
            arrays, taps = args[:5], args[5]
            gradients = make_vjp(lambda five: traced_from_taps(*five, taps), traced_tuple(arrays))[0](g)
        else:
            gradients = _backward(g, *args)
        return tuple(gradients[n] for n in argnums)

    return vjp


defvjp_argnums(_multires_conv, _vjp)


def multires_conv_traced(
    x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, *, tree_select: str = "fading", depth: int | None = None
) -> Any:
    """`multires_conv` written out: every coefficient is an array that autograd records, and stores until the backward pass.

    Same arguments and result. Memory O(B D L J), and several times slower: it is here to be read and to check the fused one.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> h0, h1 = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])
    >>> multires_conv_traced(x, h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.5]))
    array([[[ 1.5,  4. ,  7.5, 12. ]]])
    """
    *arrays, taps = check_arguments(x, h0, h1, w, w_skip, tree_select, depth)
    return traced_from_taps(*arrays, taps)


def traced_from_taps(x: Any, h0: Any, h1: Any, w: Any, w_skip: Any, taps: tuple[int, ...]) -> Any:
    """y = w_skip x + sum over levels of w_i[t] b_i[n - t 2^i] + w_a a_J, level by level."""
    y, a = w_skip[:, None] * x, x
    for i, (t_i, part) in enumerate(zip(taps, readout.level_slices(taps), strict=True), start=1):
        dilation = 2 ** (i - 1)
        if t_i:
            b = ops.dilated_conv(a, of_level(h1, i), dilation)
            y = y + ops.dilated_conv(b, w[:, part], 2 * dilation)  # the kept details are spaced 2^i
        a = ops.dilated_conv(a, of_level(h0, i), dilation)
    return y + w[:, 0, None] * a
