"""The tree behind a_J[n], the memory of both TreeSelects outlined in it, and what one coefficient sees and is made from."""

from __future__ import annotations

from typing import Any

from ..hearing import extremes, impulses
from ..look import look_of, new_figure, put_legend, set_ticks, time_axis
from ..pair import filter_lines, filters_of, taps_of
from ..state import State, most_uniform
from ..tree_picture import (
    MOST_LAGS,
    ancestors,
    coefficient_name,
    field_of,
    formula,
    height,
    imports_of,
    kept,
    looked_at,
    nearest,
    nodes,
    row_order,
    tap_lines,
)
from ..view import Data, Material, Picture, View

ABOUT = (
    "Click a coefficient, or go to one with the arrow keys: the samples that it sees are marked, and the sum that makes it is "
    "written out. Circles are approximations a, squares details b; each line is a tap."
)
SHOWN = 96  # lags that are seen at first
MOST_WEIGHTS = 2048  # of more, the extremes are drawn


def data(state: State, material: Material) -> Data:
    """The coefficients and taps, the two memories, the chosen coefficient, and its weight of every sample."""
    h0, h1 = filters_of(state)
    row, K, colours = looked_at(state), len(h0), look_of(state.theme).levels(state.depth)
    response = impulses(h0, h1, row.level)[row.level - 1 if row.kind == "b" else -1]
    newest, oldest = field_of(row, K)
    lags = extremes(response, MOST_WEIGHTS)
    made = [(kind, level, lag) for level, lag in sorted(ancestors(row, K)) for kind in "a"]
    return {
        "nodes": node_columns(state, K, colours),
        "pairs": pair_columns(state.depth, K),
        "taps": tap_columns(state.depth, K, colours),
        **{select: places([row_order(r) for r in kept(state, select)]) for select in ("fading", "uniform")},
        "chosen": places([row_order(row)]),
        "made_from": places(made),
        "field": {"left": [-oldest - 0.5], "right": [-newest + 0.5]},
        "weights": {"lag": row.lag + lags, "x": -row.lag - lags, "weight": response[lags]},
    }


def node_columns(state: State, K: int, colours: list[str]) -> dict[str, Any]:
    """Each coefficient's place, marker, colours, and name."""
    found = nodes(state.depth, K)
    rows = list(zip(found["kind"], found["level"], found["lag"], strict=True))
    inside = {row_order(r) for select in ("fading", "uniform") for r in kept(state, select)}
    look = look_of(state.theme)
    edge = [look.ink if level == 0 else colours[level - 1] for _, level, _ in rows]
    fill = [e if row in inside or row[1] == 0 else look.paper for e, row in zip(edge, rows, strict=True)]
    shape = [{"b": "square"}.get(kind, "circle") for kind, _, _ in rows]
    return places(rows) | {"edge": edge, "fill": fill, "shape": shape, "name": [coefficient_name(*row) for row in rows]}


def places(rows: list[tuple[str, int, int]]) -> dict[str, Any]:
    """Where coefficients (kind, level, lag) stand; those older than MOST_LAGS are not drawn."""
    drawn = [row for row in rows if row[2] < MOST_LAGS]
    return {"x": [-lag for _, _, lag in drawn], "y": [height(kind, level) for kind, level, _ in drawn]}


def pair_columns(depth: int, K: int) -> dict[str, Any]:
    """A line between a_i and b_i, which are made from the same taps of the level below."""
    found = nodes(depth, K)
    rows = [(i, lag) for kind, i, lag in zip(found["kind"], found["level"], found["lag"], strict=True) if kind == "a"]
    low, high = ([height(kind, i) for i, _ in rows] for kind in "ba")
    return {"x": [-lag for _, lag in rows], "low": low, "high": high}


def tap_columns(depth: int, K: int, colours: list[str]) -> dict[str, Any]:
    """A line for each tap, from a_{i-1}[n - lag - k 2^(i-1)] up to the pair (a_i, b_i)[n - lag]."""
    lines = tap_lines(depth, K)
    return {
        "x0": [-(lag + k * 2 ** (i - 1)) for i, lag, k in lines],
        "y0": [height("a", i - 1) for i, _, _ in lines],
        "x1": [-lag for _, lag, _ in lines],
        "y1": [height("b", i) for i, _, _ in lines],
        "colour": [colours[i - 1] for i, _, _ in lines],
    }


def python(state: State, material: Material) -> str:
    """The rows of both memories, and the weights of the chosen coefficient."""
    row, K = looked_at(state), taps_of(state)
    m = min(state.m or state.depth + 1, most_uniform(state.depth, K))
    return "\n".join(
        [
            "import numpy as np",
            imports_of(state, "impulse_responses", "memory_rows"),
            "",
            *filter_lines(state),
            f"fading = memory_rows({state.depth}, {K})  # (level, kind, lag) of each number of the memory",
            f"uniform = memory_rows({state.depth}, {K}, 'uniform', size={m})",
            "",
            f"g, d = impulse_responses(h0, h1, depth={row.level})[-1]",
            f"weights = {'g' if row.kind == 'a' else 'd'}  # of the samples that {coefficient_name(*row_order(row))} sees",
            f"lags = {row.lag} + np.arange(len(weights))",
        ]
    )


def build(desk: Any) -> Picture:
    """The tree, the formula, and below the weights on the same axis of time."""
    from bokeh.events import Tap
    from bokeh.layouts import column
    from bokeh.models import Div

    words = Div(name="formula", sizing_mode="stretch_width")
    tree = tree_figure(desk)
    weights = weights_figure(desk)
    tree.on_event(Tap, lambda event: desk.change(**nearest(desk.state, event.x, event.y)))

    def refresh(state: State, data: Data) -> None:
        words.text = sentence(state)
        field = data["field"]
        for picture in (tree, weights):
            time_axis(picture, 0.0, "time before n")
        weights.x_range.update(start=field["left"][0], end=field["right"][0])
        steps = (taps_of(state) - 1) * (2**state.depth - 1) + 1
        levels = [(i, kind) for i in range(1, state.depth + 1) for kind in "ab"]
        set_ticks(tree.yaxis[0], {0.0: "x"} | {height(kind, i): coefficient_name(kind, i, 0)[:-3] for i, kind in levels})
        tree.height = 150 + 62 * state.depth
        tree.y_range.update(start=-0.6, end=state.depth + 0.5)
        if tree.tags != [steps]:
            tree.tags = [steps]
            tree.x_range.update(start=-min(steps, SHOWN) + 0.2, end=0.015 * min(steps, SHOWN) + 0.6, bounds=(-steps, 3))

    return Picture(column(words, tree, weights, sizing_mode="stretch_width"), refresh)


def sentence(state: State) -> str:
    """The chosen coefficient in words: its formula, what it sees, who keeps it."""
    row, (h0, h1) = looked_at(state), filters_of(state)
    newest, oldest = field_of(row, len(h0))
    keepers = [select for select in ("fading", "uniform") if row in kept(state, select)]
    by = f"in the {' and the '.join(keepers)} memory" if keepers else "in neither memory"
    sees = f"It sees x[n−{newest}] … x[n−{oldest}]: {oldest - newest + 1:,} samples. It is {by}."
    if (len(h0) - 1) * (2**state.depth - 1) >= MOST_LAGS:
        sees += f" Coefficients of more than {MOST_LAGS} samples ago are not drawn."
    return f"<b>{formula(row, h0 if row.kind == 'a' else h1)}</b><br>{sees.replace('[n−0]', '[n]')}"


def tree_figure(desk: Any) -> Any:
    """Coefficients, taps and outlines over time; the wheel zooms, the pointer moves the picture."""
    from bokeh.models import HoverTool, PanTool, Range1d, WheelZoomTool

    look = desk.look
    picture = new_figure(look, 400, "time (samples before n)", "", x_range=Range1d(-16, 1), y_range=Range1d(0, 1))
    picture.ygrid.grid_line_color = None
    field = {"source": desk.source("field"), "color": look.mark, "alpha": 0.22, "legend_label": "samples that it sees"}
    picture.quad("left", "right", -0.42, 0.3, **field)
    picture.segment("x", "low", "x", "high", source=desk.source("pairs"), color=look.grid, line_width=15, line_cap="round")
    picture.segment("x0", "y0", "x1", "y1", source=desk.source("taps"), color="colour", alpha=0.5)
    made = {"size": 15, "color": look.mark, "alpha": 0.35, "legend_label": "made from"}
    picture.scatter("x", "y", source=desk.source("made_from"), **made)
    outlines = {
        "uniform": (21, "square", look.sum, "uniform memory"),
        "fading": (15, "circle", look.mark, "fading memory"),
        "chosen": (27, "circle", look.ink, "chosen"),
    }
    for name, (size, marker, colour, label) in outlines.items():
        look_of_it = {"size": size, "marker": marker, "line_color": colour, "legend_label": label}
        picture.scatter("x", "y", source=desk.source(name), fill_color=None, line_width=2, **look_of_it)
    dots = picture.scatter("x", "y", source=desk.source("nodes"), size=9, marker="shape", fill_color="fill", line_color="edge")
    wheel, pan = WheelZoomTool(dimensions="width"), PanTool(dimensions="width")
    picture.add_tools(HoverTool(renderers=[dots], tooltips="@name"), wheel, pan)
    picture.toolbar.update(active_scroll=wheel, active_drag=pan)
    put_legend(picture, look, "above")
    return picture


def weights_figure(desk: Any) -> Any:
    """The weight of each sample in the chosen coefficient."""
    from bokeh.models import HoverTool, Range1d

    picture = new_figure(
        desk.look, 200, "time (samples before n)", "weight", x_range=Range1d(-1, 1), title="Its weight of every sample",
    )  # fmt: skip
    stems = picture.segment("x", 0, "x", "weight", source=desk.source("weights"), color=desk.look.mark, line_width=2)
    picture.scatter("x", "weight", source=desk.source("weights"), color=desk.look.mark, size=5)
    picture.add_tools(HoverTool(renderers=[stems], tooltips=[("lag t", "@lag"), ("weight of x[n−t]", "@weight{0.0000}")]))
    return picture


VIEW = View("tree", "The tree", 2, ABOUT, ("filters", "memory"), data, python, build)
