"""HiPPO-LegT, the Legendre memory unit: the past of a sliding window in Legendre polynomials."""

from __future__ import annotations

import numpy as np

from ..base.checks import check_int
from .polynomials import legendre_means
from .recurrence import Recurrence, zero_order_hold
from .registry import register


def legt_system(m: int) -> tuple[np.ndarray, np.ndarray]:
    """F and G of theta dz/dt = F z + G x(t): [m, m] and [m].

        F_kj = (2 k + 1) (-1 if k < j, else (-1)^(k - j + 1)),        G_k = (2 k + 1) (-1)^k

    Where it comes from: z_k = (2 k + 1) / theta times the integral of x(t - s) P_k(2 s / theta - 1) over 0 <= s <= theta. The
    derivative in t, by parts, has the newest value x(t), the derivative of P_k, which is again a sum of P_j, and the value that
    leaves the window, x(t - theta). That one is no longer known: it is replaced by what z says of it, sum_j z_j.

    Examples
    --------
    >>> F, G = legt_system(2)
    >>> F, G
    (array([[-1., -1.],
           [ 3., -3.]]), array([ 1., -3.]))
    """
    k = np.arange(check_int("m", m, 1))
    sign = np.where(k[:, None] < k, -1.0, (-1.0) ** (k[:, None] - k + 1))
    return (2 * k + 1)[:, None] * sign, (2 * k + 1) * (-1.0) ** k


@register
class LegTMemory(Recurrence):
    """HiPPO-LegT, the Legendre memory unit (LMU): Legendre coefficients of the last theta = `horizon` samples.

        theta dz/dt = F z + G x(t),        x(t - s) is about sum_k z_k P_k(2 s / theta - 1),    0 <= s <= theta

    F and G are `legt_system`'s. Time is made discrete by a zero-order hold, each sample being held for its whole unit of time.
    Since the value that leaves the window is taken from z, M is not exactly P_k over the window and 0 beyond it: it rings at the
    window's far end. The state's view of x(t - theta) is the [m-1/m] Pade approximation of the delay.

    Parameters and errors are those of `memories.interface.Memory`.

    Sources: Voelker, Kajic, Eliasmith, "Legendre Memory Units", NeurIPS 2019; Gu et al., "HiPPO: Recurrent Memory with Optimal
    Polynomial Projections", NeurIPS 2020 (arXiv 2008.07669), where it is called LegT.

    Examples
    --------
    >>> legt = LegTMemory(3, horizon=100)
    >>> z = legt.push(np.arange(1000.0))  # a ramp: at lag s it is 999.5 - s, when x[999] has been held to its end
    >>> z.round(2)  # its mean over the window, minus half its rise, and no curvature
    array([949.5, -50. ,  -0. ])
    """

    name, title = "legt", "LegT (LMU)"
    source = "Voelker, Kajic, Eliasmith, NeurIPS 2019; Gu et al., arXiv 2008.07669"
    equation = "theta dz/dt = F z + G x, F_kj = (2k+1) (-1 if k < j else (-1)^(k-j+1)), G_k = (2k+1) (-1)^k"

    def system(self) -> tuple[np.ndarray, np.ndarray]:
        F, G = legt_system(self.size)
        return zero_order_hold(F / self.horizon, G / self.horizon)

    def basis(self, length: int) -> np.ndarray:
        """Row t: the means of P_0 ... P_{m-1} over lags t to t + 1 of the window; zero beyond it. [length, m]"""
        inside = min(check_int("length", length, 1), self.horizon)
        rows = np.zeros((length, self.size), self.dtype)
        rows[:inside] = legendre_means(self.size, 2 * np.arange(inside + 1) / self.horizon - 1).T
        return rows

    @property
    def settings(self) -> str:
        return f"window theta = {self.horizon}, zero-order hold"
