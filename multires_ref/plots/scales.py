"""How much each scale weighs: in a layer, before training and after; and in one output or decision, lag by lag."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from ..tree import memory_rows
from .analysis import row_gains
from .style import COLOURS, new_axes, octaves, styled
from .tree import row_name

FOR, AGAINST = COLOURS["blue"], COLOURS["red"]
FLOOR = -4.0  # percent: room for the circles at 0


def shares_by_scale(conv: dict[str, Any], depth: int, tree_select: str = "fading") -> dict[str, float]:
    """What percentage of a layer's output each scale adds, coarse to fine, and the skip weight: {name: percent}. They sum to 100.

    These are the `scale_shares` of one layer; the rows of one level are added up, since the uniform memory has several of them.

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
    """What percentage each scale adds: now as a filled circle, before training as an open one, with a line between the two.

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


@styled
def plot_scale_gains(
    blocks: list[dict[str, Any]],
    depth: int,
    tree_select: str = "fading",
    ax: Axes | None = None,
    *,
    title: str = "",
    top: float | None = None,
) -> Axes:
    """How much each row of the memory weighs in each layer, in percent of the layer: `row_gains`, averaged over channels.

    Parameters
    ----------
    blocks : list of {"h0", "h1", "w", "w_skip"}, one for each layer
    depth : int, J;  tree_select : str
    top : float, the share at the dark end of the colours (default: the largest)

    Examples
    --------
    >>> conv = {"h0": np.ones((1, 2)), "h1": np.ones((1, 2)), "w": np.ones((1, 3)), "w_skip": np.zeros(1)}
    >>> ax = plot_scale_gains([conv, conv], depth=2)
    >>> ax.images[0].get_array().shape  # layers x (memory rows and the skip)
    (2, 4)
    """
    shares = scale_shares(blocks, depth, tree_select)
    names = row_names(depth, blocks[0], tree_select)
    ax = ax if ax is not None else new_axes(9, 1.0 + 0.4 * len(blocks))
    ax.imshow(shares, aspect="auto", cmap="Greys", vmin=0, vmax=top or shares.max())
    for layer, r in np.ndindex(shares.shape):
        dark = shares[layer, r] > 0.55 * (top or shares.max())
        ax.text(
            r, layer, f"{100 * shares[layer, r]:.0f}", ha="center", va="center", color="white" if dark else "black", fontsize=9
        )
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(blocks)), [f"layer {n + 1}" for n in range(len(blocks))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return ax


def scale_shares(blocks: list[dict[str, Any]], depth: int, tree_select: str = "fading") -> np.ndarray:
    """The numbers that `plot_scale_gains` draws: [layers, m + 1]; each row sums to 1."""
    gains = np.stack([row_gains(conv, depth, tree_select).mean(axis=0) for conv in blocks])
    return gains / gains.sum(axis=1, keepdims=True)


def row_names(depth: int, conv: dict[str, Any], tree_select: str) -> list[str]:
    """Labels of the memory's rows and the skip."""
    rows = memory_rows(depth, conv["h0"].shape[-1], tree_select, conv["w"].shape[1])
    return [row_name(row).replace("[n]", "") for row in rows] + ["skip"]


@styled
def plot_parts(parts: np.ndarray, names: list[str], ax: Axes | None = None, *, title: str = "", label: str = "output") -> Axes:
    """What each scale (row) contributes at each lag: steps upward raise the output, steps downward lower it.

    All rows have one scale. The number on the right is the sum of the row, and the axis of lags is logarithmic. A step stands for
    an eighth of an octave and shows the sum over its lags, so that the whole picture adds up to the output.

    Parameters
    ----------
    parts : array [m + 1, R];  names : list of m + 1 str
        From `analysis.split_output` or `attribution.decision_parts`.
    label : str, what the numbers are

    Examples
    --------
    >>> ax = plot_parts(np.eye(3), ["a2", "b2", "b1"])
    >>> [text.get_text() for text in ax.texts]  # the rows' sums: nothing is lost in the picture
    ['+1.00', '+1.00', '+1.00', 'sum']
    """
    ax = ax if ax is not None else new_axes(9, 1.2 + 0.36 * len(names))
    edges = octave_edges(parts.shape[1])
    binned = np.add.reduceat(parts, edges[:-1] - 1, axis=1)
    largest = max(abs(binned).max(), np.finfo(float).tiny)
    for r, (row, total) in enumerate(zip(0.6 * binned / largest, parts.sum(axis=1), strict=True)):
        ax.axhline(r, color=COLOURS["light"], lw=0.8, zorder=1)
        for keep, colour, words in ((np.maximum, FOR, "raises"), (np.minimum, AGAINST, "lowers")):
            ax.stairs(r - keep(row, 0), edges, baseline=r, fill=True, color=colour, label=f"_{words} {names[r]}", zorder=2)
        ax.text(1.01, r, f"{total:+.2f}", transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.text(1.01, -1.0, "sum", transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names)
    octaves(ax, parts.shape[1])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlabel="samples back, t + 1", title=title, xlim=(1, parts.shape[1] + 1), ylim=(len(names) - 0.1, -1.1))
    handles = [Patch(color=FOR, label=f"raises the {label}"), Patch(color=AGAINST, label="lowers it")]
    ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=9, borderaxespad=0.1)
    return ax


def octave_edges(length: int, per_octave: int = 8) -> np.ndarray:
    """Whole numbers 1 = e_0 < e_1 < ... = length + 1, about `per_octave` of them in each octave that holds so many.

    Examples
    --------
    >>> octave_edges(8, per_octave=2)
    array([1, 2, 4, 5, 8, 9])
    """
    octaves_in_all = np.log2(length + 1)
    edges = np.unique(np.floor(2.0 ** np.arange(0, octaves_in_all, 1 / per_octave)).astype(int))
    return np.append(edges[edges <= length], length + 1)
