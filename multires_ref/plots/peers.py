"""What `multires-ref bench peers` measured: the scores of every method on every data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..bench.peers_data import DATA
from .style import COLOURS, CYCLE, MARKERS, WIDTH, new_axes, new_figure, styled


@styled
def plot_peers_by_kind(results: list[dict[str, Any]]) -> Figure:
    """`plot_peers`, one panel for the accuracies and one for the R^2 of regression, each on an axis of its own.

    Examples
    --------
    >>> result = {"data": "GunPoint", "method": "MiniRocket", "seed": 0, "score": 0.99}
    >>> [ax.get_xlabel() for ax in plot_peers_by_kind([result, result | {"data": "Covid3Month"}]).axes]
    ['accuracy', 'R²']
    """
    kinds = {"accuracy": False, "R²": True}
    panels = {label: [r for r in results if DATA[r["data"]].regression == kind] for label, kind in kinds.items()}
    panels = {label: rows for label, rows in panels.items() if rows}
    heights = [0.5 + len({r["data"] for r in rows}) for rows in panels.values()]
    figure, axes = new_figure(WIDTH, 1.1 + 0.75 * sum(heights), rows=len(panels), height_ratios=heights)
    for (ax,), (label, rows) in zip(axes, panels.items(), strict=True):
        plot_peers(rows, ax)
        ax.set_xlabel(label)
        marks = ax.get_legend_handles_labels()
        ax.get_legend().remove()
    figure.legend(*marks, loc="outside upper center", ncols=3)
    return figure


@styled
def plot_peers(results: list[dict[str, Any]], ax: Axes | None = None) -> Axes:
    """A row for each data set, a mark for the mean score of each method, and a line from its lowest to its highest seed.

    Methods stand below each other within a row. Scores are accuracies, and R^2 for regression.

    Parameters
    ----------
    results : list of dict
        "data", "method", "seed" and "score" each, as in peers.json; those without a score were refused and are left out.

    Examples
    --------
    >>> ax = plot_peers([{"data": "GunPoint", "method": "MiniRocket", "seed": 0, "score": 0.99}])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['GunPoint']
    """
    scored = [r for r in results if "score" in r]
    names, methods = (list(dict.fromkeys(r[key] for r in scored)) for key in ("data", "method"))
    ax = ax if ax is not None else new_axes(WIDTH, 1.2 + 0.22 * len(methods) * len(names))
    for m, method in enumerate(methods):
        look = {"color": CYCLE[m % len(CYCLE)], "marker": MARKERS[m % len(MARKERS)]}
        for row, name in enumerate(names):
            scores = [r["score"] for r in scored if (r["data"], r["method"]) == (name, method)]
            if scores:
                height = row + (m - (len(methods) - 1) / 2) * 0.8 / len(methods)
                ax.plot([min(scores), max(scores)], [height] * 2, color=look["color"], lw=1.5)
                ax.plot(np.mean(scores), height, ls="", ms=6, label=method if row == 0 else None, **look)
    for row in range(1, len(names)):
        ax.axhline(row - 0.5, color=COLOURS["light"], lw=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.set(
        xlabel="accuracy, or R² for regression: mean of the seeds, and from the lowest to the highest",
        ylim=(len(names) - 0.4, -0.6),
    )
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return ax
