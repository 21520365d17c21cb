"""Which implementation of an operation runs, by the type of its arrays.

The functions in `conv.py`, `pointwise.py`, `channels.py`, `norms.py` define the operations; they are written with operations
that autograd itself can differentiate, so traced arrays (second derivatives) always take them. A faster implementation has the
same name and signature in a module listed in FAST for its kind of array, and is held to the definition by tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from ..arrays import get_xp
from ..base.compiled import numba_works

DEFINITIONS = ("conv", "pointwise", "channels", "norms", "losses", "mixture", "update")
COMPILED = ("numba_pointwise", "numba_layer_norm", "numba_batch_norm", "numba_channels", "numba_update")  # need Numba
FAST: dict[str, tuple[str, ...]] = {
    "numpy": (*COMPILED, "numpy_ops"),
    "cupy": ("cupy_ops", "cupy_linear", "cupy_norms"),
}


@cache
def find(name: str, kind: str) -> Callable:
    """The function called `name` for arrays of that kind: the first fast module that has it, else the definition."""
    for module in (*FAST.get(kind, ()), *DEFINITIONS):
        if module in COMPILED and not numba_works():
            continue
        function = getattr(import_module(f"{__package__}.{module}"), name, None)
        if function is not None:
            return function
    raise LookupError(f"no operation called {name}")


def call(name: str, *args: object) -> object:
    """Run operation `name` on `args` by the implementation that fits them."""
    xp = get_xp(*args)
    kind = {"numpy": "numpy", "cupy": "cupy"}.get(xp.__name__, "autograd")
    return find(name, kind)(*args)
