"""The last m samples: every sample moves all of them by one place."""

from __future__ import annotations

import numpy as np

from ...base.compiled import njit

compiled = njit()


@compiled
def shift(rows: np.ndarray, z: np.ndarray, out: np.ndarray) -> None:
    """rows [C, T], z [C, m]."""
    for c in range(rows.shape[0]):
        for t in range(rows.shape[1]):
            for i in range(z.shape[1] - 1, 0, -1):
                z[c, i] = z[c, i - 1]
            z[c, 0] = rows[c, t]
            if out.shape[1]:
                out[c, t] = z[c]
