"""HiPPO-LegS: the whole past, from the first sample on, in Legendre polynomials that stretch as it grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..base.checks import check_choice, check_int, check_memory
from .interface import Memory
from .polynomials import legendre_means
from .registry import register

DISCRETISATIONS = ("exact", "bilinear")


def legs_system(m: int) -> tuple[np.ndarray, np.ndarray]:
    """F and G of t dz/dt = -F z + G x(t): [m, m] and [m].

        F_kj = sqrt((2 k + 1)(2 j + 1)) for k > j,    k + 1 for k = j,    0 for k < j;        G_k = sqrt(2 k + 1)

    Examples
    --------
    >>> F, G = legs_system(2)
    >>> F.round(3), G.round(3)
    (array([[1.   , 0.   ],
           [1.732, 2.   ]]), array([1.   , 1.732]))
    """
    k = np.arange(check_int("m", m, 1))
    d = np.sqrt(2.0 * k + 1)
    return np.tril(np.outer(d, d), -1) + np.diag(k + 1.0), d


def times_F(z: np.ndarray, d: np.ndarray, k1: np.ndarray) -> np.ndarray:
    """F z without F, for z [C, m]: (k + 1) z_k + d_k sum_{j < k} d_j z_j."""
    dz = d * z
    return k1 * z + d * (np.cumsum(dz, axis=-1) - dz)


@register
class LegSMemory(Memory):
    """HiPPO-LegS: Legendre coefficients of the whole past x[0] ... x[n], scaled to the time that has passed.

        t dz/dt = -F z + G x(t),        x(s) is about sum_k z_k sqrt(2 k + 1) P_k(2 s / t - 1),    0 <= s <= t

    F and G are `legs_system`'s. It varies with time: M at time n has n + 1 columns, the means of sqrt(2 k + 1) P_k over each
    sample, divided by n + 1. The horizon plays no part.

    With each sample held for its whole unit of time, one step is, exactly,

        z_n = e_0 x[n] + (n / (n + 1))^F (z_{n-1} - e_0 x[n]),        e_0 = (1, 0, ..., 0),

    because F e_0 = G, and the state is then the exact projection of all held samples. The paper's generalised bilinear transform
    with alpha = 1/2 replaces the power: with t = n of the old state and t = n + 1 of the new,

        (I + F / (2 (n + 1))) z_n = (I - F / (2 n)) z_{n-1} + G x[n] / (n + 1).

    Parameters
    ----------
    size, horizon, dtype
        As for `memories.interface.Memory`.
    discretisation : "exact" or "bilinear"
        The exact step sums the exponential series of F log(n / (n + 1)) to rounding, by O(m) operations for each term; it needs
        more terms at the beginning. Either takes O(m) operations, because F is a diagonal and a triangle of rank 1.

    Source: Gu et al., "HiPPO", NeurIPS 2020 (arXiv 2008.07669): LegS, and the generalised bilinear transform.

    Examples
    --------
    >>> legs = LegSMemory(3, horizon=8)
    >>> legs.push(np.array([1.0, 2.0, 3.0, 4.0])).round(3)  # the mean of all, their rise, and (as they rise evenly) no curvature
    array([2.5  , 1.083, 0.   ])
    """

    name, title = "legs", "LegS"
    source = "Gu et al., arXiv 2008.07669"
    equation = "t dz/dt = -F z + G x, F_kj = sqrt((2k+1)(2j+1)) for k > j, k + 1 for k = j; G_k = sqrt(2k+1)"
    time_varying = True

    def __init__(self, size: int, horizon: int, dtype: str = "float64", discretisation: str = "exact") -> None:
        super().__init__(size, horizon, dtype)
        self.discretisation = check_choice("discretisation", discretisation, DISCRETISATIONS)
        k = np.arange(self.size)
        self.d, self.k1 = np.sqrt(2.0 * k + 1).astype(self.dtype), (k + 1.0).astype(self.dtype)
        self.F = legs_system(self.size)[0]  # float64
        self.norm = float(np.linalg.norm(self.F, 2))  # says how many parts and terms the exponential series needs

    def start(self, channels: int) -> dict[str, np.ndarray]:
        return {"z": np.zeros((channels, self.size), self.dtype)}

    def advance(self, x: np.ndarray) -> None:
        steps: dict[str, Callable[[np.ndarray, int], None]] = {"exact": self.exact_step, "bilinear": self.bilinear_step}
        if self.n == 0:  # one sample: its projection is the constant
            self.state["z"] = np.zeros_like(self.state["z"])
            self.state["z"][:, 0] = x
        else:
            steps[self.discretisation](x, self.n)

    def exact_step(self, x: np.ndarray, n: int) -> None:
        """z = e_0 x + exp(F log(n / (n + 1))) (z - e_0 x)."""
        z = self.state["z"].copy()
        z[:, 0] -= x
        h = math.log1p(1 / n)
        parts, terms = series_length(h * self.norm)
        for _ in range(parts):
            term = z
            for p in range(1, terms + 1):
                term = times_F(term, self.d, self.k1) * z.dtype.type(-h / (parts * p))
                z = z + term
        z[:, 0] += x
        self.state["z"] = z

    def bilinear_step(self, x: np.ndarray, n: int) -> None:
        """Solve (I + F / (2 (n + 1))) z = (I - F / (2 n)) z_before + G x / (n + 1)."""
        from scipy.linalg import solve_triangular

        z = self.state["z"]
        right = z - times_F(z, self.d, self.k1) / z.dtype.type(2 * n) + self.d * (x / z.dtype.type(n + 1))[:, None]
        left = np.eye(self.size, dtype=z.dtype) + (self.F / (2 * (n + 1))).astype(z.dtype)
        self.state["z"] = solve_triangular(left, right.T, lower=True).T

    def compiled(self) -> Any:
        from .numba.legs import bilinear, exact

        if self.discretisation == "bilinear":
            return lambda rows, state, out: bilinear(self.d, self.k1, rows, self.n, state["z"], out)
        return lambda rows, state, out: exact(self.d, self.k1, self.norm, rows, self.n, state["z"], out)

    def matrix(self, length: int | None = None, n: int | None = None) -> np.ndarray:
        """M [m, length] when n samples have been seen (default: the present count): the exact projection, newest sample first.

        Columns beyond the first sample are zero.
        """
        n = check_int("n", max(1, self.n) if n is None else n, 1)
        R = n if length is None else check_int("length", length, 1)
        check_memory(f"length={R}", self.size * R, 8, 2**32 // (8 * self.size), "samples fit in 4 GiB")
        M = np.zeros((self.size, R))
        M[:, : min(R, n)] = self.columns(min(R, n), n)
        return M.astype(self.dtype)

    def columns(self, length: int, n: int, first: int = 0) -> np.ndarray:
        """Columns `first` to `length` - 1 of M when n samples have been seen, in float64: [m, length - first]."""
        edges = 1 - 2 * np.arange(first, length + 1) / n  # lag t is the time from n - t - 1 to n - t
        d = np.sqrt(2.0 * np.arange(self.size) + 1)
        return d[:, None] * legendre_means(self.size, edges) / n

    def basis(self, length: int) -> np.ndarray:
        """Row t: sqrt(2 k + 1) times the mean of P_k over the sample t steps ago; zero before the first sample. [length, m]"""
        return (self.matrix(length).T * max(1, self.n)).astype(self.dtype)

    @property
    def reach(self) -> int:
        """All samples that it has seen."""
        return max(1, self.n)

    @property
    def operations(self) -> int:
        """Bilinear: 14 m. Exact: 7 m for each term of the series, of which there are `series_length` at the present count."""
        if self.discretisation == "bilinear":
            return 14 * self.size
        parts, terms = series_length(math.log1p(1 / max(1, self.n)) * self.norm)
        return 7 * self.size * parts * terms + 2

    @property
    def settings(self) -> str:
        names = {"exact": "exact for held samples", "bilinear": "generalised bilinear, alpha = 1/2"}
        return f"the whole past, {names[self.discretisation]}"


def series_length(size: float) -> tuple[int, int]:
    """(parts, terms): in how many equal parts exp(-X), X of the norm `size`, is applied, and how many terms each takes.

    Examples
    --------
    >>> series_length(1.0), series_length(1e-3), series_length(30.0)
    ((1, 19), (1, 5), (30, 19))
    """
    parts = max(1, math.ceil(size))
    term, terms = 1.0, 0
    while term > 2.0**-54:
        terms += 1
        term *= size / parts / terms
    return parts, terms
