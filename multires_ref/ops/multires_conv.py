"""`multires_conv`: the layer by any engine, with one backward pass for all its arguments.

    y[n] = sum_r w[r] z_n[r] + w_skip x[n]          z_n: the memory that TreeSelect picks (see `tree.py`)

`multires_conv_traced` is the same by operations that autograd records one by one: for teaching, as a check of the gradient from
one backward pass, and for derivatives of second and higher order.
"""

from __future__ import annotations

from types import NoneType

import numpy as np
from autograd.builtins import tuple as traced_tuple
from autograd.core import make_vjp
from autograd.numpy.numpy_boxes import ArrayBox

from .. import tree
from ..base.arrays import Array, is_traced, unboxed
from ..base.layer_checks import check_layer_arrays
from ..engines import choose, get_engine
from .dilated_conv import dilated_conv
from .registry import Example, operation

SHAPES = [(2, 2, 9), (2, 3), (2, 3), (2, 4), (2,)]
EXAMPLES = (
    Example(SHAPES, ((1, 1, 1), "tree"), "fading"),
    Example([(2, 2, 9), (2, 2), (2, 2), (2, 6), (2,)], ((2, 2, 1), "tree"), "uniform"),
    Example([(2, 2, 9), (3, 2, 3), (3, 2, 3), (2, 4), (2,)], ((1, 1, 1), "tree"), "untied"),
)
Form = tuple[object, ...]  # the shapes and dtypes of a layer's arrays, and its other arguments
CHECKED: dict[Form | None, tuple[int, ...]] = {}  # the forms that were found good, and what their memory keeps of each level
MOST_FORMS = 1000
NUMPY = {np.ndarray, ArrayBox}  # a box may also be around a CuPy array: see `form_of`


def multires_conv(
    x: Array,
    h0: Array,
    h1: Array,
    w: Array,
    w_skip: Array,
    *,
    tree_select: str = "fading",
    depth: int | None = None,
    engine: str = "auto",
) -> Array:
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
        m - 1 for the fading tree; must be given for the uniform one.
    engine : "tree", "fft", "fused", "gpu" or "auto"
        The algorithm; "auto" takes the fastest that is installed and fits the arrays.

    Returns
    -------
    y : array [B, D, L]

    Raises
    ------
    TypeError
        For a dtype other than float32 and float64, for mixed dtypes, and where some arrays are on the CPU and others on a GPU.
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
    x, h0, h1, w, w_skip, kept = check_layer(x, h0, h1, w, w_skip, tree_select, depth)
    name = choose(engine, x, len(kept), kept, h0.shape[-1])
    return by_engine(x, h0, h1, w, w_skip, kept, name)


def check_layer(
    x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, tree_select: str, depth: int | None
) -> tuple[Array, Array, Array, Array, Array, tuple[int, ...]]:
    """The five arrays of a layer, checked against each other, and how many details of each level its memory keeps.

    Of NumPy's arrays only shapes and dtypes are checked, so once is enough for a layer that is called again and again.
    """
    form = form_of((x, h0, h1, w, w_skip), tree_select, depth)
    if form in CHECKED:
        return x, h0, h1, w, w_skip, CHECKED[form]
    x, h0, h1, w, w_skip, J = check_layer_arrays(x, h0, h1, w, w_skip, tree_select, depth)
    kept = tree.kept_per_level(J, h0.shape[-1], tree_select, w.shape[1])
    if form is not None and len(CHECKED) < MOST_FORMS:
        CHECKED[form] = kept
    return x, h0, h1, w, w_skip, kept


def form_of(arrays: tuple[Array, ...], tree_select: str, depth: int | None) -> Form | None:
    """All that a check of NumPy arrays, traced or not, looks at; None for other arguments."""
    if {*map(type, arrays)} <= NUMPY and type(tree_select) is str and type(depth) in (int, NoneType):
        bare = [a if type(a) is np.ndarray else unboxed(a) for a in arrays]
        if {*map(type, bare)} == {np.ndarray}:
            return (*((a.shape, a.dtype) for a in bare), tree_select, depth)
    return None


@operation(*EXAMPLES, name="multires_conv")
def by_engine(x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...], engine: str) -> Array:
    """y [B, D, L] by the engine of that name; `kept` says how many details of each level the memory holds."""
    return get_engine(engine).forward(x, h0, h1, w, w_skip, kept)


@by_engine.adjoint(of=5)
def by_engine_adjoint(
    g: Array, x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...], engine: str
) -> tuple[Array, Array, Array, Array, Array]:
    """The gradients of all five arrays, in their shapes."""
    arrays = (x, h0, h1, w, w_skip)
    if is_traced(g, *arrays):  # the gradient is being differentiated: give autograd operations that it knows
        vjp, _ = make_vjp(lambda five: traced_layer(*(*five, kept)), traced_tuple(arrays))
        dx, dh0, dh1, dw, dw_skip = vjp(g)
        return dx, dh0, dh1, dw, dw_skip
    return get_engine(engine).backward(g, *arrays, kept)


def multires_conv_traced(
    x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, *, tree_select: str = "fading", depth: int | None = None
) -> Array:
    """`multires_conv` written out: every coefficient is an array that autograd records, and stores until the backward pass.

    Same arguments and result. Memory O(B D L J), and several times slower: it is here to be read, and to check the gradient that
    `multires_conv` takes from one backward pass.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 2.0, 3.0, 4.0]]])
    >>> h0, h1 = np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]])
    >>> multires_conv_traced(x, h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.5]))
    array([[[ 1.5,  4. ,  7.5, 12. ]]])
    """
    x, h0, h1, w, w_skip, kept = check_layer(x, h0, h1, w, w_skip, tree_select, depth)
    return traced_layer(x, h0, h1, w, w_skip, kept)


def traced_layer(x: Array, h0: Array, h1: Array, w: Array, w_skip: Array, kept: tuple[int, ...]) -> Array:
    """`tree.layer`, whose convolutions are the operation that autograd knows, with its own adjoints."""
    return tree.layer(x, h0, h1, w, w_skip, kept, conv=dilated_conv)
