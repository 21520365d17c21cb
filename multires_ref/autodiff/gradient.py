"""A value and its gradients in every array of a nest, by one backward pass of autograd.

`autograd.value_and_grad` does the same on a nest, but lets every array's gradient travel through its containers: each of them is
filled with zeros, for every array anew, and added up. Here each array is a variable of its own, so nothing of that happens: on a
GPU that is most of a step's launches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd.core import VJPNode, add_outgrads, vspace
from autograd.tracer import isbox, new_box, toposort, trace_stack


def value_and_gradients(function: Callable[[Any], Any], params: Any) -> tuple[Any, Any]:
    """(function(params), its gradients) for nested dicts and lists `params` of arrays and a function that gives one number.

    The gradients are a nest like `params`. They are there to be read: two of them may share memory.

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
    with trace_stack.new_trace() as trace:
        boxes = map_arrays(lambda array: new_box(array, trace, VJPNode.new_root()), params)
        result = function(boxes)
    value = result._value if isbox(result) else result
    if getattr(value, "shape", ()) not in ((), (1,)):
        raise ValueError(f"the function must give one number; got an array of shape {tuple(value.shape)}")
    found = backward(result._node, vspace(value).ones()) if isbox(result) else {}
    return value, map_arrays(lambda box: gradient_of(box, found), boxes)


def map_arrays(function: Callable[[Any], Any], nest: Any) -> Any:
    """The same nest with `function` applied to every array."""
    if isinstance(nest, dict):
        return {name: map_arrays(function, branch) for name, branch in nest.items()}
    if isinstance(nest, list):
        return [map_arrays(function, branch) for branch in nest]
    return function(nest)


def backward(end: Any, g: Any) -> dict[Any, Any]:
    """The gradients that arrive at the nodes without parents, the variables: autograd's own backward pass, keeping them all."""
    arrived, found = {end: (g, False)}, {}
    for node in toposort(end):
        gradient = arrived.pop(node)
        if not node.parents:
            found[node] = gradient[0]
        for parent, part in zip(node.parents, node.vjp(gradient[0]), strict=True):
            arrived[parent] = add_outgrads(arrived.get(parent), part)
    return found


def gradient_of(box: Any, found: dict[Any, Any]) -> Any:
    """The gradient that arrived at a variable; zeros where the result does not depend on it."""
    return found[box._node] if box._node in found else vspace(box._value).zeros()
