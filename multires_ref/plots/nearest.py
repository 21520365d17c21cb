"""The filters of a trained network among the wavelets: how far the nearest is, and how well each pair can be undone."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..diagnose.filters import FilterReport, FilterRow, chance
from .style import COLOURS, WIDTH, new_axes, new_figure, styled

MOMENTS = {0: ("o", COLOURS["sky"]), 1: ("s", COLOURS["blue"]), 2: ("D", COLOURS["red"])}  # 2: two or more
WORST = 50  # condition: what is larger is drawn here


@styled
def plot_nearest(rows: Sequence[FilterRow], taps: int, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Every pair of filters by its distance from the nearest wavelet and its condition; the nearest wavelet of all is named.

    An orthogonal wavelet's own filters are at the bottom left: distance 0, condition 1. Colour and form show how many moments of
    h1 vanish. The grey band is where nine tenths of random pairs of so many taps are.

    Parameters
    ----------
    rows : of `filter_report`
    taps : int, K

    Examples
    --------
    >>> row = FilterRow(1, 0, None, "haar", ("db1",), 0.1, "as it is", 0, 0.0, 1.0, 1, 2, 7.0)
    >>> ax = plot_nearest([row], taps=2)
    >>> [text.get_text() for text in ax.texts]
    ['haar']
    """
    ax = ax if ax is not None else new_axes(9, 3.6)
    low, _, high = chance(taps)
    ax.axvspan(low, high, color=COLOURS["light"], alpha=0.6, lw=0, label=f"nine in ten random pairs, K = {taps}")
    for moments, (marker, colour) in MOMENTS.items():
        mine = [row for row in rows if min(row.vanishing_moments, 2) == moments]
        places = [row.distance for row in mine], [min(row.condition, WORST) for row in mine]
        words = f"{moments}{' or more' if moments == 2 else ''} vanishing moment{'' if moments == 1 else 's'}"
        ax.scatter(*places, 26, marker=marker, color=colour, edgecolors="white", lw=0.4, label=words)
    first = min(rows, key=lambda row: row.distance)
    place = first.distance, min(first.condition, WORST)
    ax.annotate(first.wavelet, place, (0, 14), textcoords="offset points", ha="center", arrowprops={"arrowstyle": "-", "lw": 0.7})
    ax.set_yscale("log")
    ax.set_yticks([1, 2, 5, 10, 20, WORST], ["1", "2", "5", "10", "20", f"≥ {WORST}"])
    ax.minorticks_off()
    ax.set(xlabel="distance from the nearest wavelet", ylabel="condition", title=title)
    ax.set(xlim=(-0.02, 1.02), ylim=(0.85, WORST * 1.3))
    ax.grid(axis="x")
    return ax


@styled
def nearest_of_report(report: FilterReport, most_columns: int = 2) -> Figure:
    """`plot_nearest` of every layer."""
    layers = report.layers()
    columns = min(most_columns, len(layers))
    count = -(-len(layers) // columns)
    figure, axes = new_figure(WIDTH, 0.9 + 2.2 * count, rows=count, columns=columns, sharex=True, sharey=True)
    for n, (ax, layer) in enumerate(zip(axes.flat, layers, strict=False)):
        plot_nearest(report.of_layer(layer), report.taps, ax, title=f"layer {layer}")
        ax.set(xlabel="" if n + columns < len(layers) else ax.get_xlabel(), ylabel="" if n % columns else ax.get_ylabel())
    for ax in axes.flat[len(layers) :]:
        ax.set_visible(False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
