"""How the page looks, light and dark: colours, and figures without a toolbar whose words and lines suit the background."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from ..plots.style import COLOURS, level_colours

MOST_LABELS = 8  # on an axis of octaves: more would overlap


class Look(NamedTuple):
    """The colours of the page: ink on paper, the grid, what is beside the point, and the marks of the pictures."""

    paper: str
    ink: str
    grid: str
    quiet: str
    low: str  # h0, approximations
    high: str  # h1, details
    mark: str  # what the memory keeps, the cursor
    sum: str  # what two curves make together
    dark: bool

    def levels(self, J: int) -> list[str]:
        """A colour for each level, fine to coarse: `plots.style.level_colours`; on dark paper the light half of that map."""
        if not self.dark:
            return level_colours(J)
        import matplotlib as mpl
        import numpy as np

        return [mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(0.95, 0.35, J))]


LOOKS = {
    "light": Look("#FFFFFF", "#1B1B1B", "#E5E5E5", "#6E6E6E", *(COLOURS[c] for c in ("blue", "red", "red", "green")), False),
    "dark": Look("#17191C", "#EDEDED", "#34383D", "#9BA1A8", "#56B4E9", "#F0903C", "#F0903C", "#2FC79A", True),
}


def look_of(theme: str) -> Look:
    """The colours of a theme; "" is light until the browser says that its user prefers dark (see `client.js`)."""
    return LOOKS["dark" if theme == "dark" else "light"]


def new_figure(look: Look, height: int, x: str, y: str, **options: Any) -> Any:
    """A Bokeh figure as wide as its place, with named axes; `options` go to `bokeh.plotting.figure`."""
    from bokeh.plotting import figure

    picture = figure(
        height=height, sizing_mode="stretch_width", min_width=240, tools="", toolbar_location=None, min_border_right=16,
        x_axis_label=x, y_axis_label=y, **options,
    )  # fmt: skip
    picture.background_fill_color = picture.border_fill_color = None  # the page's own shows through
    picture.outline_line_color = None
    picture.grid.grid_line_color = look.grid
    picture.title.text_color, picture.title.text_font_size, picture.title.text_font_style = look.ink, "13px", "normal"
    picture.axis.major_label_text_color = picture.axis.axis_label_text_color = look.ink
    picture.axis.axis_line_color = picture.axis.major_tick_line_color = look.quiet
    picture.axis.major_label_text_font_size = picture.axis.axis_label_text_font_size = "12px"
    picture.axis.axis_label_text_font_style = "normal"
    picture.axis.minor_tick_line_color = None
    return picture


def put_legend(picture: Any, look: Look, place: str = "top_right", **options: Any) -> None:
    """Lay out the key of a figure: outside its frame, so that it hides nothing, "above" in a row or at the "right"; or inside,
    at one of Bokeh's places such as "top_left"."""
    key, outside = picture.legend[0], place in ("above", "right")
    key.orientation = "vertical" if place == "right" else "horizontal"
    key.background_fill_color, key.background_fill_alpha, key.border_line_color = look.paper, 0.75, None
    key.label_text_color, key.label_text_font_size = look.ink, "12px"
    key.padding, key.margin, key.spacing = 2, 2, 0 if place == "right" else 8
    key.glyph_width = key.glyph_height = 16
    if outside:
        picture.add_layout(key, place)
    else:
        key.location = place
    key.update(**options)


def set_ticks(axis: Any, labels: dict[float, str]) -> None:
    """Ticks with labels. An axis keeps its ticker: a new model would make Bokeh go through the whole document."""
    from bokeh.models import FixedTicker

    if not isinstance(axis.ticker, FixedTicker):
        axis.ticker = FixedTicker()
    ticks = list(labels)
    if axis.ticker.ticks != ticks:
        axis.ticker.ticks = ticks
    if axis.major_label_overrides != labels:
        axis.major_label_overrides = labels


def octave_axis(picture: Any, depth: int, rate: float = 0.0) -> None:
    """The x axis, whose numbers are log2 of cycles per sample, as octaves from 1/2 down; in hertz where the rate is known."""
    exponents = range(-1, -depth - 3, -math.ceil((depth + 2) / MOST_LABELS))[::-1]
    set_ticks(picture.xaxis[0], {e: f"{rate * 2.0**e:.3g}" if rate else f"1/{2**-e}" for e in exponents})
    picture.xaxis.axis_label = "frequency (hertz, octaves)" if rate else "frequency (cycles per sample, octaves)"
    picture.x_range.update(start=-depth - 2, end=-0.97)


def lag_octave_axis(picture: Any, longest: int, rate: float = 0.0) -> None:
    """The x axis, whose numbers are log2(1 + lag), as octaves of lags; in seconds where the rate is known."""
    octaves = max(2, longest.bit_length() + 1)
    exponents = range(0, octaves, math.ceil(octaves / MOST_LABELS))
    set_ticks(picture.xaxis[0], {e: f"{2**e / rate:.3g}" if rate else f"{2**e:,}" for e in exponents})
    picture.xaxis.axis_label = "time back, t + 1 (seconds, octaves)" if rate else "samples back, t + 1 (octaves)"
    picture.x_range.update(start=-1, end=max(1.0, math.log2(longest + 1)))


def rows_axis(picture: Any, names: list[str]) -> None:
    """Names at the rows 0, 1, ... of the y axis."""
    set_ticks(picture.yaxis[0], dict(enumerate(names)))
    picture.y_range.update(start=-0.6, end=len(names) - 0.4)


def time_axis(picture: Any, rate: float, name: str) -> None:
    """An axis of samples, or of seconds where the rate is known; without a name only its numbers."""
    from bokeh.models import CustomJSTickFormatter

    axis = picture.xaxis[0]
    if not isinstance(axis.formatter, CustomJSTickFormatter):
        axis.formatter = CustomJSTickFormatter()
    value = f"Number((tick / {rate!r}).toPrecision(3)) + ' s'" if rate else "String(tick)"
    axis.formatter.code = f"return ({value}).replace('-', '−')"
    axis.axis_label = f"{name} (seconds)" if rate and name else f"{name} (samples)" if name else ""


def dress(root: Any) -> None:
    """Give every widget below `root` the page's style sheet, which turns light and dark with it.

    It comes before the widgets are on the page: on a document, each new model would make Bokeh go through all others.
    """
    from bokeh.models import InlineStyleSheet, Widget

    css = InlineStyleSheet(css=(Path(__file__).parent / "widgets.css").read_text())
    for model in root.references():
        if isinstance(model, Widget) and not model.stylesheets:
            model.stylesheets = [css]


def repaint(root: Any, old: Look, new: Look) -> None:
    """Give every colour of the look `old` on `root` its counterpart in `new`; colours in data follow when the data come."""
    colours = {getattr(old, name): getattr(new, name) for name in Look._fields if name != "dark"}
    for model in root.references():
        for name in model.properties():
            if name.endswith("color") and isinstance(value := getattr(model, name), str):
                setattr(model, name, colours.get(value, value))
        if isinstance(styles := getattr(model, "styles", None), dict) and styles.get("color") in colours:
            model.styles = {**styles, "color": colours[styles["color"]]}
