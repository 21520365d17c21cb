"""The memory: a signal with a cursor, z_n as bars, and the past recovered from it, beside the same from other memories."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..curves import strip_figure, strip_title
from ..hearing import extremes
from ..look import look_of, new_figure, put_legend, rows_axis, time_axis
from ..pair import filter_lines
from ..recordings import signal_imports, signal_lines
from ..remember import (
    KINDS,
    bar_scale,
    largest_bar,
    memory_of,
    past,
    recovered,
    shown_signal,
    time_of,
    uniform_size,
)
from ..state import State
from ..tree_picture import coefficient_name, imports_of
from ..view import Data, Material, Picture, View

ABOUT = (
    "Drag the cursor, move it with the arrow keys (with Shift 16 samples), or let it play (space). The bars are all that "
    "the layer knows at time n; below, the past is recovered from them by least squares. The error is |recovered − past| "
    "/ |past|, over all samples that the tree sees."
)
MOST_POINTS = 4096  # of the signal: more than the picture has pixels


def data(state: State, material: Material) -> Data:
    """The signal, the cursor, z_n, and the past with what each memory recovers of it."""
    x = shown_signal(state, material)
    n, (columns, errors) = time_of(state, x), recovered(state, material, KINDS)
    held = memory_of(state, state.tree_select)
    R = held.M.shape[1]
    return {
        "samples": signal_columns(x),
        "cursor": {"n": [n], "x": [x[n]]},
        "seen": {"left": [max(0, n - R + 1) - 0.5], "right": [n + 0.5]},
        "bars": bar_columns(state, held, past(x, n, R), largest_bar(state, x)),
        "past": columns,
        "errors": {"kind": list(KINDS), "m": [len(memory_of(state, kind).M) for kind in KINDS], "error": errors},
    }


def signal_columns(x: np.ndarray) -> dict[str, np.ndarray]:
    """t and x; of a long signal its extremes."""
    chosen = extremes(x, MOST_POINTS)
    return {"t": chosen, "x": x[chosen]}


def bar_columns(state: State, memory: Any, p: np.ndarray, most: float) -> dict[str, Any]:
    """A bar for each number of the memory, a_J at the top: z, z / 2^(i/2), and how far the axis must reach."""
    z, rows = memory.M @ p, memory.rows
    look = look_of(state.theme)
    colours = look.levels(state.depth)
    return {
        "row": len(rows) - 1 - np.arange(len(rows)),
        "name": [coefficient_name(r.kind, r.level, r.lag) if r.kind != "unused" else "unused" for r in rows],
        "z": z,
        "bar": z / bar_scale(rows),
        "colour": [colours[r.level - 1] if r.level else look.quiet for r in rows],
        "most": np.full(len(rows), most),
    }


def python(state: State, material: Material) -> str:
    """z_n, and the past recovered from the fading and from the uniform memory, and from the last m samples."""
    m = uniform_size(state)
    return "\n".join(
        [
            "import numpy as np",
            imports_of(state, "memory", "receptive_field", *signal_imports(state, material)),
            "",
            *filter_lines(state),
            *signal_lines(state, material),
            f"n, J, m = {time_of(state, shown_signal(state, material))}, {state.depth}, {m}",
            "",
            "R = receptive_field(J, len(h0))  # so many samples are seen",
            "past = np.concatenate((x[max(0, n - R + 1) : n + 1][::-1], np.zeros(max(0, R - n - 1))))  # the newest first",
            "recovered = {}",
            "for tree_select, size in (('fading', J + 1), ('uniform', m)):",
            "    M, rows = memory(np.eye(1, R)[0], h0, h1, J, tree_select, size)  # column t: what is held of a 1 of t steps ago",
            "    z_n = M @ past",
            "    recovered[tree_select] = np.linalg.pinv(M) @ z_n",
            "recovered['last'] = np.where(np.arange(R) < m, past, 0.0)",
        ]
    )


def build(desk: Any) -> Picture:
    """The signal and its cursor at the top; below, z_n beside three recovered pasts."""
    from bokeh.layouts import column
    from bokeh.models import CustomJS, Slider, Toggle

    slider = Slider(name="n", title="cursor: n", start=0, end=1, value=0, step=1, sizing_mode="stretch_width")
    slider.js_on_change("value", CustomJS(code="window.multires?.send('n', cb_obj.value)"))
    play = Toggle(name="play", label="play", width=90)
    play.js_on_change("active", CustomJS(code="window.multires?.play(cb_obj.active)"))
    signal, bars = signal_figure(desk), bars_figure(desk)
    strips = [strip_figure(desk, "past", kind, first=kind == KINDS[0], last=kind == KINDS[-1]) for kind in KINDS]
    for strip in strips[1:]:
        strip.x_range, strip.y_range = strips[0].x_range, strips[0].y_range
    below = desk.side_by_side(bars, column(*strips, sizing_mode="stretch_width"))
    layout = column(signal, desk.side_by_side(play, slider), below, sizing_mode="stretch_width")

    def refresh(state: State, data: Data) -> None:
        L = len(shown_signal(state, desk.material))
        slider.end = max(1, L - 1)
        if not desk.by_hand:  # otherwise the browser's slider is ahead of this
            slider.value = min(data["cursor"]["n"][0], slider.end)
        fit_signal(signal, data, L, state.rate)
        fit_bars(bars, data)
        fit_strips(strips, data, state.rate)

    return Picture(layout, refresh)


def fit_signal(picture: Any, data: Data, L: int, rate: float) -> None:
    """The axes of the signal: all of it, in samples, and in seconds where the rate is known."""
    x = data["samples"]["x"]
    low, high = float(min(x)), float(max(x))
    room = 0.06 * (high - low) or 1.0
    picture.x_range.update(start=-0.5, end=L - 0.5)
    picture.y_range.update(start=low - room, end=high + room)
    time_axis(picture, rate, "time n")


def fit_bars(picture: Any, data: Data) -> None:
    """Names of the rows, and an axis that stands still while the cursor moves."""
    bars = data["bars"]
    rows_axis(picture, bars["name"][::-1])
    most = 1.05 * max(float(bars["most"][0]), float(abs(bars["bar"]).max())) or 1.0
    if not 0.6 * picture.x_range.end < most <= picture.x_range.end:
        picture.x_range.update(start=-1.2 * most, end=1.2 * most)
    picture.title.text = f"The memory z_n: {len(bars['z'])} numbers"


def fit_strips(strips: list[Any], data: Data, rate: float) -> None:
    """What each memory is, and how wrong the recovered past is."""
    errors = data["errors"]
    for picture, kind, m, error in zip(strips, errors["kind"], errors["m"], errors["error"], strict=True):
        picture.title.text = strip_title(kind, m, error)
    x, p = data["past"]["x"], data["samples"]["x"]
    low, high = float(min(p)), float(max(p))
    room = 0.15 * (high - low) or 1.0
    strips[0].x_range.update(start=float(x[-1]) - 0.5, end=0.5)
    strips[0].y_range.update(start=min(low, 0) - room, end=max(high, 0) + room)
    for strip in strips:
        time_axis(strip, rate, "time before n" if strip is strips[-1] else "")


def signal_figure(desk: Any) -> Any:
    """The signal, the cursor, and the samples that the tree sees."""
    from bokeh.events import Pan, PanStart, Tap
    from bokeh.models import CustomJS, Range1d

    look = desk.look
    picture = new_figure(look, 190, "time n (samples)", "x[n]", x_range=Range1d(0, 1), y_range=Range1d(0, 1))
    picture.quad(
        "left", "right", -1e9, 1e9, source=desk.source("seen"), color=look.low, alpha=0.12, line_color=None,
        legend_label="seen by the tree",
    )  # fmt: skip
    picture.line("t", "x", source=desk.source("samples"), color=look.ink, line_width=1.3, legend_label="x[n]")
    picture.vspan("n", source=desk.source("cursor"), color=look.mark, line_width=2, legend_label="the cursor")
    picture.scatter("n", "x", source=desk.source("cursor"), color=look.mark, size=9)
    move = CustomJS(code="window.multires?.move_to(cb_obj.x)")
    for event in (PanStart, Pan, Tap):
        picture.js_on_event(event, move)
    put_legend(picture, look, "above")
    return picture


def bars_figure(desk: Any) -> Any:
    """z_n, a bar for each number."""
    from bokeh.models import HoverTool, Range1d

    picture = new_figure(desk.look, 420, "z_n / 2^(i/2), in the units of x", "", x_range=Range1d(-1, 1), y_range=Range1d(0, 1))
    bars = picture.hbar("row", height=0.7, right="bar", source=desk.source("bars"), color="colour")
    picture.ygrid.grid_line_color = None
    picture.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@name"), ("z_n", "@z{0.0000}")]))
    return picture


VIEW = View("memory", "The memory", 4, ABOUT, ("filters", "memory", "signal", "rate"), data, python, build)
