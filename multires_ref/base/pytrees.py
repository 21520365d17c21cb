"""Pytrees, here nested dicts and lists of arrays: a function applied to every array; flat dicts with dotted names, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import Array

Pytree = Any  # nested dicts and lists of arrays
Params = dict[str, Any]  # a pytree whose branches have names: the parameters of a network, or of a part of it


def flatten(tree: Pytree, prefix: str = "") -> dict[str, Array]:
    """{"blocks": [{"norm": {"bias": a}}]} -> {"blocks.0.norm.bias": a}. Empty dicts and lists leave no trace.

    Examples
    --------
    >>> flatten({"encoder": {"bias": 1}, "blocks": [{"w": 2}, {"w": 3}]})
    {'encoder.bias': 1, 'blocks.0.w': 2, 'blocks.1.w': 3}
    """
    flat: dict[str, Array] = {}
    collect(tree, prefix, flat)
    return flat


def collect(tree: Pytree, prefix: str, flat: dict[str, Array]) -> None:
    """Add the arrays of a pytree to `flat`; `prefix` is the name of where it stands."""
    if not isinstance(tree, (dict, list)):
        flat[prefix] = tree
        return
    for name, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
        collect(branch, f"{prefix}.{name}" if prefix else str(name), flat)


def unflatten(flat: dict[str, Array]) -> Pytree:
    """The inverse of `flatten`: a branch whose names are 0, 1, 2, ... becomes a list.

    Examples
    --------
    >>> unflatten({"encoder.bias": 1, "blocks.0.w": 2, "blocks.1.w": 3})
    {'encoder': {'bias': 1}, 'blocks': [{'w': 2}, {'w': 3}]}
    """
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[leaf] = array
    return with_lists(tree)


def with_lists(tree: Pytree) -> Pytree:
    """Dicts with the keys "0", "1", ... turned into lists, at every depth."""
    if not isinstance(tree, dict):
        return tree
    branches = {name: with_lists(branch) for name, branch in tree.items()}
    if branches and set(branches) == {str(n) for n in range(len(branches))}:
        return [branches[str(n)] for n in range(len(branches))]
    return branches


def map_pytree(function: Callable[[Any], object], tree: Pytree) -> Pytree:
    """The same pytree with `function` applied to every array.

    Examples
    --------
    >>> map_pytree(lambda a: a + 1, {"a": 1, "b": [2, {"c": 3}]})
    {'a': 2, 'b': [3, {'c': 4}]}
    """
    if isinstance(tree, dict):
        return {name: map_pytree(function, branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [map_pytree(function, branch) for branch in tree]
    return function(tree)


def count_elements(tree: Pytree) -> int:
    """How many elements the arrays of a pytree hold together: the number of parameters.

    Examples
    --------
    >>> count_elements({"weight": np.zeros((2, 3)), "bias": np.zeros(2)})
    8
    """
    return sum(int(np.prod(array.shape)) for array in flatten(tree).values())
