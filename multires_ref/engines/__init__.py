"""One operator, several algorithms, one signature: an engine is a module with `forward` and `backward`.

    forward(x, h0, q, w_a) -> y                       x, y [B, D, L]; h0 [J, D, K]; q: J arrays [D, Q_i]; w_a [D]
    backward(g, x, h0, q, w_a) -> dx, dh0, dq, dw_a   the gradient of sum(g y)

`readout.py` says what q is and why no engine needs the details b_i. Arrays arrive checked, plain (never traced) and of one
dtype. `h0` may be a read-only broadcast view, when one pair of filters serves all levels.

    tree   NumPy or CuPy, level by level: the readable one      fft    SciPy: the layer as one long kernel
    fused  Numba: one pass over each row through all levels     gpu    CuPy: the same in shared memory

`choose` is "auto"; `explain_choice` says why it chose so, and `available_engines` what there is to choose from.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ..base.arrays import family
from ..base.checks import check_choice
from ..base.compiled import numba_problem, numba_works
from .threads import num_threads, set_num_threads

ENGINES = ("tree", "fft", "fused", "gpu")
RUNS_ON = {"tree": ("numpy", "cupy"), "fft": ("numpy",), "fused": ("numpy",), "gpu": ("cupy",)}

__all__ = ["ENGINES", "available_engines", "choose", "explain_choice", "get_engine", "num_threads", "set_num_threads"]


def available_engines() -> dict[str, str]:
    """Every engine, and in one line whether it can run here and on what.

    Examples
    --------
    >>> sorted(available_engines())
    ['fft', 'fused', 'gpu', 'tree']
    """
    threads = num_threads()
    fused = f"Numba, {threads} threads" if numba_works() else f"not available: {numba_problem()}"
    gpu = "CuPy arrays" if find_spec("cupy") else "not available: pip install 'cupy-cuda13x[ctk]'"
    return {"tree": "NumPy, one thread; CuPy arrays too", "fft": f"SciPy, {threads} threads", "fused": fused, "gpu": gpu}


def choose(engine: str, x: Any, depth: int, taps: tuple[int, ...], kernel_size: int) -> str:
    """The name of the engine that will run: `engine` itself, or for "auto" the fastest that is installed and fits the arrays.

    Parameters
    ----------
    engine : "tree", "fft", "fused", "gpu" or "auto"
    x : array [B, D, L], possibly traced
    depth, kernel_size : int, J and K
    taps : J ints
        Details kept at each level, from `tree.kept_per_level`.

    Raises
    ------
    TypeError
        For an engine that does not run on arrays of this kind: nothing is copied between devices.

    Examples
    --------
    >>> import numpy as np
    >>> choose("tree", np.zeros((1, 1, 8)), 3, (1, 1, 1), 2)
    'tree'
    """
    check_choice("engine", engine, (*ENGINES, "auto"))
    kind = family_inside(x)
    if engine == "auto":
        return explain_choice(x, depth, taps, kernel_size)[0]
    if kind not in RUNS_ON[engine]:
        names = {"numpy": "NumPy", "cupy": "CuPy"}
        raise TypeError(f"engine {engine!r} runs on {names[RUNS_ON[engine][0]]} arrays; x is a {names[kind]} array")
    return engine


def explain_choice(x: Any, depth: int, taps: tuple[int, ...], kernel_size: int) -> tuple[str, str]:
    """The engine that "auto" takes for x [B, D, L], and in one line why.

    The rule compares the multiplications that a sample costs in the tree (`multiplications`) with where the two engines were
    measured to take equal times (`crossover`).

    Examples
    --------
    >>> import numpy as np
    >>> from multires_ref.tree import kept_per_level
    >>> x = np.zeros((8, 16, 1024), np.float32)
    >>> engine, why = explain_choice(x, 10, kept_per_level(10, 2, "uniform", 900), 2)
    >>> engine
    'fft'
    """
    if family_inside(x) == "cupy":
        return "gpu", "the arrays are CuPy's"
    name = "fused" if numba_works() else "tree"
    products, limit = multiplications(depth, taps, kernel_size), crossover(name, x)
    count = f"{products} multiplications a sample"
    if products > limit:
        return "fft", f"{count}, above the {limit:.0f} from where transforms are faster than {name!r} at this length and batch"
    return name, f"{count}, below the {limit:.0f} from where transforms would be faster at this length and batch"


def multiplications(depth: int, taps: tuple[int, ...], kernel_size: int) -> int:
    """Products a sample costs in the tree: sum over levels of K + Q_i, and one for w_a."""
    return depth * kernel_size + sum(2 * (t - 1) + kernel_size if t else 0 for t in taps) + 1


def crossover(name: str, x: Any) -> float:
    """The multiplications a sample from which `fft` is faster than the engine `name`, forward and backward, for x [B, D, L].

    Fitted to measurements on two cores of an AMD EPYC (Zen 5) with float32, B 1 and 8, L 16 to 4096, K 2 and 8: fused and fft
    take equal times at about 15 log2(L) multiplications for large batches and at four times as many for one sequence, where
    making the kernel, once a channel, is most of fft's work; tree and fft at about 100 for one sequence and fewer for more.
    """
    B, _, L = x.shape
    return 15 * (1 + 3 / B) * math.log2(2 * L) if name == "fused" else 100 / B


def family_inside(x: Any) -> str:
    """ "numpy" or "cupy", also for a traced array."""
    while hasattr(x, "_value"):
        x = x._value
    return family(x)


def get_engine(name: str) -> ModuleType:
    """The engine module of that name, imported when first asked for."""
    return import_module(f"{__name__}.{name}")
