"""Memories side by side: how they forget, how well they recover the past lag by lag, and what that costs.

Each function draws its key when it makes the Axes itself; where several are drawn in one figure, the figure has one for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ..memories.compare import MemoryRecord
from .style import COLOURS, new_axes, octaves, styled

LOOKS = {  # of each memory: colour, dash, marker
    "fading": (COLOURS["red"], "-", "o"),
    "uniform": (COLOURS["orange"], "-", "s"),
    "last": (COLOURS["grey"], ":", "X"),
    "averages": (COLOURS["pink"], "-.", "v"),
    "legt": (COLOURS["blue"], "-", "D"),
    "legs": (COLOURS["black"], (0, (5, 1, 1, 1)), "P"),
    "fourier": (COLOURS["green"], "--", "^"),
}
OTHER = (COLOURS["sky"], (0, (1, 1)), "*")
FLOOR, LEAST = 0.003, 0.001  # the lowest error and the lowest share that are drawn


@styled
def plot_forgetting_curves(
    curves: dict[str, np.ndarray], ax: Axes | None = None, *, title: str = "", longest: int = 2048
) -> Axes:
    """The share of x[n-t] that each memory knows of white noise, against the lag; both are logarithmic.

    Shares below 0.1 % are drawn at 0.1 %.

    Parameters
    ----------
    curves : {name in `memories.MEMORIES`: array [R]}
    longest : int, the last lag that is drawn

    Examples
    --------
    >>> ax = plot_forgetting_curves({"last": np.array([1.0, 1.0, 0.0, 0.0])}, longest=4)
    >>> ax.lines[0].get_ydata()
    array([1.   , 1.   , 0.001, 0.001])
    """
    alone, ax = ax is None, ax if ax is not None else new_axes(9, 3.6)
    for name, curve in curves.items():
        colour, dash, _ = LOOKS.get(name, OTHER)
        shown = np.full(longest, LEAST)
        shown[: len(curve)] = np.maximum(curve[:longest], LEAST)
        ax.plot(1 + np.arange(longest), shown, ls=dash, color=colour, lw=1.6, label=title_of(name))
    octaves(ax, longest)
    ax.set_yscale("log")
    ax.set_yticks([0.001, 0.01, 0.1, 1], ["≤ 0.1", "1", "10", "100"])
    ax.minorticks_off()
    ax.set(xlabel="samples back, t + 1", ylabel="known of x[n-t] (%)", ylim=(LEAST * 0.8, 1.5), title=title)
    ax.grid(axis="y")
    if alone:
        ax.legend()
    return ax


def title_of(name: str) -> str:
    """What pictures call the memory of this name."""
    from ..memories import MEMORIES

    return MEMORIES[name].title if name in MEMORIES else name


def by_octaves(by_lag: np.ndarray, parts: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares over stretches of lags, `parts` for each octave: their middles, counted from 1, and the values.

    Examples
    --------
    >>> lags, errors = by_octaves(np.array([0.0, 3.0, 4.0, 4.0]), parts=1)
    >>> lags, errors.round(3)
    (array([1. , 2.5, 4. ]), array([0.   , 3.536, 4.   ]))
    """
    edges = np.unique(np.round(2 ** (np.arange(parts * np.log2(len(by_lag)) + 1) / parts)).astype(int))
    edges = np.append(edges[edges <= len(by_lag)], len(by_lag) + 1)
    cells = [by_lag[a - 1 : b - 1] for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]
    middles = [(a + b - 1) / 2 for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]
    return np.array(middles), np.array([np.sqrt((cell**2).mean()) for cell in cells])


@styled
def plot_error_by_lag(records: Sequence[MemoryRecord], ax: Axes | None = None, *, title: str = "") -> Axes:
    """The error of the recovered x[n-t] against the lag, both logarithmic: one line for each record, of one signal and size.

    Errors are relative to the root mean square of the signal and averaged over a third of an octave; those below 0.3 % are drawn
    at 0.3 %. A memory's own reconstruction, by its polynomials or waves, has a thin line with points.

    Examples
    --------
    >>> from multires_ref.memories.compare import compare_memories
    >>> ax = plot_error_by_lag(compare_memories([4], 16, names=["last"], signals={"ramp": np.arange(40.0)}))
    >>> [line.get_label() for line in ax.lines]
    ['last m samples', '_nothing known']
    """
    alone, ax = ax is None, ax if ax is not None else new_axes(9, 3.6)
    for record in records:
        colour, dash, _ = LOOKS.get(record.memory, OTHER)
        lags, errors = by_octaves(record.by_lag)
        own = record.way == "own"
        look = {"ls": "-", "lw": 0.9, "marker": ".", "ms": 4} if own else {"ls": dash, "lw": 1.7}
        ax.plot(lags, np.maximum(errors, FLOOR), color=colour, label=record.title + (", own" if own else ""), **look)
    ax.axhline(1, color=COLOURS["light"], lw=1, zorder=0, label="_nothing known")
    octaves(ax, records[0].horizon)
    ax.set_yscale("log")
    ax.set_yticks([0.003, 0.01, 0.03, 0.1, 0.3, 1], ["≤ 0.3", "1", "3", "10", "30", "100"])
    ax.minorticks_off()
    ax.set(xlabel="samples back, t + 1", ylabel="error (%)", ylim=(FLOOR * 0.9, 2), title=title)
    ax.grid(axis="y")
    if alone:
        ax.legend()
    return ax


@styled
def plot_error_by_cost(records: Sequence[MemoryRecord], ax: Axes | None = None, *, newest: bool = False, title: str = "") -> Axes:
    """The error of the recovered past against the operations for each sample: a line for each memory, a mark for each size.

    The marks grow with m. `newest` draws the error over the newest 32 samples in place of all.

    Examples
    --------
    >>> from multires_ref.memories.compare import compare_memories
    >>> ax = plot_error_by_cost(compare_memories([4, 8], 16, names=["legt"], signals={"ramp": np.arange(40.0)}))
    >>> ax.lines[0].get_xdata()
    array([ 36, 136])
    """
    alone, ax = ax is None, ax if ax is not None else new_axes(9, 3.6)
    for memory, way in dict.fromkeys((r.memory, r.way) for r in records):
        mine = [r for r in records if (r.memory, r.way) == (memory, way)]
        colour, dash, marker = LOOKS.get(memory, OTHER)
        cost = [r.operations for r in mine]
        errors = np.maximum([r.newest if newest else r.error for r in mine], FLOOR)
        own = way == "own"
        ax.plot(cost, errors, color=colour, ls=dash, lw=0.8 if own else 1.4, label=mine[0].title + (", own" if own else ""))
        face = "white" if own else colour
        sizes = 18 + 14 * np.arange(len(mine))
        ax.scatter(cost, errors, sizes, edgecolors=colour, facecolors=face, marker=marker, zorder=3)
    ax.set_xscale("symlog", linthresh=20, linscale=0.6)
    ax.set_yscale("log")
    ax.set_yticks([0.003, 0.01, 0.03, 0.1, 0.3, 1], ["≤ 0.3", "1", "3", "10", "30", "100"])
    ax.set_xticks([0, 100, 1000, 10000], ["0", "100", "1,000", "10,000"])
    ax.minorticks_off()
    ax.set(xlabel="operations for each sample", ylabel="error (%)", ylim=(FLOOR * 0.85, 1.5), xlim=(-3, 45000), title=title)
    ax.grid(axis="y")
    if alone:
        ax.legend()
    return ax
