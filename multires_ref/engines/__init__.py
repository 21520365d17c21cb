"""The layer, computed by several algorithms that give the same numbers. Each of them is an engine.

    tree   NumPy or CuPy, level by level: the one to read          fft    SciPy: the layer as one long kernel
    fused  Numba: one pass over each row through all levels        gpu    CuPy: the same in a GPU's shared memory

`engine.py` says what an engine is and how to add one. `ENGINES` holds every engine by its name: each module of this folder that
defines `ENGINE` is found when the package is imported. `choose` is what "auto" does, and `explain_choice` says why.
`readout.py` has the algebra that three of the engines share; `rings.py` is the layer as a recurrence, one sample at a time.
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from ..base.arrays import Array, family, unboxed
from ..base.checks import check_choice
from ..base.threads import num_threads, set_num_threads
from .engine import KINDS, Engine
from .readout import filter_length

__all__ = ["ENGINES", "Engine", "available_engines", "choose", "explain_choice", "num_threads", "set_num_threads"]


def find_engines() -> dict[str, Engine]:
    """The `ENGINE` of every module in this folder that defines one, by name."""
    found: dict[str, Engine] = {}
    for module in (import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__) if not info.ispkg):
        engine = getattr(module, "ENGINE", None)
        if engine is None:
            continue
        if engine.name in found:
            raise ValueError(f"two engines are called {engine.name!r}; one of them is in {module.__name__}")
        found[engine.name] = engine
    return found


ENGINES = find_engines()


def get_engine(name: str) -> Engine:
    """The engine of that name."""
    return ENGINES[name]


def usable_engines(kind: str = "numpy") -> list[str]:
    """The names of the engines that can be used here, on arrays of this kind ("numpy" or "cupy").

    Examples
    --------
    >>> "tree" in usable_engines() and "gpu" not in usable_engines()
    True
    """
    return [name for name, engine in ENGINES.items() if kind in engine.runs_on and not engine.problem()]


def available_engines() -> dict[str, str]:
    """Every engine, and one line on what it runs on here, or why it cannot be used.

    Examples
    --------
    >>> available_engines()["tree"]
    'NumPy, one thread; CuPy arrays too'
    """
    threads = num_threads()
    lines = {name: (engine.problem(), engine.about.format(threads=threads)) for name, engine in ENGINES.items()}
    return {name: f"not available: {problem}" if problem else about for name, (problem, about) in lines.items()}


def choose(engine: str, x: Array, depth: int, kept: tuple[int, ...], kernel_size: int) -> str:
    """The name of the engine that will run: `engine` itself, or for "auto" the fastest that can be used and fits the arrays.

    Parameters
    ----------
    engine : str
        "auto" or a name in `ENGINES`.
    x : array [B, D, L], possibly traced
    depth, kernel_size : int, J and K
    kept : J ints
        How many details of each level the memory keeps, from `tree.kept_per_level`.

    Raises
    ------
    ValueError
        For a name that no engine has.
    TypeError
        For an engine that does not run on arrays of this kind: nothing is copied between CPU and GPU.
    ImportError
        For an engine whose library is not installed or does not load.

    Examples
    --------
    >>> import numpy as np
    >>> choose("tree", np.zeros((1, 1, 8)), 3, (1, 1, 1), 2)
    'tree'
    """
    check_choice("engine", engine, (*ENGINES, "auto"))
    if engine == "auto":
        return explain_choice(x, depth, kept, kernel_size)[0]
    record, kind = ENGINES[engine], family(unboxed(x))
    if kind not in record.runs_on:
        runs_on = " or ".join(KINDS[k] for k in record.runs_on)
        raise TypeError(f"engine {engine!r} runs on {runs_on} arrays; x is a {KINDS[kind]} array")
    if problem := record.problem():
        raise ImportError(f"engine {engine!r} needs {record.needs}: {problem}")
    return engine


def explain_choice(x: Array, depth: int, kept: tuple[int, ...], kernel_size: int) -> tuple[str, str]:
    """The engine that "auto" takes for x [B, D, L], and one line that says why.

    "auto" takes the fastest engine that can be used, or "fft" where the tree costs so many multiplications a sample that
    transforms were measured to be faster than that engine (its `crossover`).

    Examples
    --------
    >>> import numpy as np
    >>> from multires_ref.tree import kept_per_level
    >>> x = np.zeros((8, 16, 1024), np.float32)
    >>> engine, why = explain_choice(x, 10, kept_per_level(10, 2, "uniform", 900), 2)
    >>> engine
    'fft'
    """
    kind, (B, _, L) = family(unboxed(x)), x.shape
    compared = [ENGINES[name] for name in usable_engines(kind) if ENGINES[name].speed is not None]
    fastest = max(compared, key=lambda engine: engine.speed or 0)
    limit = fastest.crossover(B, L)
    if limit == math.inf:
        return fastest.name, f"the arrays are {KINDS[kind]}'s"
    products = multiplications(depth, kept, kernel_size)
    count, here = f"{products} multiplications a sample", "at this length and batch"
    if products > limit:
        return "fft", f"{count}, above the {limit:.0f} from where transforms are faster than {fastest.name!r} {here}"
    return fastest.name, f"{count}, below the {limit:.0f} from where transforms would be faster {here}"


@lru_cache
def multiplications(depth: int, kept: tuple[int, ...], kernel_size: int) -> int:
    """How many multiplications a sample costs in the tree: the sum over levels of K + Q_i, and one for w_a."""
    return depth * kernel_size + sum(filter_length(t, kernel_size) for t in kept) + 1
