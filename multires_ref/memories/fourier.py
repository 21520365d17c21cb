"""HiPPO-FouT: the past of a sliding window in cosines and sines."""

from __future__ import annotations

import numpy as np

from ..base.checks import check_int
from .recurrence import Recurrence, zero_order_hold
from .registry import register


def fourier_values(m: int, s: np.ndarray) -> np.ndarray:
    """1, sqrt(2) cos(2 pi s), sqrt(2) sin(2 pi s), sqrt(2) cos(4 pi s), ... at s in [0, 1]: [m, len(s)], orthonormal there.

    Examples
    --------
    >>> fourier_values(3, np.array([0.0, 0.25])).round(3)
    array([[1.   , 1.   ],
           [1.414, 0.   ],
           [0.   , 1.414]])
    """
    s, k = np.asarray(s, np.float64), np.arange(m)
    angle = 2 * np.pi * ((k + 1) // 2)[:, None] * s
    values = np.sqrt(2) * np.where((k % 2 == 1)[:, None], np.cos(angle), np.sin(angle))
    values[0] = 1
    return values


def fourier_system(m: int) -> tuple[np.ndarray, np.ndarray]:
    """F and G of theta dz/dt = F z + G x(t): [m, m] and [m], with e_k of `fourier_values`.

        F = D - 2 e(0) e(0)^T,        G = 2 e(0),        D turns every pair (cosine, sine) of frequency j by 2 pi j

    Where it comes from: z_k is the mean of x(t - s) e_k(s / theta) over the window. Its derivative has the newest value x(t), the
    derivative of e_k, and the value that leaves, x(t - theta). A Fourier series takes the mean of the two ends there, so that
    x(t) + x(t - theta) is about 2 sum_k z_k e_k(0): this replaces x(t - theta).

    m must be odd: a last cosine without its sine could not turn, and nothing would make it forget.

    Examples
    --------
    >>> F, G = fourier_system(3)
    >>> F.round(3), G.round(3)
    (array([[-2.   , -2.828,  0.   ],
           [-2.828, -4.   , -6.283],
           [ 0.   ,  6.283,  0.   ]]), array([2.   , 2.828, 0.   ]))
    """
    if check_int("m", m, 1) % 2 == 0:
        raise ValueError(f"m must be odd, for a constant and pairs of a cosine and a sine; got {m}")
    e = fourier_values(m, np.zeros(1))[:, 0]
    D = np.zeros((m, m))
    for c in range(1, m, 2):
        D[c, c + 1], D[c + 1, c] = -np.pi * (c + 1), np.pi * (c + 1)
    return D - 2 * np.outer(e, e), 2 * e


@register
class FourierMemory(Recurrence):
    """HiPPO-FouT: Fourier coefficients of the last theta = `horizon` samples.

        theta dz/dt = F z + G x(t),        x(t - s) is about sum_k z_k e_k(s / theta),    0 <= s <= theta

    F and G are `fourier_system`'s, e_k `fourier_values`: a constant, then cosine and sine of the frequencies 1 / theta, 2 /
    theta, ... Time is made discrete by a zero-order hold. Where m is even, the last number is not used and stays 0.

    Parameters and errors are those of `memories.interface.Memory`.

    Sources: Gu et al., "HiPPO", NeurIPS 2020 (arXiv 2008.07669); with these constants Gu, Johnson, Timalsina,
    Rudra, Re, "How to Train Your HiPPO", ICLR 2023 (arXiv 2206.12037).

    Examples
    --------
    >>> wave = FourierMemory(5, horizon=64)
    >>> z = wave.push(np.cos(2 * np.pi * np.arange(6400) / 64))
    >>> np.hypot(z[1], z[2]).round(2), abs(z[[0, 3, 4]]).max().round(2)  # one turn a window: all in the first pair
    (np.float64(0.71), np.float64(0.0))
    """

    name, title = "fourier", "Fourier (FouT)"
    source = "Gu et al., arXiv 2008.07669 and arXiv 2206.12037"
    equation = "theta dz/dt = F z + G x, F = D - 2 e(0) e(0)^T, G = 2 e(0)"

    def system(self) -> tuple[np.ndarray, np.ndarray]:
        used = self.size - (self.size % 2 == 0)
        F, G = fourier_system(used)
        A, B = np.zeros((self.size, self.size)), np.zeros(self.size)
        A[:used, :used], B[:used] = zero_order_hold(F / self.horizon, G / self.horizon)
        return A, B

    def basis(self, length: int) -> np.ndarray:
        """Row t: e_0 ... e_{m-1} at the middle of lags t to t + 1; zero beyond the window. [length, m]"""
        inside = min(check_int("length", length, 1), self.horizon)
        rows = np.zeros((length, self.size), self.dtype)
        rows[:inside] = fourier_values(self.size, (np.arange(inside) + 0.5) / self.horizon).T
        return rows

    @property
    def settings(self) -> str:
        unused = ", the last number not used" if self.size % 2 == 0 else ""
        return f"window theta = {self.horizon}, zero-order hold{unused}"
