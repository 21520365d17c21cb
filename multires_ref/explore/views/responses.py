"""What each scale hears: the impulse responses over lags, the frequency responses over octaves."""

from __future__ import annotations

from typing import Any

from ..hearing import FLOOR, gain_columns, impulse_columns, impulses
from ..look import lag_octave_axis, look_of, new_figure, octave_axis, put_legend, rows_axis
from ..pair import filter_lines, filters_of, taps_of
from ..state import State
from ..tree_picture import imports_of
from ..view import Data, Material, Picture, View

ABOUT = "Every level hears about one octave lower, and twice as far back. Point at a curve to read its numbers."


def data(state: State, material: Material) -> Data:
    """The impulse response and the gain of b_1, ..., b_J and a_J."""
    h0, h1 = filters_of(state)
    colours = look_of(state.theme).levels(state.depth)
    return impulse_columns(impulses(h0, h1, state.depth), colours) | {"response": gain_columns(h0, h1, state.depth, colours)}


def python(state: State, material: Material) -> str:
    """The impulse responses, whose heights are divided by the largest magnitude, and the gains."""
    return "\n".join(
        [
            "import numpy as np",
            imports_of(state, "frequency_responses", "impulse_responses"),
            "",
            *filter_lines(state),
            f"J = {state.depth}",
            "pairs = impulse_responses(h0, h1, depth=J)",
            "impulses = [d for _, d in pairs] + [pairs[-1][0]]  # of b_1, ..., b_J, a_J; entry t weighs the sample t steps ago",
            "heights = [h / abs(h).max() for h in impulses]",
            "",
            "octaves = np.linspace(-J - 2, -1, 301)  # the frequencies are powers of 2, in cycles per sample",
            "_, pairs = frequency_responses(h0, h1, depth=J, frequencies=2.0**octaves)",
            "gains = np.array([abs(B) for _, B in pairs] + [abs(pairs[-1][0])])",
            "relative = gains / 2 ** (np.array([*range(1, J + 1), J]) / 2)[:, None]",
            "decibels = 20 * np.log10(relative / relative.max())",
        ]
    )


def build(desk: Any) -> Picture:
    """The impulse responses beside the frequency responses."""
    impulse, gain = impulse_figure(desk), gain_figure(desk, "response", 420)

    def refresh(state: State, data: Data) -> None:
        rows_axis(impulse, data["impulses"]["name"])
        lag_octave_axis(impulse, (taps_of(state) - 1) * (2**state.depth - 1) + 1, state.rate)
        octave_axis(gain, state.depth, state.rate)

    return Picture(desk.side_by_side(impulse, gain), refresh)


def impulse_figure(desk: Any) -> Any:
    """The impulse responses above one another."""
    from bokeh.models import HoverTool, Range1d

    picture = new_figure(
        desk.look, 420, "", "", title="Impulse response of each scale, over its largest magnitude",
        x_range=Range1d(-1, 1), y_range=Range1d(-0.6, 1),
    )  # fmt: skip
    source = desk.source("impulses")
    picture.patches("area_x", "area_y", source=source, color="colour", fill_alpha=0.3, line_color=None)
    picture.multi_line("x", "y", source=source, color="colour", line_width=1.8)
    points = picture.scatter("x", "y", source=desk.source("points"), size=9, alpha=0, hover_alpha=0.8, color=desk.look.ink)
    tips = [("scale", "@name"), ("lag t", "@lag"), ("weight of x[n−t]", "@value{0.0000}")]
    picture.add_tools(HoverTool(renderers=[points], tooltips=tips, point_policy="snap_to_data"))
    return picture


def gain_figure(desk: Any, name: str, height: int) -> Any:
    """The gain of every scale in dB over octaves, from the source `name`."""
    from bokeh.models import CustomJSHover, HoverTool, Range1d

    picture = new_figure(
        desk.look, height, "", "gain (dB)", title="What each scale hears: its gain",
        x_range=Range1d(-6, -1), y_range=Range1d(FLOOR, 6),
    )  # fmt: skip
    source = desk.source(name)
    picture.multi_line("octave", "decibels", source=source, color="colour", line_width=2, line_dash="solid", legend_field="name")
    put_legend(picture, desk.look, "bottom_left")
    power = CustomJSHover(code="return (2 ** value).toPrecision(3)")
    tips = [("scale", "@name"), ("cycles per sample", "$snap_x{custom}"), ("gain", "$snap_y{0.0} dB")]
    picture.add_tools(HoverTool(tooltips=tips, formatters={"$snap_x": power}, line_policy="nearest"))
    return picture


VIEW = View("responses", "What each scale hears", 3, ABOUT, ("filters", "rate"), data, python, build)
