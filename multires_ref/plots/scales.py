"""How much each scale weighs in a layer's output, before training and after."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..tree import memory_rows
from .learned import scale_shares
from .style import COLOURS, new_axes, styled

FLOOR = -4.0  # percent: room for the circles at 0


def shares_by_scale(conv: dict[str, Any], depth: int, tree_select: str = "fading") -> dict[str, float]:
    """The percent of a layer's output that each scale adds, coarse to fine, and the skip: {name: percent}, 100 together.

    It is `scale_shares` of one layer, with the rows of one level added up (the uniform memory has several a level).

    Examples
    --------
    >>> conv = {"h0": np.ones((1, 2)), "h1": np.ones((1, 2)), "w": np.array([[1.0, 0.0, 0.0]]), "w_skip": np.array([2.0])}
    >>> shares_by_scale(conv, depth=2)
    {'$a_{2}$': 50.0, '$b_{2}$': 0.0, '$b_{1}$': 0.0, 'skip': 50.0}
    """
    shares = 100 * scale_shares([conv], depth, tree_select)[0]
    sums: dict[str, float] = {}
    for row, share in zip(memory_rows(depth, conv["h0"].shape[-1], tree_select, conv["w"].shape[1]), shares, strict=False):
        if row.kind != "unused":
            name = f"${row.kind}_{{{row.level}}}$"
            sums[name] = sums.get(name, 0.0) + float(share)
    return sums | {"skip": float(shares[-1])}


@styled
def plot_scales(
    now: dict[str, float], before: dict[str, float] | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """The percent that each scale adds as a filled circle, and where it began (`before`) as an open one, with a line between.

    Parameters
    ----------
    now, before : {name: percent}, from `shares_by_scale`

    Examples
    --------
    >>> ax = plot_scales({"b1": 60.0, "skip": 40.0}, {"b1": 50.0, "skip": 50.0})
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['at the start', 'now']
    """
    ax = ax if ax is not None else new_axes(4.5, 2.4)
    places = np.arange(len(now))
    if before is not None:
        start = [before[name] for name in now]
        ax.vlines(places, start, [*now.values()], color=COLOURS["grey"], lw=1.5, zorder=2)
        ax.plot(places, start, "o", ms=8, mfc="white", mec=COLOURS["red"], mew=1.8, label="at the start", zorder=3)
    ax.plot(places, [*now.values()], "o", ms=8, color=COLOURS["blue"], label="now", zorder=4)
    ax.set_xticks(places, [*now])
    ax.grid(axis="y")
    top = max(ax.get_ylim()[1] if ax.get_ylim()[0] == FLOOR else 0.0, 1.1 * max([*now.values(), *(before or {}).values()]))
    ax.set(ylim=(FLOOR, top), title=title)  # axes that share their y axis end with the highest of all tops
    return ax
