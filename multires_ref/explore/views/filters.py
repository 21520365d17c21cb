"""The filters: their taps, which are dragged; whether the tree can still be undone; what every scale hears of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..curves import gain_figure, impulse_figure, strip_figure, strip_title
from ..hearing import PER_OCTAVE, gain_columns, impulse_columns, impulses
from ..look import lag_octave_axis, look_of, new_figure, octave_axis, rows_axis, set_ticks, time_axis
from ..pair import FREQUENCIES, filter_lines, filters_of, reconstruction
from ..remember import memory_of, recovered
from ..state import State
from ..tree_picture import imports_of
from ..view import Data, Material, Picture, View

ABOUT = (
    "Drag a tap up or down. Or choose one with the arrow keys ← and → (h: the other filter) and move it with ↑ and ↓, "
    "with Shift in small steps."
)
HALF = FREQUENCIES // 2 + 1
NEARLY = 0.01
MANY_TAPS = 24  # more are drawn smaller


def data(state: State, material: Material) -> Data:
    """The taps, the gain of every scale, the error of the tree's inverse over frequency, and its largest value."""
    h0, h1 = filters_of(state)
    found = reconstruction(state)
    colours = look_of(state.theme).levels(state.depth)
    columns, errors = recovered(state, material, (state.tree_select,))
    columns["recovered"] = columns.pop(state.tree_select)
    m = len(memory_of(state, state.tree_select).M)
    return {
        "h0": {"lag": np.arange(len(h0)), "value": h0},
        "h1": {"lag": np.arange(len(h1)), "value": h1},
        "gains": gain_columns(h0, h1, state.depth, colours),
        "scales": impulse_columns(impulses(h0, h1, state.depth), colours)["impulses"],
        "kept_past": columns,
        "kept_error": {"kind": [state.tree_select], "m": [m], "error": errors},
        "error": {"f": np.arange(HALF) / FREQUENCIES, "error": np.maximum(found.errors, 1e-17)},
        "light": {name: [value] for name, value in found.summary().items()},
    }


def python(state: State, material: Material) -> str:
    """The gains of every scale, and the error of the inverse at the frequencies f = 0, 1/1024, ..., 1023/1024."""
    h0, h1 = filters_of(state)
    found = reconstruction(state)
    return "\n".join(
        [
            "import numpy as np",
            imports_of(state, "frequency_responses"),
            "",
            *filter_lines(state),
            f"P = {PER_OCTAVE}  # frequencies in each octave",
            f"octaves = np.arange(P * {-state.depth - 2}, 1 - P) / P  # log2 of cycles per sample",
            f"_, pairs = frequency_responses(h0, h1, depth={state.depth}, frequencies=2.0**octaves)",
            "gains = [abs(B) for _, B in pairs] + [abs(pairs[-1][0])]  # of b_1, ..., b_J, a_J",
            "",
            *found.lines(h0, h1),
            f"f = np.arange({FREQUENCIES}) / {FREQUENCIES}",
            "waves = np.exp(-2j * np.pi * np.outer(f, np.arange(len(h0))))",
            "late = np.exp(2j * np.pi * f * (len(h0) - 1))",
            "low, high = ((waves @ h) * (waves @ g) * late / 2 for h, g in ((h0, g0), (h1, g1)))",
            "T = np.ones(len(f))  # the gain of the tree and its inverse, level by level",
            f"for _ in range({state.depth}):",
            "    T = low * T[2 * np.arange(len(f)) % len(f)] + high",
            "error = abs(T - 1)",
        ]
    )


def light_words(found: dict[str, Any], delay: int) -> str:
    """The verdict in words, with a sign, a colour and a number.

    Examples
    --------
    >>> light_words({"error": 0.5, "frequency": 0.25, "by": "g"}, 3)[:40]
    '<b class="no">✘ Does not reconstruct.</b'
    """
    error, by = found["error"], found["by"]
    size = f"{error:.1e}" if error < 1e-3 or error >= 10 else f"{100 * error:.2g} %"
    if found.get("perfect"):
        words = f"{by} give back x[n − {delay:,}]; the largest error is {size}, which is rounding."
        return f'<b class="yes">✔ Reconstructs perfectly:</b> {words}'
    kind, verdict = ("nearly", "◐ Nearly reconstructs.") if error <= NEARLY else ("no", "✘ Does not reconstruct.")
    words = f"With {by}, a wave of {found['frequency']:.3g} cycles per sample comes back with an error of {size}, the largest."
    return f'<b class="{kind}">{verdict}</b> {words}'


FORMULA = """<span class="quiet">The undecimated tree is undone, K − 1 samples late at each level, exactly if
(G₀H₀ + G₁H₁)/2 = z<sup>−(K−1)</sup>; with filters reversed in time: if |H₀(f)|² + |H₁(f)|² = 2 at every f. For J levels
T<sub>0</sub> = 1, T<sub>j</sub>(f) = (G₀(f) H₀(f) T<sub>j−1</sub>(2f) + G₁(f) H₁(f)) e<sup>2πif(K−1)</sup>/2; the error is
|T<sub>J</sub>(f) − 1|.</span>"""


def build(desk: Any) -> Picture:
    """Two figures of taps, one of gains, one of the error."""
    from bokeh.layouts import column
    from bokeh.models import Div

    light, formula = Div(name="light_words", sizing_mode="stretch_width"), Div(text=FORMULA, sizing_mode="stretch_width")
    h0, h1 = taps_figure(desk, "h0", desk.look.low), taps_figure(desk, "h1", desk.look.high)
    gains, scales = gain_figure(desk, "gains", 260), impulse_figure(desk, "scales", 260)
    error, kept = error_figure(desk), strip_figure(desk, "kept_past", "recovered")
    kept.height = error.height
    rows = [desk.side_by_side(*pair) for pair in ((h0, h1), (gains, scales), (error, kept))]
    layout = column(light, *rows, formula, sizing_mode="stretch_width")

    def refresh(state: State, data: Data) -> None:
        K = len(data["h0"]["lag"])
        light.text = light_words({name: values[0] for name, values in data["light"].items()}, (2**state.depth - 1) * (K - 1))
        fit_taps([h0, h1], data)
        octave_axis(gains, state.depth, state.rate)
        rows_axis(scales, data["scales"]["name"])
        lag_octave_axis(scales, (K - 1) * (2**state.depth - 1) + 1, state.rate)
        fit_kept(kept, data, state)

    return Picture(layout, refresh)


def fit_kept(picture: Any, data: Data, state: State) -> None:
    """What is recovered, from which memory of which signal, and how wrong it is."""
    kept, p = {name: values[0] for name, values in data["kept_error"].items()}, data["kept_past"]["past"]
    picture.title.text = f"{state.signal} at n = {state.n}, from the memory: {strip_title(**kept)}"
    room = 0.2 * float(np.ptp(p)) or 1.0
    picture.x_range.update(start=-len(p) + 0.5, end=0.5)
    time_axis(picture, state.rate, "time before n")
    picture.y_range.update(start=float(p.min()) - room, end=float(p.max()) + 1.5 * room)


def fit_taps(figures: list[Any], data: Data) -> None:
    """Room for the taps, and a little more; while a tap is dragged inside it, the axes stand still."""
    from bokeh.models import Scatter

    largest = max(1.0, *(float(abs(data[name]["value"]).max()) for name in ("h0", "h1")))
    for picture in figures:
        if not 0.5 * picture.y_range.end < 1.05 * largest <= picture.y_range.end:
            picture.y_range.update(start=-1.3 * largest, end=1.3 * largest)
        for dots in picture.select({"type": Scatter, "tags": ["dots"]}):
            dots.size = 13 if len(data["h0"]["lag"]) <= MANY_TAPS else 7
        picture.x_range.update(start=-0.6, end=len(data["h0"]["lag"]) - 0.4)


def taps_figure(desk: Any, name: str, colour: str) -> Any:
    """The taps of one filter as stems, which the pointer drags."""
    from bokeh.events import Pan, PanEnd, PanStart, Tap
    from bokeh.models import BasicTicker, ColumnDataSource, CustomJS, HoverTool, Range1d

    title = {"h0": "h0, the low-pass filter", "h1": "h1, the high-pass filter"}[name]
    source, ring = desk.source(name), ColumnDataSource({"lag": [], "value": []}, name=f"ring_{name}")
    picture = new_figure(
        desk.look, 230, "lag k (samples)", f"{name}[k]", title=title, x_range=Range1d(0, 1), y_range=Range1d(-1.3, 1.3)
    )
    picture.xaxis.ticker = BasicTicker(min_interval=1)
    picture.line([-1, 1000], [0, 0], color=desk.look.quiet)
    picture.segment("lag", 0, "lag", "value", source=source, color=colour, line_width=3)
    dots = picture.scatter("lag", "value", source=source, color=colour, size=13)
    dots.glyph.tags = ["dots"]
    picture.scatter("lag", "value", source=ring, size=21, fill_color=None, line_color=desk.look.ink, line_width=2)
    picture.add_tools(HoverTool(renderers=[dots], tooltips=[("lag", "@lag"), (name, "@value{0.0000}")]))
    pan = CustomJS(code=f"window.multires?.taps_pan('{name}', cb_obj)")
    for event in (PanStart, Pan, PanEnd):
        picture.js_on_event(event, pan)
    picture.js_on_event(Tap, CustomJS(code=f"window.multires?.grab('{name}', cb_obj)"))
    source.js_on_change("data", CustomJS(code=f"window.multires?.taps_came('{name}')"))
    return picture


def error_figure(desk: Any) -> Any:
    """The error of the tree's inverse over frequency."""
    from bokeh.models import HoverTool, Range1d

    picture = new_figure(
        desk.look, 210, "frequency (cycles per sample)", "|T_J(f) − 1|", title="Error of the returned signal",
        y_axis_type="log", y_range=Range1d(1e-17, 10), x_range=Range1d(0, 0.5),
    )  # fmt: skip
    set_ticks(picture.yaxis[0], {10.0**e: f"1e{e}" if e else "1" for e in (-15, -10, -5, 0)})
    line = picture.line("f", "error", source=desk.source("error"), color=desk.look.sum, line_width=2)
    picture.add_tools(HoverTool(renderers=[line], tooltips=[("frequency", "@f{0.0000}"), ("error", "@error")], mode="vline"))
    return picture


VIEW = View("filters", "Filters", 1, ABOUT, ("filters", "rate"), data, python, build)
