"""Memories that are the same linear recurrence at all times: z_n = A z_{n-1} + B x[n], with A [m, m] and B [m].

M follows from it: its column t is A^t B. Continuous memories, dz/dt = F z + G x(t), become such a recurrence by a zero-order
hold: x(t) = x[n] for a whole sample, and then A = exp(F) and B = F^-1 (A - I) G are exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .interface import Memory

MOST_LAGS = 2**22  # of a matrix


def zero_order_hold(F: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A and B of z_n = A z_{n-1} + B x[n], exact for dz/dt = F z + G x(t) where x is constant for each unit of time.

    (A, B) is the upper part of exp([[F, G], [0, 0]]), so F need not have an inverse.

    Examples
    --------
    >>> A, B = zero_order_hold(np.array([[-0.5]]), np.array([0.5]))  # dz/dt = (x - z) / 2
    >>> A.round(6), B.round(6)  # exp(-1/2), and 1 - exp(-1/2)
    (array([[0.606531]]), array([0.393469]))
    """
    from scipy.linalg import expm

    m = len(F)
    both = np.zeros((m + 1, m + 1))
    both[:m, :m], both[:m, m] = F, G
    both = expm(both)
    return both[:m, :m], both[:m, m]


class Recurrence(Memory):
    """z_n = A z_{n-1} + B x[n].

    `system` gives A and B in float64; the state is updated in the memory's dtype.
    """

    def __init__(self, size: int, horizon: int, dtype: str = "float64") -> None:
        super().__init__(size, horizon, dtype)
        self.A, self.B = self.system()  # A [m, m], or its diagonal [m]; B [m]
        self.A_rounded, self.B_rounded = np.ascontiguousarray(self.A, self.dtype), self.B.astype(self.dtype)

    def system(self) -> tuple[np.ndarray, np.ndarray]:
        """A [m, m], or its diagonal [m] where the rest is 0, and B [m]; float64."""
        raise NotImplementedError

    @property
    def is_diagonal(self) -> bool:
        """Whether each of the m numbers depends on its own past value alone."""
        return self.A.ndim == 1

    def start(self, channels: int) -> dict[str, np.ndarray]:
        return {"z": np.zeros((channels, self.size), self.dtype)}

    def advance(self, x: np.ndarray) -> None:
        z = self.state["z"]
        moved = z * self.A_rounded if self.is_diagonal else z @ self.A_rounded.T
        self.state["z"] = moved + x[:, None] * self.B_rounded

    def compiled(self) -> Any:
        from .numba.recurrence import dense, diagonal

        loop = diagonal if self.is_diagonal else dense
        return lambda rows, state, out: loop(self.A_rounded, self.B_rounded, rows, state["z"], out)

    def matrix(self, length: int | None = None, n: int | None = None) -> np.ndarray:
        """M [m, length] : column t is A^t B.

        The columns are doubled again and again: those from t on are A^t times the first t.
        """
        R = self.reach if length is None else length
        if self.is_diagonal:
            return (self.A[:, None] ** np.arange(R) * self.B[:, None]).astype(self.dtype)
        M, power = self.B[:, None], self.A
        while M.shape[1] < R:
            M, power = np.concatenate((M, power @ M), axis=1), power @ power
        return M[:, :R].astype(self.dtype)

    @property
    def reach(self) -> int:
        """The lag from which A^t has shrunk below the rounding of float64, by the largest eigenvalue of A in size."""
        slowest = float(np.abs(self.A if self.is_diagonal else np.linalg.eigvals(self.A)).max())
        lags = math.log(np.finfo("float64").eps) / math.log(slowest) if 0 < slowest < 1 else (1 if slowest == 0 else MOST_LAGS)
        return min(MOST_LAGS, max(self.horizon, math.ceil(lags)))

    @property
    def operations(self) -> int:
        """2 m^2 + m (m^2 + m products, m^2 sums); with a diagonal A, 3 m."""
        m = self.size
        return 3 * m if self.is_diagonal else 2 * m * m + m
