"""What an engine is: one record, which "auto", the checks, the commands, the benchmarks and the tests read.

To add an engine, add one file to this folder that defines `ENGINE = Engine(...)`. The file must be quick to import, so it imports
SciPy, Numba or CuPy inside its functions. `readout.by_readout` makes `forward` and `backward` from an algorithm that works with
readout filters; an engine may also bring its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..base.arrays import Array

Gradients = tuple[Array, Array, Array, Array, Array]  # of x, h0, h1, w and w_skip
Forward = Callable[[Array, Array, Array, Array, Array, tuple[int, ...]], Array]
Backward = Callable[[Array, Array, Array, Array, Array, Array, tuple[int, ...]], Gradients]
KINDS = {"numpy": "NumPy", "cupy": "CuPy"}  # the kinds of arrays there are, and how a message calls them


def no_problem() -> str:
    """An engine that needs no optional library can always be used."""
    return ""


def never(B: int, L: int) -> float:
    """An engine that transforms are never faster than, as far as was measured."""
    return math.inf


@dataclass(frozen=True)
class Engine:
    """One algorithm for the whole layer.

    Parameters
    ----------
    name : str
        What a caller gives as `engine=`.
    about : str
        One line on what it runs on; `{threads}` in it stands for the number of threads.
    runs_on : tuple of "numpy" and "cupy"
        The kinds of arrays that it takes and returns.
    forward : function (x, h0, h1, w, w_skip, kept) -> y
        x, y [B, D, L]; h0, h1 [D, K], or untied [J, D, K]; w [D, m]; w_skip [D]; kept: how many details of each level the memory
        keeps (`tree.kept_per_level`). The arrays arrive checked, of one dtype and never traced; they may be read-only views.
    backward : function (g, x, h0, h1, w, w_skip, kept) -> (dx, dh0, dh1, dw, dw_skip)
        The gradient of sum(g y) with respect to each array, in that array's shape and dtype.
    needs : str
        The optional library that it needs, if any.
    problem : function () -> str
        Why that library cannot be used here, or what to do; an empty string where it can be used.
    speed : int or None
        "auto" takes the usable engine with the highest speed. None: "auto" does not compare this engine by its speed.
    crossover : function (B, L) -> float
        From how many multiplications a sample on engine "fft" is faster than this one, forward and backward together.

    Examples
    --------
    >>> Engine("mine", "an example", ("torch",), forward=abs, backward=abs)
    Traceback (most recent call last):
        ...
    ValueError: engine 'mine': runs_on must be a tuple of 'numpy' and 'cupy'; got ('torch',)
    """

    name: str
    about: str
    runs_on: tuple[str, ...]
    forward: Forward
    backward: Backward
    needs: str = ""
    problem: Callable[[], str] = no_problem
    speed: int | None = None
    crossover: Callable[[int, int], float] = never

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier() or self.name == "auto":
            raise ValueError(f"name must be a word other than 'auto'; got {self.name!r}")
        if not isinstance(self.about, str) or len(self.about.splitlines()) != 1:
            raise ValueError(f"engine {self.name!r}: about must be one line of text; got {self.about!r}")
        if not isinstance(self.runs_on, tuple) or not self.runs_on or not set(self.runs_on) <= set(KINDS):
            kinds = " and ".join(map(repr, KINDS))
            raise ValueError(f"engine {self.name!r}: runs_on must be a tuple of {kinds}; got {self.runs_on!r}")
        for field in ("forward", "backward", "problem", "crossover"):
            if not callable(getattr(self, field)):
                raise TypeError(f"engine {self.name!r}: {field} must be a function; got {getattr(self, field)!r}")
