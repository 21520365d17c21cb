"""The style of every figure: colours, sizes, figures without global state, and files that are the same bytes each time.

A figure function is written

    @styled
    def plot_something(data, ax=None):
        ax = ax if ax is not None else new_axes(9, 4)
        ...
        return ax

so that it draws into the Axes that it is given, or into a new one, and never changes pyplot's current figure. The colours are the
eight of Okabe and Ito, which colour-blind readers can distinguish. Levels run from light (fine) to dark (coarse), so that they
keep their order in grey print. Widths are in inches: 9 inches are 864 pixels in a browser, the width of a README.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..base.checks import check_choice, check_int
from ..base.files import write_whole

COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "red": "#D55E00",
    "pink": "#CC79A7",
    "grey": "#7F7F7F",
    "light": "#D9D9D9",
}
CYCLE = [COLOURS[name] for name in ("blue", "red", "green", "pink", "orange", "sky", "black")]
# beside colours, so that curves can be distinguished in grey print
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
MARKERS = "osD^v*"
APPROXIMATION, DETAIL, SIGNAL, MEMORY = COLOURS["blue"], COLOURS["orange"], COLOURS["black"], COLOURS["red"]
DIVERGING = "cividis"  # signed numbers: blue below zero, yellow above; they differ in grey print too
WIDTH = 9.0  # inches

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same font everywhere
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=CYCLE),
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "multires_ref",
}


def style() -> AbstractContextManager:
    """A `with` block in which matplotlib draws in this package's style; afterwards its own settings are restored."""
    return mpl.rc_context(STYLE)


def styled(draw: Callable) -> Callable:
    """Decorator: run the figure function in `style()`."""

    @wraps(draw)
    def drawing(*args: Any, **kwargs: Any) -> Any:
        with style():
            return draw(*args, **kwargs)

    return drawing


def new_figure(
    width: float = WIDTH, height: float = 4.0, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, np.ndarray]:
    """A figure with the Agg canvas and a grid of Axes [rows, columns], outside pyplot's global state.

    `grid` goes to `Figure.subplots` (sharex, width_ratios, ...).

    Examples
    --------
    >>> figure, axes = new_figure(9, 4, rows=2, sharex=True)
    >>> axes.shape
    (2, 1)
    """
    with style():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def new_axes(width: float = WIDTH, height: float = 4.0) -> Axes:
    """One Axes on a figure of its own; the figure is ``ax.figure``.

    Examples
    --------
    >>> new_axes(9, 4).figure.get_size_inches()
    array([9., 4.])
    """
    return new_figure(width, height)[1][0, 0]


def level_colours(levels: int) -> list[str]:
    """A colour for each level, fine to coarse: light green to dark violet (viridis without its yellow, too light on white).

    Examples
    --------
    >>> level_colours(3)
    ['#7ad151', '#2a788e', '#440154']
    """
    J = check_int("levels", levels, 1)
    return [mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(0.8, 0.0, J))]


def octaves(ax: Axes, longest: int) -> None:
    """Make the x axis logarithmic from 1 to `longest`, with whole numbers at the octaves 1, 2, 4, ...

    Examples
    --------
    >>> ax = new_axes(4, 2)
    >>> octaves(ax, 8)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['1', '2', '4', '8']
    """
    ax.set_xscale("log", base=2)
    ticks = [2**e for e in range(longest.bit_length()) if 2**e <= longest]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_xlim(0.85, longest * 1.05)


def frequency_octaves(ax: Axes, depth: int, octaves_between: int = 1) -> None:
    """Make the x axis a logarithmic one of frequency in cycles per sample, with ticks at 1/2, 1/4, ... down to 1/2^(depth + 2).

    Examples
    --------
    >>> ax = new_axes(4, 2)
    >>> frequency_octaves(ax, 1)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['1/8', '1/4', '1/2']
    """
    ax.set_xscale("log", base=2)
    exponents = range(depth + 2, 0, -octaves_between)
    ax.set_xticks([2.0**-e for e in exponents], [f"1/{2**e}" for e in exponents])
    ax.minorticks_off()
    ax.grid()


def without_axes(ax: Axes, title: str = "") -> None:
    """Leave out ticks and frame, as around a photograph."""
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)


def picture_bytes(figure: Figure | Axes, kind: str, dpi: int = 200) -> bytes:
    """The figure as the bytes of an SVG (text as paths) or PNG file: the same bytes each time, with no date in them."""
    check_choice("kind", kind, ("svg", "png"))
    figure = figure.figure if isinstance(figure, Axes) else figure
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    out = io.BytesIO()
    with style():
        figure.savefig(out, format=kind, dpi=dpi, metadata=metadata)
    return out.getvalue()


def save(figure: Figure | Axes, path: str | os.PathLike, dpi: int = 200) -> Path:
    """Write the figure to `path` (.svg or .png), completely or not at all; the same figure gives the same bytes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     once = save(new_axes(3, 2), folder + "/a.svg").read_bytes()
    ...     again = save(new_axes(3, 2), folder + "/b.svg").read_bytes()
    >>> once == again
    True
    """
    path = Path(path)
    data = picture_bytes(figure, path.suffix.lstrip("."), dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
    return path


def fewer_colours(png: bytes, colours: int = 128) -> bytes:
    """The PNG with a palette of few colours, a third of the size; with all of its colours where a palette would be seen.

    It would be seen where more than a twentieth of the pixels move by more than 6 of 255: a photograph, or a smooth gradient.
    """
    from PIL import Image  # matplotlib depends on it

    whole, out = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    few = whole.quantize(colours, dither=Image.Dither.NONE)
    moved = abs(np.asarray(few.convert("RGB"), int) - np.asarray(whole, int)).max(axis=2)
    (whole if (moved > 6).mean() > 0.05 else few).save(out, format="png", optimize=True)
    return out.getvalue()


class Picture:
    """A figure as a notebook shows it: a PNG of 100 dots per inch, and a description for readers who cannot see it."""

    def __init__(self, figure: Figure | Axes, words: str) -> None:
        self.png, self.words = fewer_colours(picture_bytes(figure, "png", dpi=100)), words

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"image/png": self.png, "text/plain": self.words}


def show(figure: Figure | Axes, words: str = "a figure") -> Picture:
    """Show a figure at the end of a notebook's cell, as in ``show(plot_tree(3, 2), "the tree")``.

    Examples
    --------
    >>> show(new_axes(3, 2)).png[1:4]
    b'PNG'
    """
    return Picture(figure, words)
