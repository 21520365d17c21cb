"""Which NumPy-like module an array belongs to, so that one piece of code serves CPU, GPU and traced arrays."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType, NoneType
from typing import Any

import numpy as np

Array = np.ndarray | Any  # a NumPy array, or one of CuPy or of autograd, whose types mypy does not know
Pairs = list[tuple[Array, Array]]  # the arrays (a, b) of each level of a tree
FOR_NUMPY = frozenset((np.ndarray, NoneType, bool, int, float, str, tuple))  # NumPy's arrays, and what is no array


def family(array: Array) -> str:
    """``"numpy"``, ``"cupy"`` or ``"autograd"`` (a traced array), from the type's module name alone.

    Nothing is imported: where there is a CuPy array, CuPy has been imported already.
    """
    kind: type = type(array)
    return family_of(kind)


@cache
def family_of(kind: type) -> str:
    """The same for a type: looked up once for each, because every operation asks."""
    root = kind.__module__.partition(".")[0]
    return root if root in ("cupy", "autograd") else "numpy"


def get_xp(*arrays: Array) -> ModuleType:
    """The module whose functions act on `arrays`: ``numpy``, ``cupy`` or ``autograd.numpy``.

    Raises
    ------
    TypeError
        If NumPy and CuPy arrays are mixed. Nothing is copied between devices silently.

    Examples
    --------
    >>> import numpy as np
    >>> get_xp(np.zeros(3)).__name__
    'numpy'
    """
    if FOR_NUMPY.issuperset(map(type, arrays)):  # the usual case, in one call
        return np
    families = {family(a) for a in arrays if hasattr(a, "shape") and not isinstance(a, np.generic)}
    if "autograd" in families:
        return sys.modules["autograd.numpy"]
    if families == {"numpy", "cupy"}:
        where = [f"{type(a).__module__}.{type(a).__name__}{tuple(a.shape)}" for a in arrays if hasattr(a, "shape")]
        raise TypeError(
            f"arrays on different devices: {', '.join(where)}. "
            "Move them first, with cupy.asarray or cupy.asnumpy; nothing is copied silently."
        )
    return sys.modules["cupy"] if "cupy" in families else np


def is_traced(*arrays: Array) -> bool:
    """Whether autograd is recording any of `arrays`."""
    return any(family(a) == "autograd" for a in arrays)


def unboxed(array: Any) -> Array:
    """The NumPy or CuPy array inside a traced one, however often it is traced; any other array as it is.

    What is computed from the result is a constant for autograd: no gradient flows through it.
    """
    while family(array) == "autograd":
        array = array._value
    return array
