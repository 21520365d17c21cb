"""Figures that more than one view shows: the gain of every scale, and the past recovered from a memory."""

from __future__ import annotations

from typing import Any

from .hearing import FLOOR
from .look import new_figure, put_legend


def impulse_figure(desk: Any, name: str, height: int, points: str = "") -> Any:
    """The impulse responses above one another, from the source `name`; with the numbers of the source `points` to be read."""
    from bokeh.models import HoverTool, Range1d

    picture = new_figure(
        desk.look, height, "", "", title="Impulse response of each scale, over its largest magnitude",
        x_range=Range1d(-1, 1), y_range=Range1d(-0.6, 1),
    )  # fmt: skip
    source = desk.source(name)
    picture.patches("area_x", "area_y", source=source, color="colour", fill_alpha=0.3, line_color=None)
    picture.multi_line("x", "y", source=source, color="colour", line_width=1.8)
    if points:
        dots = picture.scatter("x", "y", source=desk.source(points), size=9, alpha=0, hover_alpha=0.8, color=desk.look.ink)
        tips = [("scale", "@name"), ("lag t", "@lag"), ("weight of x[n−t]", "@value{0.0000}")]
        picture.add_tools(HoverTool(renderers=[dots], tooltips=tips, point_policy="snap_to_data"))
    return picture


def gain_figure(desk: Any, name: str, height: int) -> Any:
    """The gain of every scale in dB over octaves, from the source `name`."""
    from bokeh.models import CustomJSHover, HoverTool, Range1d

    picture = new_figure(
        desk.look, height, "", "gain (dB)", title="What each scale hears: its gain",
        x_range=Range1d(-6, -1), y_range=Range1d(FLOOR, 6),
    )  # fmt: skip
    source = desk.source(name)
    picture.multi_line("octave", "decibels", source=source, color="colour", line_width=2, line_dash="dash", legend_field="name")
    put_legend(picture, desk.look, "right")
    power = CustomJSHover(code="return (2 ** value).toPrecision(3)")
    tips = [("scale", "@name"), ("cycles per sample", "$snap_x{custom}"), ("gain", "$snap_y{0.0} dB")]
    picture.add_tools(HoverTool(tooltips=tips, formatters={"$snap_x": power}, line_policy="nearest"))
    return picture


def strip_figure(desk: Any, name: str, kind: str, *, first: bool = True, last: bool = True) -> Any:
    """The past, from the source `name`, and what the memory `kind` gives back; the first has the key, the last the axis."""
    from bokeh.models import HoverTool, Range1d

    look = desk.look
    picture = new_figure(
        look, 130 + 30 * last + 20 * first, "time before n (samples)" if last else "", "x", x_range=Range1d(-1, 0),
        y_range=Range1d(-1, 1), title=kind,
    )  # fmt: skip
    source, words = desk.source(name), ({"legend_label": "the past"}, {"legend_label": "recovered"}) if first else ({}, {})
    line = picture.line("x", "past", source=source, color=look.quiet, line_width=1.5, **words[0])
    picture.step("x", kind, source=source, mode="center", color=look.low, line_width=2, **words[1])
    tips = [("time", "@x"), ("past", "@past{0.000}"), ("recovered", f"@{kind}{{0.000}}")]
    picture.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
    if first:
        put_legend(picture, look, "above")
    return picture


def strip_title(kind: str, m: int, error: float) -> str:
    """Which memory it is, and how wrong the recovered past.

    Examples
    --------
    >>> strip_title("last", 5, 0.967)
    'the last 5 samples: error 96.7 %'
    """
    name = f"the last {m} samples" if kind == "last" else f"{kind}, m = {m}"
    return f"{name}: error {100 * error:.3g} %"
