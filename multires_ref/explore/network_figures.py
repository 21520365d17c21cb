"""The pictures of a trained network, on the desk's sources, and the controls that choose what they show. Bokeh only."""

from __future__ import annotations

from html import escape
from typing import Any

from ..memories import memory_matrix
from ..plots.analysis import short_name
from .hearing import subscript
from .look import new_figure, put_legend
from .network_data import place_of
from .state import State
from .trained import Trained, open_trained
from .view import Data, Picture

OCTAVES = [2**e for e in range(24)]


def build_network(desk: Any) -> Picture:
    """Controls above; filters, kernel, memory and decision below them."""
    from bokeh.layouts import column
    from bokeh.models import Div

    trained = desk.material.trained
    words = {name: Div(name=f"network_{name}", sizing_mode="stretch_width") for name in ("about", "example")}
    figures = {"paths": paths(desk), "taps": tap_figure(desk), "kernel": kernel_figure(desk)}
    figures |= {"signal": signal_figure(desk), "input": input_figure(desk)}
    figures |= {"memory": memory_figure(desk), "recovered": recovered_figure(desk)}
    for name in ("input", "memory"):
        figures[name].x_range = figures["signal"].x_range
    for_example = [figures["signal"], figures["input"], figures["memory"], figures["recovered"]]
    if trained.config.kind == "classifier":
        figures |= {"outputs": outputs_figure(desk), "decision": decision_figure(desk)}
        for_example += [desk.side_by_side(figures["outputs"], figures["decision"])]
    widgets = controls(desk) | {"open": opener(desk)}
    layer_widgets, signal_widgets = ([widgets[name] for name in group if name in widgets] for group in CONTROLS)
    layout = column(
        words["about"], desk.side_by_side(*layer_widgets), desk.side_by_side(figures["paths"], figures["taps"]),
        figures["kernel"], desk.side_by_side(*signal_widgets), words["example"], *for_example, sizing_mode="stretch_width",
    )  # fmt: skip

    def refresh(state: State, data: Data) -> None:
        place = place_of(state, trained)
        where = f"layer {place.layer + 1}, channel {place.channel}"
        figures["paths"].title.text = f"The filters of all channels of layer {place.layer + 1}"
        figures["taps"].title.text = f"The taps of {where}" + ("" if trained.config.tied else f", level {place.level + 1}")
        figures["kernel"].title.text = f"The long kernel of {where}, and what each scale adds to it"
        figures["input"].title.text = f"What {where} gets of it"
        figures["memory"].title.text = f"The memory of {where} (each row over its largest magnitude)"
        n = data["network_cursor"]["n"][0]
        figures["recovered"].title.text = f"The past of {where} at n = {n}, and what its {trained.config.m} numbers tell of it"
        shown = trained.shown(place.example)
        figures["signal"].title.text = shown.title
        if "decision" in figures:
            name = trained.output_name(place.target)
            figures["outputs"].title.text = "The network's outputs (logits)"
            figures["decision"].title.text = f"What speaks for {name}, by scale and lag of the last layer"
        figures["signal"].x_range.update(start=-0.5, end=shown.x.shape[-1] - 0.5)
        colour_levels(figures["kernel"], desk.look.levels(trained.config.J))
        words["about"].text = about(trained)
        words["example"].text = about_example(trained, place.example)
        set_controls(widgets, trained, state, n, shown.x.shape[-1])

    return Picture(layout, refresh)


CONTROLS = (("open", "layer", "channel", "level", "strongest"), ("example", "n", "target"))


def about(trained: Trained) -> str:
    """What is known of the network, as HTML."""
    config = trained.config
    text = (
        f"<b>{escape(str(trained.path))}</b>: {config.n_layers} layers of {config.d_model} channels, {config.kernel_size} taps, "
    )
    text += f"{config.J} levels, the {config.tree_select} memory of {config.m} numbers. "
    if trained.before is None:
        text += "Where the filters began is not known: the file does not say from which seed."
    else:
        text += f"A line leads from where a filter began (seed {trained.start['seed']}) to where it is now."
    return text + "".join(f" {escape(note)}" for note in trained.notes)


def about_example(trained: Trained, n: int) -> str:
    """The truth and the network's answer, as HTML; without test examples, why there are none."""
    shown, parts = trained.shown(n), []
    if trained.signal is None and trained.examples is None:
        parts.append(f"There is no test example: {escape(trained.reason)}.")
    if shown.truth:
        parts.append(f"True: <b>{escape(shown.truth)}</b>.")
    if trained.config.kind == "classifier" and not trained.predicts_numbers:
        parts.append(f"The network answers: <b>{escape(trained.answer(n))}</b>.")
    elif trained.config.kind != "classifier":
        parts.append("The network decides at every step, so that there is no one decision to be split.")
    return " ".join(parts)


def paths(desk: Any) -> Any:
    """Each filter as a point: its gain for a constant and for the fastest alternation, with a line from where it began."""
    from bokeh.models import HoverTool, TapTool

    look = desk.look
    figure = new_figure(look, 330, "gain for a constant", "gain for the fastest alternation", name="network_paths_figure")
    points = []
    for name, colour, marker in (("h0", look.low, "circle"), ("h1", look.high, "square")):
        source = desk.source(f"network_paths_{name}")
        figure.segment("x_start", "y_start", "x", "y", source=source, color=colour, alpha=0.4)
        points.append(
            figure.scatter("x", "y", source=source, marker=marker, size=7, color=colour, line_color=look.paper, legend_label=name)
        )
        points[-1].nonselection_glyph = None
        source.selected.on_change("indices", lambda _, old, new: choose_channel(desk, new))
    figure.scatter("x", "y", source=desk.source("network_chosen"), size=15, fill_color=None, line_color=look.ink, line_width=2)
    figure.text(
        "x", "y", "name", source=desk.source("network_chosen"), x_offset=10, y_offset=-6, text_color=look.ink,
        text_font_size="12px",
    )  # fmt: skip
    tips = [("channel", "@channel"), ("for a constant", "@x{0.000}"), ("for alternation", "@y{0.000}")]
    figure.add_tools(HoverTool(renderers=points, tooltips=tips), TapTool(renderers=points))
    put_legend(figure, look, "above")
    return figure


def choose_channel(desk: Any, chosen: list[int]) -> None:
    """After a click on a point: its channel, if the click changes it."""
    if chosen and chosen[0] != desk.state.channel:
        desk.change(channel=chosen[0])


def tap_figure(desk: Any) -> Any:
    """The taps of the chosen channel: filled now, open at the start."""
    from bokeh.transform import dodge

    look, source = desk.look, desk.source("network_taps")
    figure = new_figure(look, 330, "lag k (samples)", "weight", x_range=(-0.5, 1.5), name="network_taps_figure")
    figure.xaxis.ticker.update(min_interval=1)
    figure.x_range.update(start=-0.5, end=len(source.data["lag"]) - 0.5)
    for name, colour, marker, shift in (("h0", look.low, "circle", -0.08), ("h1", look.high, "square", 0.08)):
        lag = dodge("lag", shift, range=figure.x_range)
        figure.segment(lag, 0, lag, name, source=source, color=colour, line_width=2)
        figure.scatter(lag, name, source=source, marker=marker, size=9, color=colour, legend_label=f"{name} now")
        if f"{name}_start" in source.data:
            figure.scatter(
                lag, f"{name}_start", source=source, marker=marker, size=11, fill_color=None, line_color=colour, line_width=1.5,
                legend_label="at the start",
            )  # fmt: skip
    zero_line(figure, look)
    put_legend(figure, look, "center")
    figure.add_layout(figure.legend[0], "below")
    return figure


def zero_line(figure: Any, look: Any) -> None:
    """A thin line at zero."""
    from bokeh.models import Span

    figure.add_layout(Span(location=0, dimension="width", line_color=look.quiet, line_width=1, level="underlay"))


def octave_axis(figure: Any) -> None:
    """Ticks at the octaves 1, 2, 4, ... of a logarithmic axis."""
    figure.xaxis.ticker = OCTAVES
    figure.xaxis.formatter.update(min_exponent=20)
    figure.xgrid.ticker = figure.xaxis[0].ticker


def kernel_figure(desk: Any) -> Any:
    """The long kernel and its parts, over lags in octaves."""
    from bokeh.models import HoverTool

    look, source = desk.look, desk.source("network_kernel")
    J = desk.material.trained.config.J
    figure = new_figure(look, 280, "samples back, t + 1", "weight of v[n-t]", x_axis_type="log", name="network_kernel_figure")
    octave_axis(figure)
    for name in source.data:
        if name not in ("lag", "kernel"):
            level = int(name[1:])
            colour, dash = (look.mark, "dashed") if name[0] == "a" else (look.levels(J)[level - 1], "solid")
            figure.step(
                "lag", name, source=source, mode="center", color=colour, line_dash=dash, line_width=1.5,
                legend_label=name[0] + subscript(level), name=name,
            )  # fmt: skip
    whole = figure.step("lag", "kernel", source=source, mode="center", color=look.ink, line_width=2.5, legend_label="the kernel")
    figure.add_tools(HoverTool(renderers=[whole], tooltips=[("t + 1", "@lag"), ("weight", "@kernel{0.0000}")], mode="vline"))
    zero_line(figure, look)
    put_legend(figure, look, "center", orientation="vertical", spacing=0, glyph_width=16, glyph_height=16)
    figure.add_layout(figure.legend[0], "right")
    return figure


def colour_levels(figure: Any, colours: list[str]) -> None:
    """The curves of the details in the colours of their levels, which the theme changes."""
    for renderer in figure.renderers:
        name = renderer.name or ""
        if name.startswith("b"):
            renderer.glyph.line_color = colours[int(name[1:]) - 1]


def signal_figure(desk: Any) -> Any:
    """What the network gets: up to seven channels in one picture."""
    look, source = desk.look, desk.source("network_signal")
    trained = desk.material.trained
    tokens = trained.config.encoder == "embedding"
    figure = new_figure(
        look, 150, "time n (samples)", "token" if tokens else "amplitude", x_range=(-0.5, 1), name="network_signal_figure"
    )
    names = [name for name in source.data if name != "n"]
    colours = [look.ink, look.low, look.high, look.sum, look.quiet, *look.levels(3)]
    for name, colour in zip(names, colours, strict=False):
        if tokens:
            figure.scatter("n", name, source=source, marker="dash", size=6, color=colour)
        else:
            label = {"legend_label": f"channel {name[1:]}"} if len(names) > 1 else {}
            figure.line("n", name, source=source, color=colour, **label)
    if len(names) > 1:
        put_legend(figure, look, "above")
    return figure


def input_figure(desk: Any) -> Any:
    """The input of the chosen channel of the chosen layer, with the cursor."""
    look = desk.look
    figure = new_figure(look, 150, "", "amplitude", name="network_input_figure")
    figure.line("n", "v", source=desk.source("network_input"), color=look.ink)
    figure.vspan("n", source=desk.source("network_cursor"), color=look.mark, line_width=2)
    return figure


def memory_figure(desk: Any) -> Any:
    """The memory over time, coarse at the top, with the cursor."""
    from bokeh.models import ColorBar, LinearColorMapper
    from bokeh.palettes import Cividis256

    look, config = desk.look, desk.material.trained.config
    figure = new_figure(
        look, 90 + 18 * min(config.m, 40), "time n (samples)", "", y_range=(-0.5, config.m - 0.5), name="network_memory_figure"
    )
    colours = LinearColorMapper(Cividis256, low=-1, high=1)
    figure.image("image", "x", "y", "dw", "dh", source=desk.source("network_memory"), color_mapper=colours)
    figure.vspan("n", source=desk.source("network_cursor"), color=look.mark, line_width=2)
    figure.add_layout(color_bar(ColorBar, colours, look), "right")
    name_rows(figure, row_names(desk.material.trained))
    return figure


def color_bar(kind: Any, colours: Any, look: Any) -> Any:
    """The key of a picture's colours from -1 to 1."""
    from bokeh.models import FixedTicker

    return kind(
        color_mapper=colours, ticker=FixedTicker(ticks=[-1, 0, 1]), width=10, background_fill_color=look.paper,
        major_label_text_color=look.ink, major_tick_line_color=None, padding=4,
    )  # fmt: skip


def row_names(trained: Trained) -> list[str]:
    """Of the memory's rows, coarse to fine, in letters of the screen."""
    config, conv = trained.config, trained.after[0]
    pair = (conv[name][..., :1, :] for name in ("h0", "h1"))
    return [on_screen(short_name(row)) for row in memory_matrix(*pair, config.J, config.tree_select, config.m)[1]]


def on_screen(name: str) -> str:
    """A row's short name with its level below the line.

    Examples
    --------
    >>> on_screen("b3"), on_screen("b12-4096"), on_screen("skip")
    ('b₃', 'b₁₂[n−4096]', 'skip')
    """
    if name in ("skip", "unused"):
        return name
    level, _, lag = name[1:].partition("-")
    return name[0] + subscript(int(level)) + (f"[n−{lag}]" if lag else "")


def name_rows(figure: Any, names: list[str]) -> None:
    """Names at the rows of a picture, the first at the top; of many rows, those that there is room for."""
    every = -(-len(names) // 40)
    count = len(names)
    figure.yaxis.ticker = [count - 1 - r for r in range(0, count, every)]
    figure.yaxis.major_label_overrides = {count - 1 - r: names[r] for r in range(0, count, every)}
    figure.yaxis.major_tick_line_color = None
    figure.ygrid.grid_line_color = None
    figure.xgrid.grid_line_color = None


def recovered_figure(desk: Any) -> Any:
    """The past at the cursor, and what the memory tells of it."""
    look, source = desk.look, desk.source("network_recovered")
    figure = new_figure(look, 190, "time before n (samples)", "amplitude", name="network_recovered_figure")
    figure.line("t", "past", source=source, color=look.quiet, line_width=1.5, legend_label="the past")
    figure.step("t", "estimate", source=source, mode="center", color=look.low, line_width=2, legend_label="from the memory alone")
    put_legend(figure, look, "above")
    return figure


def outputs_figure(desk: Any) -> Any:
    """The outputs as bars."""
    look, source = desk.look, desk.source("network_outputs")
    names = [str(name) for name in source.data["name"]]
    figure = new_figure(look, 330, "logit", "", y_range=names[::-1], name="network_outputs_figure")
    figure.hbar("name", right="logit", height=0.7, source=source, color=look.low)
    figure.ygrid.grid_line_color = None
    if len(names) > 24:
        figure.yaxis.major_label_text_font_size = "0px"
    return figure


def decision_figure(desk: Any) -> Any:
    """The decision by scale and lag."""
    from bokeh.models import ColorBar, HoverTool, LinearColorMapper
    from bokeh.palettes import Cividis256

    look, source = desk.look, desk.source("network_decision")
    names = [on_screen(name) for name in dict.fromkeys(source.data["name"])]
    y_range = (-0.5, len(names) - 0.5)
    figure = new_figure(look, 330, "samples back, t + 1", "", x_axis_type="log", y_range=y_range, name="network_decision_figure")
    octave_axis(figure)
    colours = LinearColorMapper(Cividis256, low=-1, high=1)
    fill = {"field": "share", "transform": colours}
    figure.quad("left", "right", "top", "bottom", source=source, line_color=fill, fill_color=fill)
    tips = [("scale", "@name"), ("t + 1", "@left to @right"), ("part of the margin", "@part{0.0000}")]
    figure.add_tools(HoverTool(tooltips=tips))
    figure.add_layout(color_bar(ColorBar, colours, look), "right")
    name_rows(figure, names)
    return figure


def controls(desk: Any) -> dict[str, Any]:
    """What chooses layer, channel, level, example, time and class; each is left out where there is one choice only."""
    from bokeh.models import Button, Select, Slider, Spinner

    trained, state = desk.material.trained, desk.state
    config = trained.config
    layers = [(str(i), f"layer {i + 1} of {config.n_layers}") for i in range(config.n_layers)]
    found = {"layer": Select(title="Layer", options=layers, value=str(state.layer))}
    found["channel"] = Spinner(title=f"Channel, 0 to {config.d_model - 1}", low=0, high=config.d_model - 1, value=state.channel)
    if not config.tied:
        found["level"] = Select(title="Filters of level", options=[str(i) for i in range(1, config.J + 1)], value="1")
    if trained.count > 1:
        found["example"] = Spinner(title=f"Test example, 0 to {trained.count - 1}", low=0, high=trained.count - 1)
    found["n"] = Slider(title="Time n", start=0, end=1, value=0, step=1)
    if config.kind == "classifier":
        classes = [(str(c + 1), trained.output_name(c)) for c in range(config.d_output)]
        found["target"] = Select(title="What speaks for", options=[("0", "the network's answer"), *classes], value="0")
    for name, widget in found.items():
        widget.update(name=f"network_choose_{name}", sizing_mode="stretch_width")
        widget.on_change("value", lambda _, old, new, name=name: choose(desk, name, new))
    found["strongest"] = Button(label="the strongest channel", name="network_strongest", align="end")
    found["strongest"].on_click(lambda: desk.change(channel=trained.strongest(desk.state.layer)))
    return found


def opener(desk: Any) -> Any:
    """A field that takes the path of another run or checkpoint."""
    from bokeh.models import TextInput

    field = TextInput(
        title="Another run or checkpoint", placeholder="runs/digits-...", name="network_open", sizing_mode="stretch_width"
    )
    field.on_change("value", lambda _, old, new: open_other(desk, new.strip()))
    return field


def open_other(desk: Any, path: str) -> None:
    """Show another network on this page, or say in a sentence why it cannot be read."""
    if not path or desk.following:
        return
    try:
        trained = open_trained(path)
    except (OSError, ValueError, ImportError) as error:
        desk.say(str(error))
        return
    desk.material.trained = trained
    desk.pictures.pop("network", None)
    for name in [name for name in desk.sources if name.startswith("network_")]:
        del desk.sources[name]
    desk.change(layer=0, channel=0, level=0, example=0, target=0)


def choose(desk: Any, name: str, value: Any) -> None:
    """What the user of a control sets; nothing where the page itself brought it in step."""
    if not desk.following and not (name in ("channel", "example") and value is None):
        desk.change(**{name: int(value)})


def set_controls(widgets: dict[str, Any], trained: Trained, state: State, n: int, length: int) -> None:
    """Keep the controls in step with the settings."""
    widgets["n"].update(end=max(length - 1, 1), value=n)
    for name, value in (("layer", state.layer), ("target", state.target), ("level", max(state.level, 1))):
        if name in widgets:
            widgets[name].value = str(value)
    for name in ("channel", "example"):
        if name in widgets:
            widgets[name].value = getattr(state, name)
