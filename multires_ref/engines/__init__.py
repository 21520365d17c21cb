"""One operator, several algorithms, one signature: an engine is a module with `forward` and `backward`.

    forward(x, h0, q, w_a) -> y                       x, y [B, D, L]; h0 [J, D, K]; q: J arrays [D, Q_i]; w_a [D]
    backward(g, x, h0, q, w_a) -> dx, dh0, dq, dw_a   the gradient of sum(g y)

`readout.py` says what q is and why no engine needs the details b_i. Arrays arrive checked, plain (never traced) and of one
dtype. `h0` may be a read-only broadcast view, when one pair of filters serves all levels.

    tree   NumPy or CuPy, level by level: the readable one      fft    SciPy: the layer as one long kernel
    fused  Numba: one pass over each row through all levels     gpu    CuPy: the same in shared memory
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from ..arrays import family
from ..checks import check_choice

ENGINES = ("tree", "fft", "fused", "gpu")


def choose(engine: str, x: Any, depth: int, taps: tuple[int, ...], kernel_size: int) -> str:
    """The name of the engine that will run: `engine` itself, or for "auto" the fastest that is installed and fits the arrays."""
    check_choice("engine", engine, (*ENGINES, "auto"))
    if engine != "auto":
        return engine
    if family(getattr(x, "_value", x)) == "cupy":  # also where autograd traces x
        return "gpu"
    return "tree"


def get_engine(name: str) -> ModuleType:
    """The engine module of that name, imported when first asked for."""
    return import_module(f"{__name__}.{name}")
