"""A signal and the coefficients of its tree over time, one above the other."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .style import COLOURS, level_colours, new_axes, styled


@styled
def plot_levels(x: np.ndarray, levels: list[tuple[np.ndarray, np.ndarray]], ax: Axes | None = None, *, title: str = "") -> Axes:
    """The signal at the bottom, then the details b_1 ... b_J and the approximation a_J at the top.

    Each row is divided by its own largest magnitude; short signals are drawn as stems, one a sample.

    Parameters
    ----------
    x : array [L]
    levels : [(a_1, b_1), ..., (a_J, b_J)], fine to coarse, as `pyramid` returns them

    Examples
    --------
    >>> from multires_ref import pyramid
    >>> x = np.array([3.0, 5.0, 4.0, 4.0])
    >>> ax = plot_levels(x, pyramid(x, np.array([1.0, 1.0]), np.array([-1.0, 1.0]), depth=1))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['$x$', '$b_{1}$', '$a_{1}$']
    """
    J = len(levels)
    rows = [("$x$", x), *((f"$b_{{{i}}}$", b) for i, (_, b) in enumerate(levels, start=1)), (f"$a_{{{J}}}$", levels[-1][0])]
    colours = [COLOURS["black"], *level_colours(J), level_colours(J)[-1]]
    ax = ax if ax is not None else new_axes(9, 0.9 + 0.62 * len(rows))
    for r, ((name, values), colour) in enumerate(zip(rows, colours, strict=True)):
        draw_row(ax, r, np.asarray(values), colour, name)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlabel="time n (samples)", xlim=(-0.6, len(x) - 0.4), ylim=(-0.6, len(rows) - 0.4), title=title)
    return ax


def draw_row(ax: Axes, r: int, values: np.ndarray, colour: str, name: str) -> None:
    """One signal around height r, between r - 0.42 and r + 0.42."""
    n, heights = np.arange(len(values)), r + 0.42 * values / max(abs(values).max(), np.finfo(float).tiny)
    ax.axhline(r, color=COLOURS["light"], lw=0.8, zorder=1, label=f"_{name}")
    if len(values) <= 64:
        ax.vlines(n, r, heights, color=colour, lw=1.6, zorder=2)
        ax.plot(n, heights, "o", ms=4.5, color=colour, label=name, zorder=3)
    else:
        ax.plot(n, heights, color=colour, lw=1.2, label=name, zorder=3)
