"""autograd's side of things: the backward pass that keeps what a caller asks for, and CuPy arrays that autograd can trace.

`autograd.value_and_grad` does the same on a pytree, but lets every array's gradient travel through its containers: each of them
is filled with zeros, for every array anew, and added up. Here each array is a variable of its own, so nothing of that happens: on
a GPU that is most of a step's launches.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.core import VJPNode, add_outgrads
from autograd.core import vspace as vector_space
from autograd.extend import VSpace
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import isbox, new_box, toposort, trace_stack

from ..base.arrays import Array
from ..base.buffers import empty
from ..base.pytrees import flatten, map_pytree
from ..base.threads import POINTWISE, limited
from ..base.workers import share_out


def value_and_gradients(
    function: Callable[[Any], Any], params: Any, complete: Callable[[str, Array], None] | None = None
) -> tuple[Any, Any]:
    """(function(params), its gradients) for a pytree `params` of arrays and a function that gives one number.

    The gradients are a pytree like `params`. They are there to be read: two of them may share memory. `complete` is called with
    the name of an array, such as "blocks.0.conv.h0", and its gradient as soon as that is complete, while the backward pass still
    runs; not for an array that the result does not depend on.

    Raises
    ------
    ValueError
        If the result is not one number.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"a": np.ones(2), "b": [np.array([2.0, 3.0])]}
    >>> value, gradients = value_and_gradients(lambda p: (p["a"] * p["b"][0]).sum(), params)
    >>> print(value, gradients)
    5.0 {'a': array([2., 3.]), 'b': [array([1., 1.])]}
    """
    result, boxes = record(function, params)
    value = result._value if isbox(result) else result
    if getattr(value, "shape", ()) not in ((), (1,)):
        raise ValueError(f"the function must give one number; got an array of shape {tuple(value.shape)}")
    at_variable = None if complete is None else by_name(complete, boxes)
    arrived = backward(result._node, vector_space(value).ones(), at_variable=at_variable) if isbox(result) else {}
    return value, map_pytree(lambda box: gradient_of(box, arrived), boxes)


def by_name(complete: Callable[[str, Array], None], boxes: Any) -> Callable[[Any, Array], None]:
    """`complete`, to be called with a variable's node instead of its name in the pytree `boxes`."""
    variables: dict[str, Any] = flatten(boxes)
    names = {box._node: name for name, box in variables.items()}
    return lambda node, gradient: complete(names[node], gradient)


def record(function: Callable[[Any], Any], params: Any) -> tuple[Any, Any]:
    """function(params) as autograd records it, and the variables: the pytree `params` with every array traced."""
    with trace_stack.new_trace() as trace:
        boxes = map_pytree(lambda array: new_box(array, trace, VJPNode.new_root()), params)
        return function(boxes), boxes


def backward(
    end: Any,
    g: Array,
    keep: Callable[[Any], bool] | None = None,
    at_variable: Callable[[Any, Array], None] | None = None,
) -> dict[Any, Array]:
    """autograd's backward pass from node `end`, where g arrives: the gradients at the variables and at the nodes that `keep`
    names. `at_variable` is called with every variable and its gradient, in the order in which these are complete."""
    arriving, kept = {end: (g, False)}, {}
    for node in toposort(end):
        gradient = arriving.pop(node)
        if not node.parents or (keep is not None and keep(node)):
            kept[node] = gradient[0]
        if at_variable is not None and not node.parents:
            at_variable(node, gradient[0])
        for parent, part in zip(node.parents, node.vjp(gradient[0]), strict=True):
            arriving[parent] = added(arriving.get(parent), part)
    return kept


def added(before: tuple[Array, bool] | None, part: Array) -> tuple[Array, bool]:
    """autograd's sum of the gradients that arrive at a node, as (sum, whether it may be changed in place).

    The sum of two large NumPy arrays is made in memory that is used again.
    """
    if before is None or before[1] or type(before[0]) is not np.ndarray or type(part) is not np.ndarray:
        return add_outgrads(before, part)
    if before[0].shape != part.shape or before[0].dtype != part.dtype:
        return add_outgrads(before, part)
    return large_sum(before[0], part), True


def large_sum(a: Array, b: Array) -> Array:
    """a + b for NumPy arrays of the same shape and dtype, by several threads if that is worth it."""
    out = empty(a.shape, a.dtype)
    with limited(POINTWISE * a.size) as threads:
        if threads == 1:
            return np.add(a, b, out=out)
        share_out(lambda begin, end: np.add(a[begin:end], b[begin:end], out=out[begin:end]), len(a), threads)
    return out


def gradient_of(box: Any, arrived: dict[Any, Array]) -> Array:
    """The gradient that arrived at a variable; zeros where the result does not depend on it."""
    return arrived[box._node] if box._node in arrived else vector_space(box._value).zeros()


class CupyVSpace(VSpace):
    """CuPy arrays of one shape and dtype as a vector space: all results stay on the GPU.

    A traced CuPy array gets the same box as a NumPy one, whose operators are ufuncs, and these dispatch to CuPy; the vector space
    is written here, since autograd's own calls `np.asarray`, which CuPy refuses.
    """

    def __init__(self, value: Array) -> None:
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def zeros(self) -> Array:
        """0 everywhere."""
        return sys.modules["cupy"].zeros(self.shape, dtype=self.dtype)

    def ones(self) -> Array:
        """1 everywhere: where a backward pass starts."""
        return sys.modules["cupy"].ones(self.shape, dtype=self.dtype)

    def _inner_prod(self, x: Array, y: Array) -> Array:
        return sys.modules["cupy"].sum(x * y)


def register_cupy() -> None:
    """Let autograd trace CuPy arrays. Runs by itself if CuPy was imported before this package, or at the first operation on such
    an array; call it where neither holds."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and cupy.ndarray not in VSpace.mappings:
        ArrayBox.register(cupy.ndarray)
        VSpace.register(cupy.ndarray, CupyVSpace)


register_cupy()
