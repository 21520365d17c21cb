"""How far two computations of the same network are apart, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from .style import COLOURS, CYCLE, new_axes, styled

MARKERS = "osD^v*"


@styled
def plot_layer_errors(
    names: Sequence[str],
    errors: dict[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    unit: float | None = None,
    title: str = "",
) -> Axes:
    """Relative errors on a logarithmic axis, one row a layer in the order of computation, one marker a comparison.

    Parameters
    ----------
    names : list of str, the layers
    errors : {what is compared: one error a layer}; an error of exactly 0 is drawn at the left edge
    unit : float, drawn as a dashed line: the spacing of the numbers, such as 2**-23

    Examples
    --------
    >>> ax = plot_layer_errors(["conv", "gelu"], {"NumPy": [1e-7, 0.0], "PyTorch": [2e-7, 1e-7]}, unit=2**-23)
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['NumPy', 'PyTorch', 'spacing of the numbers near 1']
    """
    ax = ax if ax is not None else new_axes(9, 1.2 + 0.26 * len(names))
    values = np.array(list(errors.values()), np.float64)
    known = values[values > 0]
    left = 10 ** np.floor(np.log10(known.min() if known.size else 1e-17))
    for n, (label, row) in enumerate(zip(errors, values, strict=True)):
        look = {"marker": MARKERS[n % len(MARKERS)], "color": CYCLE[n % len(CYCLE)], "ms": 6, "mfc": "none" if n % 2 else None}
        ax.plot(np.maximum(row, left), range(len(names)), ls="none", label=label, **look)
    if unit is not None:
        ax.axvline(unit, color=COLOURS["grey"], ls="--", lw=1, label="spacing of the numbers near 1")
    ax.set_xscale("log")
    ax.set_yticks(range(len(names)), list(names))
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set(xlabel="relative error", title=title)
    return ax
