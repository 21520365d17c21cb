"""Charts of measured times: the parts of `multires-ref bench`, and costs against the length of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLOURS, CYCLE, DASHES, MARKERS, WIDTH, new_axes, new_figure, octaves, styled

OURS, THEIRS, LIMIT = COLOURS["blue"], COLOURS["grey"], COLOURS["orange"]


OTHERS = ("PyTorch", "pywt", "import numpy")


LIMITS = ("copying x once", "copying to a new array", "matrix products")


@styled
def plot_times(rows: dict[str, dict[str, Any]], ax: Axes | None = None, title: str = "") -> Axes:
    """Medians as dots on a logarithmic axis of milliseconds, quartiles as whiskers; fastest first.

    There are no bars, as their lengths would mean nothing on such an axis.

    Parameters
    ----------
    rows : {name: {"median", "low", "high"}} in seconds
    ax : Axes or None
    title : str

    Examples
    --------
    >>> rows = {"fused": {"median": 0.01, "low": 0.009, "high": 0.012}, "PyTorch fft": {"median": 0.1, "low": 0.1, "high": 0.1}}
    >>> [round(float(line.get_xdata()[0]), 6) for line in plot_times(rows).lines if line.get_marker() == "o"]
    [10.0, 100.0]
    """
    ax = ax if ax is not None else new_axes(WIDTH, 0.6 + 0.4 * len(rows))
    names = sorted(rows, key=lambda name: rows[name]["median"])
    for place, name in enumerate(names):
        median, low, high = (1e3 * rows[name][key] for key in ("median", "low", "high"))
        colour = LIMIT if name in LIMITS else THEIRS if name.startswith(OTHERS) else OURS
        ax.plot([low, high], [place, place], color=colour, linewidth=1.6)
        ax.plot([median], [place], "o", color=colour, ms=8)
        words = f"{median:,.0f}" if median >= 100 else f"{median:.3g}"
        ax.annotate(f" {words} ms", (max(median, high), place), va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid()
    ax.set_xscale("log")
    longest = max(1e3 * row["high"] for row in rows.values())
    shortest = min(1e3 * row["low"] for row in rows.values())
    ax.set_xlim(shortest / 2, longest * 6)  # room for the last label
    ax.set(xlabel="time (ms, logarithmic)", title=title)
    return ax


@styled
def plot_scaling(result: dict[str, Any], ax: Axes | None = None) -> Axes:
    """Nanoseconds per step and channel against the number of steps, and the curve that is proportional to the depth J.

    Examples
    --------
    >>> row = {"L": 1024, "D": 1, "J": 10, "forward and backward": {"median": 1e-3}}
    >>> ax = plot_scaling({"rows": [row, row | {"L": 2048, "J": 11}]})
    >>> ax.lines[0].get_ydata().round(1)
    array([976.6, 488.3])
    """
    ax = ax if ax is not None else new_axes(WIDTH, 3)
    rows = result["rows"]
    steps = [row["L"] for row in rows]
    times = [1e9 * row["forward and backward"]["median"] / (row["L"] * row["D"]) for row in rows]
    like_depth = [times[0] * row["J"] / rows[0]["J"] for row in rows]
    ax.plot(steps, times, "o-", color=OURS, label="measured")
    ax.plot(steps, like_depth, "--", color=THEIRS, label="growing like J")
    octaves(ax, max(steps))
    ax.set_xlim(min(steps) * 0.8, max(steps) * 1.25)
    ax.set_xticks(steps, [f"$2^{{{step.bit_length() - 1}}}$" for step in steps])
    ax.set_ylim(0, 1.25 * max(times + like_depth))
    ax.set(xlabel="steps of the sequence", ylabel="ns a step and channel", title="operator, forward and backward, by length")
    ax.legend(loc="lower right")
    return ax


@styled
def plot_bench(results: dict[str, Any]) -> Figure:
    """All that one `multires-ref bench` measured, one panel for each part.

    Examples
    --------
    >>> rows = {"import numpy": {"median": 0.1, "low": 0.1, "high": 0.1}}
    >>> len(plot_bench({"startup": {"rows": rows}}).axes)
    1
    """
    panels: list[tuple[str, Any]] = []
    if "operator" in results:
        shape = results["operator"]["shape"]
        size = f"{shape['B']} x {shape['D']} x {shape['L']:,}, K = {shape['K']}"
        panels += [(f"operator, {part}: {size}", results["operator"][part]) for part in ("forward", "forward and backward")]
    if "step" in results:
        layers = results["step"]["layers"]
        panels += [(f"training step, {name}, {layers} layers", row["seconds"]) for name, row in results["step"]["rows"].items()]
    panels += [(part, results[part]["rows"]) for part in ("busy", "pyramid", "swt", "startup") if part in results]
    panels += memory_panels(results["memories"]) if "memories" in results else []
    scaling = results.get("scaling")
    heights = [0.75 + 0.42 * len(rows) for _, rows in panels] + ([3.0] if scaling else [])
    figure, axes = new_figure(WIDTH, sum(heights), rows=len(heights), height_ratios=heights)
    for (title, rows), (ax,) in zip(panels, axes, strict=False):
        plot_times(rows, ax, title)
    if scaling:
        plot_scaling(scaling, axes[-1, 0])
    return figure


def memory_panels(result: dict[str, Any]) -> list[tuple[str, Any]]:
    """A panel for each size of the memories that were measured, by their fastest way.

    Examples
    --------
    >>> row = {"m": 10, "title": "LegT", "NumPy": {"median": 0.2, "low": 0.1, "high": 0.3}}
    >>> memory_panels({"samples": 500, "channels": 64, "rows": [row]})[0][0]
    'memories, m = 10: 500 samples of 64 channels (NumPy)'
    """
    way = "compiled" if "compiled" in result["rows"][0] else "NumPy"
    size = f"{result['samples']:,} samples of {result['channels']} channels ({way})"
    sizes = dict.fromkeys(row["m"] for row in result["rows"])
    return [(f"memories, m = {m}: {size}", {r["title"]: r[way] for r in result["rows"] if r["m"] == m}) for m in sizes]


@styled
def plot_costs(
    lengths: Sequence[int], costs: dict[str, Sequence[float]], ax: Axes | None = None, *, ylabel: str = "seconds", title: str = ""
) -> Axes:
    """Cost against the length of a sequence. Both axes are logarithmic, so that a power of the length is a straight line.

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
