"""A signal, its coefficients and the memory of it over time; and what the memory still holds of the past."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ..memories import past, recover_past
from ..tree import Row
from .style import APPROXIMATION, COLOURS, CYCLE, DASHES, DIVERGING, level_colours, new_axes, octaves, styled
from .tree import row_name


@styled
def plot_signal(x: np.ndarray, ax: Axes | None = None, *, at: int | None = None, label: str = "x[n]") -> Axes:
    """A signal over time, in black; `at` marks one time with a dashed line.

    Examples
    --------
    >>> plot_signal(np.arange(4.0)).lines[0].get_ydata()
    array([0., 1., 2., 3.])
    """
    ax = ax if ax is not None else new_axes(9, 2.2)
    ax.plot(np.arange(len(x)), x, color=COLOURS["black"], lw=1.2)
    if at is not None:
        ax.axvline(at, color=COLOURS["red"], ls="--", lw=1.2)
    ax.set(xlabel="time n (samples)", ylabel=label, xlim=(-0.5, len(x) - 0.5))
    return ax


@styled
def plot_levels(x: np.ndarray, levels: list[tuple[np.ndarray, np.ndarray]], ax: Axes | None = None, *, title: str = "") -> Axes:
    """The signal at the bottom, then the details b_1 ... b_J and the approximation a_J at the top.

    Each row is divided by its own largest magnitude, which stands at its right end. Signals of at most 64 samples are drawn as
    stems.

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
    colours = [COLOURS["black"], *level_colours(J), APPROXIMATION]
    ax = ax if ax is not None else new_axes(9, 0.9 + 0.62 * len(rows))
    for r, ((name, values), colour) in enumerate(zip(rows, colours, strict=True)):
        draw_row(ax, r, np.asarray(values), colour, name)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    name_scales(ax, [np.abs(values).max() for _, values in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set(xlabel="time n (samples)", xlim=(-0.6, len(x) - 0.4), ylim=(-0.6, len(rows) - 0.4), title=title)
    return ax


def name_scales(ax: Axes, scales: Sequence[float]) -> None:
    """At the right end of row r, the number that the row was divided by."""
    look = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 9, "color": COLOURS["grey"]}
    for r, scale in enumerate(scales):
        ax.text(1.005, r, f"±{scale:,.3g}" if scale < 1000 else f"±{scale:,.0f}", **look)


def draw_row(ax: Axes, r: int, values: np.ndarray, colour: str, name: str) -> None:
    """One signal around height r, between r - 0.42 and r + 0.42."""
    n, heights = np.arange(len(values)), r + 0.42 * values / max(abs(values).max(), np.finfo(float).tiny)
    ax.axhline(r, color=COLOURS["light"], lw=0.8, zorder=1, label=f"_{name}")
    if len(values) <= 64:
        ax.vlines(n, r, heights, color=colour, lw=1.6, zorder=2)
        ax.plot(n, heights, "o", ms=4.5, color=colour, label=name, zorder=3)
    else:
        ax.plot(n, heights, color=colour, lw=1.2, label=name, zorder=3)


@styled
def plot_memory(z: np.ndarray, rows: list[Row], ax: Axes | None = None, *, bar: bool = True) -> Axes:
    """The memory z_n over time: each row of the picture is a row of the memory, coarse at the top, in the order of `memory`.

    Each row is divided by its own largest magnitude. Coarse coefficients are sums of many samples; without the division, the fine
    ones would be too small to be seen; the number that a row was divided by stands at its right end. Yellow is positive, blue is
    negative, grey is zero.

    Parameters
    ----------
    z : array [m, L];  rows : list of m `Row` (both from `memory`)
    ax : Axes;  bar : whether to draw the colour bar

    Examples
    --------
    >>> from multires_ref import memory, wavelet_filters
    >>> z, rows = memory(np.sin(np.arange(64.0)), *wavelet_filters("haar"), depth=4)
    >>> ax = plot_memory(z, rows)
    >>> ax.images[0].get_array().shape
    (5, 64)
    """
    z = np.asarray(z)
    ax = ax if ax is not None else new_axes(9, 1.0 + 0.3 * len(rows))
    scale = np.abs(z).max(axis=1, keepdims=True)
    image = ax.imshow(
        z / np.where(scale > 0, scale, 1), aspect="auto", cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest",
        extent=(-0.5, z.shape[1] - 0.5, len(rows) - 0.5, -0.5),
    )  # fmt: skip
    ax.set_yticks(range(len(rows)), [row_name(row) for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    name_scales(ax, scale[:, 0])
    ax.set(xlabel="time n (samples)")
    if bar:
        ax.figure.colorbar(image, ax=ax, label="share of the row's largest", ticks=[-1, 0, 1], pad=0.01, aspect=12)
    return ax


@styled
def plot_recovered(
    x: np.ndarray, n: int, M: np.ndarray, ax: Axes | None = None, *, title: str = "", window: int | None = None
) -> Axes:
    """The past of a signal at time n, and its least-squares reconstruction from the memory z_n = M p_n alone.

    Parameters
    ----------
    x : array [L];  n : int
    M : array [m, R], from `memory_matrix` or `last_samples_matrix`
    ax : Axes;  title : str
    window : int, how many of the newest samples are shown (default: all)

    Examples
    --------
    >>> from multires_ref.memories import last_samples_matrix
    >>> ax = plot_recovered(np.array([1.0, 2.0, 3.0]), 2, last_samples_matrix(2, 3))
    >>> ax.lines[1].get_ydata()  # newest first: x[2] and x[1] are known, x[0] is not
    array([3., 2., 0.])
    """
    ax = ax if ax is not None else new_axes(9, 2.6)
    R = M.shape[1]
    p = past(np.asarray(x, M.dtype), n, R)
    estimate = recover_past(M @ p, M)
    t = -np.arange(R)
    ax.plot(t, p, color=COLOURS["grey"], lw=1.2, label="the past x[n-t]")
    ax.step(t, estimate, where="mid", color=COLOURS["blue"], lw=2.0, label=f"recovered from {len(M)} numbers")
    ax.set(xlabel="time before n (samples)", xlim=(-(window or R) + 0.5, 0.5), title=title)
    return ax


@styled
def plot_forgetting(
    curves: dict[str, np.ndarray], ax: Axes | None = None, *, ylabel: str = "share of x[n-t] still known"
) -> Axes:
    """How much of x[n-t] is still known, against the lag t.

    The axis is logarithmic and counts from 1, so that the newest sample, t = 0, has a place on it.

    Parameters
    ----------
    curves : {name: array [R]}, from `forgetting_curve` or `measured_forgetting`

    Examples
    --------
    >>> ax = plot_forgetting({"last 2 samples": np.array([1.0, 1.0, 0.0, 0.0])})
    >>> ax.get_legend_handles_labels()[1]
    ['last 2 samples']
    """
    ax = ax if ax is not None else new_axes(9, 3.6)
    longest = max(map(len, curves.values()))
    for (name, curve), colour, dash in zip(curves.items(), CYCLE, DASHES, strict=False):
        ax.plot(1 + np.arange(len(curve)), curve, ls=dash, color=colour, drawstyle="steps-mid", label=name)
    octaves(ax, longest)
    ax.set(xlabel="samples back, t + 1", ylabel=ylabel, ylim=(-0.04, 1.06))
    ax.grid(axis="y")
    ax.legend()
    return ax
