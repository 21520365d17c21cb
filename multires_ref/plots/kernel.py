"""The one long kernel that a layer equals, and the scales it is the sum of."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .analysis import memory_matrix, short_name
from .style import COLOURS, level_colours, new_axes, octaves, styled


@styled
def plot_kernel(
    h0: np.ndarray,
    h1: np.ndarray,
    w: np.ndarray,
    w_skip: float,
    ax: Axes | None = None,
    *,
    tree_select: str = "fading",
    depth: int | None = None,
    title: str = "",
) -> Axes:
    """The equivalent kernel of one channel, y[n] = sum_t kernel[t] x[n-t], in black, over what each scale adds to it, in colour.

    Parameters
    ----------
    h0, h1 : arrays [K], or untied [J, K];  w : array [m];  w_skip : number
        One channel of a layer's parameters.
    tree_select, depth
        As for `multires_conv`.

    Examples
    --------
    >>> ax = plot_kernel(np.array([0.5, 0.5]), np.array([1.0, -1.0]), np.array([1.0, 0.0, 0.0]), 0.0)
    >>> ax.lines[-1].get_ydata()
    array([0.25, 0.25, 0.25, 0.25])
    """
    ax = ax if ax is not None else new_axes(9, 3.4)
    J, m = (len(w) - 1 if depth is None else depth), len(w)
    M, rows = memory_matrix(h0, h1, J, tree_select, m)
    kernel = w @ M
    kernel[0] += w_skip
    lags = 1 + np.arange(len(kernel))
    colours = level_colours(J)
    ax.axhline(0, color=COLOURS["light"], lw=0.8, zorder=0)
    for part, row in zip(w[:, None] * M, rows, strict=True):
        if row.kind != "unused":
            ax.plot(lags, part, drawstyle="steps-mid", lw=1.0, color=colours[row.level - 1], label=short_name(row))
    ax.plot(lags, kernel, drawstyle="steps-mid", lw=2.2, color=COLOURS["black"], label="their sum, the kernel")
    octaves(ax, len(kernel))
    ax.set(xlabel="samples back, t + 1", ylabel="weight of x[n-t]", title=title)
    return ax
