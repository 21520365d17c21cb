"""Exponential averages, one for each of m time constants in geometric progression: octaves where m is log2(horizon) + 1."""

from __future__ import annotations

import numpy as np

from .recurrence import Recurrence
from .registry import register


@register
class ExponentialAverages(Recurrence):
    """m exponential averages with time constants from 1 sample to the horizon.

        z_i[n] = a_i z_i[n-1] + (1 - a_i) x[n],    a_i = exp(-1 / tau_i),    tau_i = horizon^(i / (m - 1)),    i = 0 ... m - 1

    So M[i, t] = (1 - a_i) a_i^t. With m = 10 and a horizon of 512 the time constants are the octaves 1, 2, 4, ..., 512; with more
    numbers there are several for each octave. The average of a constant is the constant.

    Parameters and errors are those of `memories.interface.Memory`; one number alone (m = 1) has the horizon for its time
    constant.

    Source: exponential smoothing (Brown, "Statistical Forecasting for Inventory Control", 1959); a ladder of leaky integrators.

    Examples
    --------
    >>> averages = ExponentialAverages(4, horizon=8)
    >>> averages.time_constants.round(6)
    array([1., 2., 4., 8.])
    >>> averages.push(np.ones(400)).round(6)
    array([1., 1., 1., 1.])
    """

    name, title = "averages", "exponential averages"
    source = "Brown, Statistical Forecasting for Inventory Control, 1959"
    equation = "z_i[n] = a_i z_i[n-1] + (1 - a_i) x[n], a_i = exp(-1 / tau_i)"

    @property
    def time_constants(self) -> np.ndarray:
        """tau_0 ... tau_{m-1} in samples: [m]."""
        return float(self.horizon) ** np.linspace(1.0 if self.size == 1 else 0.0, 1.0, self.size)

    def system(self) -> tuple[np.ndarray, np.ndarray]:
        a = np.exp(-1 / self.time_constants)
        return a, -np.expm1(-1 / self.time_constants)

    @property
    def settings(self) -> str:
        first, last = self.time_constants[[0, -1]]
        return f"time constants {first:g} to {last:g}, geometric"
