"""Scores of several runs side by side: every run a dot, the mean a line; and costs against length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from .style import COLOURS, CYCLE, DASHES, new_axes, styled

MARKERS = "osD^v*"


@styled
def plot_runs(
    groups: dict[str, Sequence[float]], ax: Axes | None = None, *, xlabel: str = "test accuracy", title: str = ""
) -> Axes:
    """One row a group: a dot for every run, and a line at their mean.

    Dots are all there is: no box or bar hides how far the runs of one group lie apart.

    Examples
    --------
    >>> ax = plot_runs({"tied": [0.90, 0.92], "untied": [0.91, 0.95]})
    >>> [line.get_xdata().tolist() for line in ax.lines if line.get_label() == "runs"]
    [[0.9, 0.92], [0.91, 0.95]]
    """
    ax = ax if ax is not None else new_axes(9, 0.9 + 0.36 * len(groups))
    for row, scores in enumerate(groups.values()):
        mean = float(np.mean(scores))
        ax.plot([mean, mean], [row - 0.34, row + 0.34], "-", color=COLOURS["black"], lw=2, label="mean", zorder=3)
        ax.plot(list(scores), [row] * len(scores), "o", color=COLOURS["sky"], mec=COLOURS["blue"], ms=6, alpha=0.7, label="runs")
    ax.set_yticks(range(len(groups)), list(groups))
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set(xlabel=xlabel, title=title)
    return ax


@styled
def plot_costs(
    lengths: Sequence[int], costs: dict[str, Sequence[float]], ax: Axes | None = None, *, ylabel: str = "seconds", title: str = ""
) -> Axes:
    """Cost against the length of the sequence, both axes logarithmic, so that a power of the length is a straight line.

    Examples
    --------
    >>> ax = plot_costs([64, 128], {"streaming": [1.0, 2.0], "from scratch": [10.0, 40.0]})
    >>> [line.get_label() for line in ax.lines]
    ['streaming', 'from scratch']
    """
    ax = ax if ax is not None else new_axes(9, 4)
    for n, (name, values) in enumerate(costs.items()):
        look = {"color": CYCLE[n % len(CYCLE)], "ls": DASHES[n % len(DASHES)], "marker": MARKERS[n % len(MARKERS)]}
        ax.plot(list(lengths), list(values), label=name, **look)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(list(lengths), [f"{L:,}" for L in lengths])
    ax.minorticks_off()
    ax.grid()
    ax.legend()
    ax.set(xlabel="length L (samples)", ylabel=ylabel, title=title)
    return ax
