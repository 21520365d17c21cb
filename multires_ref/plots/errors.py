"""Charts of errors: layer by layer, and from an error study against depth, length or the height of a spike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from ..base.checks import check_choice
from ..diagnose.error_study import StudyRow, by_engine
from ..diagnose.report import Report, Section
from .style import COLOURS, CYCLE, DASHES, MARKERS, new_axes, new_figure, styled

LOWEST = 1e-18  # where an error of exactly zero is drawn on the logarithmic axis


@styled
def plot_error_by_layer(report: Report, ax: Axes | None = None) -> Axes:
    """The relative error of every layer and parameter, in one colour for each section of the report.

    Filled points are outputs, open points are gradients. Dashed lines are the tolerances, and a red ring marks what exceeds its
    tolerance. Errors of exactly zero are drawn at `LOWEST`.

    Parameters
    ----------
    report : Report, from `verify_pytorch` or `verify_reference`
    ax : Axes to draw into (default: a new one)

    Examples
    --------
    >>> from multires_ref.base.agreement import measure
    >>> from multires_ref.diagnose.report import Row
    >>> rows = [Row("encoder", forward=measure(np.ones(3), np.ones(3), 1e-12))]
    >>> ax = plot_error_by_layer(Report("a report", [Section("float64", "float64", rows)]))
    >>> ax.get_ylabel()
    'relative error'
    """
    names = list(dict.fromkeys(row.name for section in report.sections for row in section.rows))
    ax = ax if ax is not None else new_axes(max(9.0, 0.24 * len(names) + 2), 5.5)
    for section, colour in zip(report.sections, CYCLE * len(report.sections), strict=False):
        draw_section(ax, section, names, colour)
    ax.set_yscale("log")
    ax.set_ylim(LOWEST / 3, None)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    ax.set_xlim(-0.7, len(names) - 0.3)
    ax.grid(axis="y")
    ax.set_yticks(*ticks_with_zero(ax))
    ax.set_ylabel("relative error")
    ax.set_title(report.title, fontsize=10)
    ax.plot([], [], "o", color=COLOURS["grey"], label="output")
    ax.plot([], [], "o", color=COLOURS["grey"], fillstyle="none", label="gradient")
    ax.plot([], [], "--", color=COLOURS["grey"], linewidth=1, label="tolerance")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def ticks_with_zero(ax: Axes) -> tuple[list[float], list[str]]:
    """A tick at every second power of ten, and one called 0 where errors of exactly zero are drawn."""
    top = int(np.log10(ax.get_ylim()[1]))
    exponents = range(-16, top + 1, 2)
    return [LOWEST, *(10.0**e for e in exponents)], ["0", *(f"$10^{{{e}}}$" for e in exponents)]


def draw_section(ax: Axes, section: Section, names: list[str], colour: str) -> None:
    """The points of one section and its tolerances."""
    place = {name: n for n, name in enumerate(names)}
    tolerances = set()
    for kind, fill in (("forward", "full"), ("gradient", "none")):
        held = [(place[row.name], getattr(row, kind)) for row in section.rows if getattr(row, kind) is not None]
        heights = [min(max(error.relative, LOWEST), 1e3) for _, error in held]
        ax.plot([n for n, _ in held], heights, "o", color=colour, fillstyle=fill, markersize=5)
        too_large = [(n, height) for (n, error), height in zip(held, heights, strict=True) if not error.passed]
        ax.plot([n for n, _ in too_large], [y for _, y in too_large], "o", color=COLOURS["red"], fillstyle="none", markersize=11)
        tolerances |= {error.tolerance for _, error in held}
    for tolerance in tolerances:
        ax.axhline(tolerance, color=colour, linestyle="--", linewidth=1)
    ax.plot([], [], "-", color=colour, label=section.title)


@styled
def plot_error_study(rows: Iterable[StudyRow], x: str = "depth", ax: Axes | None = None) -> Axes:
    """The relative error of every engine against depth, length or peak.

    Each engine has its own colour and marker, each dtype its own kind of line.

    Parameters
    ----------
    rows : from `error_by_depth`, `error_by_length` or `error_by_peak`
    x : "depth", "length" or "peak"
    ax : Axes to draw into (default: a new one)

    Examples
    --------
    >>> from multires_ref.diagnose.error_study import error_by_depth
    >>> ax = plot_error_study(error_by_depth([1, 2, 3], length=32, engines=["tree"]))
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('depth J', ['tree', 'float32', 'float64'])
    """
    labels = {"depth": "depth J", "length": "length L, at the depth that covers it", "peak": "height of a later spike"}
    check_choice("x", x, labels)
    ax = ax if ax is not None else new_axes(6, 4)
    curves = by_engine(rows, x)
    engines, dtypes = (list(dict.fromkeys(key[n] for key in curves)) for n in range(2))
    for (engine, dtype), (along, errors) in curves.items():
        n = engines.index(engine)
        dash = DASHES[dtypes.index(dtype)]
        marker = MARKERS[n % len(MARKERS)]
        heights = [max(error, LOWEST) for error in errors]
        label = engine if dtype == dtypes[0] else None
        ax.plot(along, heights, linestyle=dash, marker=marker, color=CYCLE[n], markersize=5, label=label)
    for dtype, dash in zip(dtypes, DASHES, strict=False):
        ax.plot([], [], linestyle=dash, color=COLOURS["grey"], label=dtype)
    ax.set_yscale("log")
    if x != "depth":
        ax.set_xscale("log", base=2 if x == "length" else 10)
    ax.set_xlabel(labels[x])
    ax.set_ylabel("relative error")
    ax.grid()
    ax.legend(fontsize=9)
    return ax


@styled
def plot_error_studies(by_depth: list[StudyRow], by_length: list[StudyRow], by_peak: list[StudyRow]) -> np.ndarray:
    """The three studies side by side; returns the three Axes.

    Examples
    --------
    >>> from multires_ref.diagnose.error_study import error_by_depth, error_by_length, error_by_peak
    >>> only = {"engines": ["tree"], "dtypes": ["float32"]}
    >>> axes = plot_error_studies(
    ...     error_by_depth([1, 2], length=16, **only), error_by_length([8, 16], **only), error_by_peak([1.0], 16, 2, **only)
    ... )
    >>> [ax.get_title("left") for ax in axes]
    ['by depth', 'by length', 'before a spike']
    """
    _, grid = new_figure(13, 4.2, columns=3)
    titles = ("by depth", "by length", "before a spike")
    for ax, rows, x, title in zip(grid[0], (by_depth, by_length, by_peak), ("depth", "length", "peak"), titles, strict=True):
        plot_error_study(rows, x, ax)
        ax.set_title(title)
    return grid[0]


@styled
def plot_layer_errors(
    names: Sequence[str],
    errors: dict[str, Sequence[float]],
    ax: Axes | None = None,
    *,
    unit: float | None = None,
    title: str = "",
) -> Axes:
    """Relative errors on a logarithmic axis: a row for each layer, in the order of computation, a marker for each comparison.

    Parameters
    ----------
    names : list of str, the layers
    errors : {what is compared: one error for each layer}; an error of exactly 0 is drawn at the left edge
    unit : float, the spacing of the numbers near 1, such as 2**-23; it is drawn as a dashed line

    Examples
    --------
    >>> ax = plot_layer_errors(["conv", "gelu"], {"NumPy": [1e-7, 0.0], "PyTorch": [2e-7, 1e-7]}, unit=2**-23)
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['NumPy', 'PyTorch', 'spacing of the numbers near 1']
    """
    ax = ax if ax is not None else new_axes(9, 1.2 + 0.26 * len(names))
    values = np.array(list(errors.values()), np.float64)
    known = values[values > 0]
    left = 10 ** np.floor(np.log10(known.min() if known.size else 1e-17))
    for n, (label, row) in enumerate(zip(errors, values, strict=True)):
        look = {"marker": MARKERS[n % len(MARKERS)], "color": CYCLE[n % len(CYCLE)], "ms": 6, "mfc": "none" if n % 2 else None}
        ax.plot(np.maximum(row, left), range(len(names)), ls="none", label=label, **look)
    if unit is not None:
        ax.axvline(unit, color=COLOURS["grey"], ls="--", lw=1, label="spacing of the numbers near 1")
    ax.set_xscale("log")
    ax.set_yticks(range(len(names)), list(names))
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set(xlabel="relative error", title=title)
    return ax
