"""The tree as a picture, with the memory outlined in it; and the part of the past that each row of the memory depends on."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..base.checks import check_int
from ..tree import Row, memory_rows, receptive_field
from .style import COLOURS, MEMORY, level_colours, new_axes, styled

WHAT = {"fading": "the newest of every level", "uniform": "the newest few, coarse levels first"}
GAP = 0.17  # a_i is drawn this far above the middle of its level, b_i this far below


def tree_lags(depth: int, kernel_size: int) -> list[list[int]]:
    """The lags of the coefficients that a_J[n] depends on, for levels 0 (the input) to J.

    At level i their distance is 2^i. Level J has one; the level below one with t coefficients has 2 (t - 1) + K.

    Examples
    --------
    >>> tree_lags(2, 2)
    [[0, 1, 2, 3], [0, 2], [0]]
    """
    J, K = check_int("depth", depth, 1), check_int("kernel_size", kernel_size, 2)
    counts = [1]
    for _ in range(J):
        counts.append(2 * (counts[-1] - 1) + K)
    return [[t * 2**i for t in range(count)] for i, count in enumerate(reversed(counts))]


def row_name(row: Row) -> str:
    """A row of the memory as mathematics: b_3[n-8].

    Examples
    --------
    >>> row_name(Row(3, "b", 8))
    '$b_{3}[n-8]$'
    """
    if row.kind == "unused":
        return "(unused)"
    return f"${row.kind}_{{{row.level}}}[n{f'-{row.lag}' if row.lag else ''}]$"


@styled
def plot_tree(
    depth: int, kernel_size: int = 2, tree_select: str | None = "fading", size: int | None = None, ax: Axes | None = None
) -> Axes:
    """The tree behind a_J[n], every coefficient at its time and level, and the memory z_n outlined.

    Circles are approximations a_i, squares details b_i; a line is a filter tap. Small dots are coefficients at other times: the
    tree is not downsampled, so each coefficient exists at every time.

    Parameters
    ----------
    depth, kernel_size : int, J and K
    tree_select : "fading" or "uniform", or None: no memory is outlined
    size : int, m (needed for "uniform")
    ax : Axes to draw into (default: a new one)

    Returns
    -------
    Axes
        Its x axis is time, counted from the newest sample n = 0.

    Examples
    --------
    >>> ax = plot_tree(3, 2, "uniform", size=4)
    >>> ax.get_title("left")
    'uniform: the newest few, coarse levels first (m = 4)'
    """
    rows = memory_rows(depth, kernel_size, tree_select, size) if tree_select is not None else []
    lags = tree_lags(depth, kernel_size)
    new = ax is None
    ax = new_axes(9, 1.5 + 0.75 * (depth + 1)) if ax is None else ax
    radius = node_size(ax, len(lags[0]))
    draw_background(ax, lags, radius)
    draw_taps(ax, lags, kernel_size)
    draw_nodes(ax, lags, {(r.level, r.kind, r.lag) for r in rows}, radius)
    frame(ax, depth, len(lags[0]))
    title = f"{tree_select}: {WHAT[tree_select]} (m = {len(rows)})" if tree_select else f"J = {depth}, K = {kernel_size}"
    ax.set_title(title, fontsize=11)
    if new:
        key_below(ax.figure, [mark for mark in tree_key() if tree_select or "memory" not in mark.get_label()])
    return ax


def tree_key() -> list[Any]:
    """What the marks of `plot_tree` mean."""

    def mark(marker: str, label: str, **look: Any) -> Line2D:
        return Line2D([], [], marker=marker, ls="none", label=label, **{"color": COLOURS["black"], **look})

    return [
        mark("o", "sample x", ms=8),
        mark("o", "approximation $a_i$", mfc="white", ms=8),
        mark("s", "detail $b_i$", mfc="white", ms=7),
        mark("s", "in the memory $z_n$", mfc=COLOURS["grey"], mec=MEMORY, mew=2.2, ms=8),
        Line2D([], [], color=COLOURS["grey"], lw=1.3, label="filter tap"),
        mark(".", "coefficient of another time", color="#B0B0B0", ms=4),
    ]


def key_below(figure: Figure, handles: list[Any], columns: int = 6) -> None:
    """The key of the whole figure, below it."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=9, handletextpad=0.3, columnspacing=1.2)


def node_size(ax: Axes, steps: int) -> float:
    """The diameter of a node in points: 62 % of the width of a time step, but at least 3 and at most 15."""
    figure = ax.figure
    inches = figure.get_size_inches()[0] / ax.get_subplotspec().get_gridspec().ncols if ax.get_subplotspec() else 4.0
    return float(min(15.0, max(3.0, 0.62 * 72 * 0.88 * inches / steps)))


def heights(level: int) -> dict[str, float]:
    """Where a_i and b_i of a level stand; the input is a_0."""
    return {"a": float(level)} if level == 0 else {"a": level + GAP, "b": level - GAP}


def draw_background(ax: Axes, lags: list[list[int]], radius: float) -> None:
    """A dot for every coefficient at every time; a capsule around each pair (a_i, b_i), which is made from the same taps."""
    for level in range(1, len(lags)):
        for lag in lags[level]:
            pair = [level - GAP, level + GAP]
            ax.plot([-lag, -lag], pair, lw=1.5 * radius, color="#EFEFEF", solid_capstyle="round", zorder=2)
        for y in heights(level).values():
            ax.plot([-t for t in range(len(lags[0]))], [y] * len(lags[0]), ".", ms=0.22 * radius, color="#C8C8C8", zorder=1)


def draw_taps(ax: Axes, lags: list[list[int]], K: int) -> None:
    """Lines from a_{i-1}[n - k 2^(i-1)] up to the pair (a_i[n], b_i[n])."""
    for level, colour in enumerate(level_colours(len(lags) - 1), start=1):
        for lag in lags[level]:
            for k in range(K):
                below = (-(lag + k * 2 ** (level - 1)), heights(level - 1)["a"])
                ax.plot([below[0], -lag], [below[1], level - GAP], "-", lw=1.3, color=colour, alpha=0.55, zorder=3)


def draw_nodes(ax: Axes, lags: list[list[int]], kept: set[tuple[int, str, int]], radius: float) -> None:
    """The coefficients: those that the memory keeps are filled with their level's colour and ringed, the others are empty."""
    colours = [COLOURS["black"], *level_colours(len(lags) - 1)]
    for level, colour in enumerate(colours):
        for kind, y in heights(level).items():
            marker = "o" if kind == "a" else "s"
            here = [lag in [k[2] for k in kept if k[:2] == (level, kind)] for lag in lags[level]]
            for inside in (False, True):
                times = [-lag for lag, k in zip(lags[level], here, strict=True) if k == inside]
                size = radius if kind == "a" else 0.86 * radius
                look = (
                    {"mec": MEMORY, "mew": 0.19 * radius, "ms": 1.15 * size}
                    if inside
                    else {"mec": colour, "mew": 1.0, "ms": 0.8 * size}
                )
                fill = colour if inside or level == 0 else "white"
                label = f"{'memory ' if inside else ''}{kind}{level}"
                ax.plot(times, [y] * len(times), marker, mfc=fill, zorder=5 if inside else 4, label=label, **look)


def frame(ax: Axes, depth: int, steps: int) -> None:
    """Levels on the y axis, time back from n on the x axis."""
    rows = [(y, f"${kind}_{{{i}}}$") for i in range(1, depth + 1) for kind, y in heights(i).items()]
    ax.set_yticks([0.0, *(y for y, _ in rows)], ["$x$", *(name for _, name in rows)])
    every = max(1, 2 ** max(0, (steps - 1).bit_length() - 3))
    ticks = list(range(0, steps, every))
    ax.set_xticks([-t for t in ticks], [f"$n-{t}$" if t else "$n$" for t in ticks])
    ax.set(xlim=(-steps + 0.3, 0.7), ylim=(-0.45, depth + 0.55), xlabel="time (samples)", ylabel="level: fine to coarse")
    ax.spines[["left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


@styled
def plot_tree_backwards(depth: int, kernel_size: int = 2, ax: Axes | None = None) -> Axes:
    """The tree run backwards: what the gradient in x[n] is collected from.

    Circles are the gradients of the a_i at the times that x[n] reaches. An arrow brings one down through a tap of h0; an orange
    arrow is what the output's gradient g adds at each place, through the readout filter q_i (at the top, through w_a). Where the
    tree looks back, its backward pass looks ahead: it is the tree's mirror image.

    Parameters
    ----------
    depth, kernel_size : int, J and K
    ax : Axes to draw into (default: a new one)

    Examples
    --------
    >>> ax = plot_tree_backwards(2)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['$n$', '$n+1$', '$n+2$', '$n+3$']
    """
    J, K = check_int("depth", depth, 1), check_int("kernel_size", kernel_size, 2)
    widths = [receptive_field(i, K) if i else 1 for i in range(J + 1)]
    ax = ax if ax is not None else new_axes(9, 1.2 + 0.75 * (J + 1))
    colours = [COLOURS["black"], *level_colours(J)]
    for i in range(J, -1, -1):
        for t in range(widths[i]):
            for k in range(K if i < J else 0):
                bring_down(ax, (t + k * 2**i, i + 1), (t, i), colours[i + 1])
            bring_down(ax, (t - 0.28, i + 0.42), (t - 0.06, i), COLOURS["orange"])
        ax.plot(range(widths[i]), [i] * widths[i], "o", ms=9, mfc="white", mec=colours[i], mew=1.6, zorder=4)
    readout = [f"$q_{{{i + 1}}}$" for i in range(J)] + ["$w_a$"]
    for i, name in enumerate(readout):
        ax.text(-0.32, i + 0.42, f"g, {name}", ha="right", va="center", fontsize=9, color=COLOURS["red"])
    ax.set_yticks(range(J + 1), ["grad $x$", *(f"grad $a_{{{i}}}$" for i in range(1, J + 1))])
    ticks = range(0, widths[J], max(1, widths[J] // 8))
    ax.set_xticks(ticks, [f"$n+{t}$" if t else "$n$" for t in ticks])
    ax.set(xlim=(-0.9, widths[J] - 0.5), ylim=(-0.35, J + 0.6), xlabel="time (samples)", title=f"backwards: J = {J}, K = {K}")
    ax.spines[["left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def bring_down(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """An arrow from a gradient to one below it."""
    look = {"arrowstyle": "-|>", "color": colour, "lw": 1.3, "shrinkA": 4, "shrinkB": 5, "mutation_scale": 9}
    ax.annotate("", end, start, arrowprops=look, zorder=3)


@styled
def plot_lags(
    depth: int, kernel_size: int = 2, tree_select: str = "fading", size: int | None = None, ax: Axes | None = None
) -> Axes:
    """The receptive field of every row of the memory: the part of the past that it depends on.

    A coefficient of level i that is `lag` samples old sees the samples lag ... lag + (K - 1)(2^i - 1). The K
    coefficients of the level below that its taps weight are marked.

    Parameters
    ----------
    depth, kernel_size, tree_select, size, ax
        As for `plot_tree`.

    Examples
    --------
    >>> ax = plot_lags(3, 2)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['$a_{3}[n]$', '$b_{3}[n]$', '$b_{2}[n]$', '$b_{1}[n]$']
    """
    rows = [row for row in memory_rows(depth, kernel_size, tree_select, size) if row.kind != "unused"]
    new = ax is None
    ax = new_axes(9, 1.3 + 0.32 * len(rows)) if ax is None else ax
    colours = level_colours(depth)
    for r, row in enumerate(rows):
        width = receptive_field(row.level, kernel_size)
        ax.barh(r, -width, left=-row.lag + 0.5, height=0.66, color=colours[row.level - 1], alpha=1.0 if row.kind == "b" else 0.55)
        taps = [-(row.lag + k * 2 ** (row.level - 1)) for k in range(kernel_size)]
        ax.plot(taps, [r] * kernel_size, "|", color="white", ms=7, mew=1.5)
    ax.set_yticks(range(len(rows)), [row_name(row) for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.spines["left"].set_visible(False)
    ax.set(xlabel="time before n (samples)", xlim=(-receptive_field(depth, kernel_size) + 0.3, 0.7))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylabel("row of the memory")
    ax.set_title(f"{tree_select} (m = {len(rows)})")
    if new:
        key_below(ax.figure, lags_key(kernel_size))
    return ax


def lags_key(kernel_size: int) -> list[Any]:
    """What the marks of `plot_lags` mean."""
    tick = {"marker": "|", "ls": "none", "mew": 1.5, "ms": 9, "color": COLOURS["black"]}
    return [
        Patch(color=COLOURS["grey"], label="the samples that the row depends on"),
        Line2D([], [], **tick, label=f"white: the {kernel_size} coefficients of the level below that its taps weight"),
    ]
