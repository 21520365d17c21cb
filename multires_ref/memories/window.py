"""The simplest memory: the last m samples, each as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.checks import check_int
from .interface import Memory
from .registry import register


def last_samples_matrix(size: int, length: int, dtype: str = "float64") -> np.ndarray:
    """M of the simplest memory: keep the last `size` samples, each as it is. [size, length]

    Examples
    --------
    >>> last_samples_matrix(2, 4)
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]])
    """
    return np.eye(check_int("size", size, 1), check_int("length", length, 1), dtype=dtype)


@register
class LastSamples(Memory):
    """z_n = (x[n], x[n-1], ..., x[n-m+1]): a shift register, or delay line. M is the identity, and then zeros.

    Parameters and errors are those of `memories.interface.Memory`; `horizon` changes nothing.

    Examples
    --------
    >>> last = LastSamples(3, horizon=8)
    >>> last.push(np.array([1.0, 2.0, 3.0, 4.0]))
    array([4., 3., 2.])
    >>> last.recover(5)  # what is older is estimated as zero
    array([4., 3., 2., 0., 0.])
    """

    name, title = "last", "last m samples"
    source = "a shift register"
    equation = "z_n = (x[n], ..., x[n-m+1])"

    def start(self, channels: int) -> dict[str, np.ndarray]:
        return {"z": np.zeros((channels, self.size), self.dtype)}

    def advance(self, x: np.ndarray) -> None:
        z = self.state["z"]
        z[:, 1:] = z[:, :-1].copy()
        z[:, 0] = x

    def compiled(self) -> Any:
        from .numba.window import shift

        return lambda rows, state, out: shift(rows, state["z"], out)

    def matrix(self, length: int | None = None, n: int | None = None) -> np.ndarray:
        return last_samples_matrix(self.size, self.reach if length is None else length, self.dtype)

    @property
    def operations(self) -> int:
        """0: numbers are moved, not changed."""
        return 0

    @property
    def reach(self) -> int:
        """m samples, or the horizon where that is longer."""
        return max(self.size, self.horizon)

    @property
    def settings(self) -> str:
        return "none"
