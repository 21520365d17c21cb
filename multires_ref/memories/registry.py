"""All memories by name. A class is entered by `@register`, above its definition; every file of this folder is imported."""

from __future__ import annotations

from ..base.checks import check_choice
from .interface import Memory

MEMORIES: dict[str, type[Memory]] = {}


def register(kind: type[Memory]) -> type[Memory]:
    """Enter a memory under its `name`.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if kind.name in MEMORIES:
        raise ValueError(f"two memories are called {kind.name!r}: {MEMORIES[kind.name].__name__} and {kind.__name__}")
    MEMORIES[kind.name] = kind
    return kind


def make_memory(name: str, size: int, horizon: int, dtype: str = "float64") -> Memory:
    """The memory of that name with `size` numbers for a past of `horizon` samples; its other parameters are set by its rule.

    Parameters
    ----------
    name : str
        One of `memories.MEMORIES`: "fading", "uniform", "fading-db2", "uniform-db2" (trees), "last", "averages", "legt", "legs",
        "fourier".
    size, horizon : int
    dtype : "float32" or "float64"

    Raises
    ------
    TypeError, ValueError
        For a name that no memory has (with the nearest names), and for sizes that the memory cannot have.

    Examples
    --------
    >>> import numpy as np
    >>> legt = make_memory("legt", size=4, horizon=32)
    >>> legt.push(np.ones(500)).round(6) + 0.0  # of a constant, Legendre's first coefficient is the value; the others are 0
    array([1., 0., 0., 0.])
    >>> legt.settings
    'window theta = 32, zero-order hold'
    """
    check_choice("name", name, MEMORIES)
    return MEMORIES[name](size, horizon, dtype)
