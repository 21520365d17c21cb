"""The controls beside the pictures: one record for each, which says what it sets, and how it follows the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..base.layer_checks import TREE_SELECTS, wavelet_names
from ..filters import FILTER_ORDERS
from .pair import filters_of, taps_of
from .recordings import LARGEST_FILE, recording_of, signal_names
from .state import MAX_DEPTH, MAX_SIZE, MAX_TAPS, SPECIAL, State, in_text, most_uniform, read

ORDERS = {"analysis": "as in PyWavelets", "reversed": "both reversed", "minimum_delay": "energy early"}
SELECTS = {"fading": "fading: newest of each level", "uniform": "uniform: coarse levels first"}


class Control(NamedTuple):
    """A widget in the group of controls `group`; it is watched for a change of `prop`.

    `settings(value, state)` are what a new value sets; `follow(widget, state)` brings the widget in step with the settings.
    """

    group: str
    widget: Any
    settings: Callable[[Any, State], dict[str, Any]]
    follow: Callable[[Any, State], None]
    prop: str = "value"


def families() -> dict[str, list[str]]:
    """All discrete wavelets by family, with random and own taps first.

    Examples
    --------
    >>> list(families())[:3], sum(map(len, families().values()))
    (['taps', 'haar', 'db'], 108)
    """
    groups: dict[str, list[str]] = {"taps": list(SPECIAL), "haar": [], "db": [], "sym": [], "coif": [], "bior": [], "rbio": []}
    for name in wavelet_names():
        groups.setdefault(name.rstrip("0123456789."), []).append(name)
    for names in groups.values():
        names.sort(key=lambda name: [int(part) for part in name.lstrip("abcdefghijklmnopqrstuvwxyz").split(".") if part])
    return groups


def other_wavelet(name: str, state: State) -> dict[str, Any]:
    """What the choice of a wavelet sets; own taps begin as the ones that are shown."""
    if name != "own" or state.wavelet == "own":
        return {"wavelet": name}
    return own_taps(state, *filters_of(state))


def own_taps(state: State, h0: Any, h1: Any) -> dict[str, Any]:
    """The settings of own taps; the wavelet that they were is remembered, as its synthesis filters may still undo them."""
    start = {"own": state.start, "random": ""}.get(state.wavelet, state.wavelet)
    return {"wavelet": "own", "start": start, "h0": tuple(map(float, h0)), "h1": tuple(map(float, h1))}


def other_length(K: int | None, state: State) -> dict[str, Any]:
    """What another K sets: own taps are cut, or zeros follow."""
    if K is None:
        raise ValueError(f"K must be a whole number between 2 and {MAX_TAPS}")
    if state.wavelet == "own":
        return {"K": K} | {name: (*getattr(state, name)[:K], *(0.0,) * (K - len(state.h0))) for name in ("h0", "h1")}
    return {"K": K}


def typed_taps(name: str, text: str, state: State) -> dict[str, Any]:
    """What typed taps set; if their number is another, the other filter is cut, or zeros follow."""
    taps = read(name, text)
    both = dict(zip(("h0", "h1"), (tuple(map(float, h)) for h in filters_of(state)), strict=True)) | {name: taps}
    K = len(taps)
    return own_taps(state, *((*both[n][:K], *(0.0,) * (K - len(both[n]))) for n in ("h0", "h1")))


def taps_in_text(h: np.ndarray) -> str:
    """Taps with six decimals, separated by commas.

    Examples
    --------
    >>> taps_in_text(np.array([0.25, -1e-9]))
    '0.25,0.0'
    """
    return in_text(tuple((h.round(6) + 0.0).tolist()))


def whole(name: str, value: float | None) -> dict[str, Any]:
    """A whole number that was typed or chosen."""
    if value is None or value != int(value):
        raise ValueError(f"{name} must be a whole number; got {value}")
    return {name: int(value)}


def put(**values: Any) -> Callable[[Any, State], None]:
    """A `follow` that sets properties of the widget; a function among the values is called with the state."""
    return lambda widget, state: widget.update(**{key: v(state) if callable(v) else v for key, v in values.items()})


def new_controls(material: Any) -> dict[str, Control]:
    """All controls by name, in the order in which they are shown."""
    return filter_controls() | memory_controls() | signal_controls(material)


def filter_controls() -> dict[str, Control]:
    """Which filters, and how deep a tree."""
    from bokeh.models import Select, Slider, Spinner, TextInput

    named = lambda state: state.wavelet not in SPECIAL  # noqa: E731
    taps = {
        f"{name}_text": Control(
            "filters",
            TextInput(title=f"{name}: taps, newest sample first"),
            lambda text, state, name=name: typed_taps(name, text, state),
            put(
                value=lambda state, name=name: in_text(
                    tuple((filters_of(state)[["h0", "h1"].index(name)].round(6) + 0.0).tolist())
                )
            ),
        )
        for name in ("h0", "h1")
    }
    return {
        "wavelet": Control(
            "filters", Select(title="wavelet, or taps", options=families()), other_wavelet, put(value=lambda s: s.wavelet)
        ),
        "order": Control(
            "filters",
            Select(title="order of the taps", options=[(o, ORDERS[o]) for o in FILTER_ORDERS]),
            lambda value, state: {"order": value},
            put(value=lambda s: s.order, disabled=lambda s: not named(s)),
        ),
        "K": Control(
            "filters", Spinner(title="K: taps of a filter", low=2, high=MAX_TAPS, step=1),
            lambda value, state: other_length(whole("K", value)["K"], state), put(value=taps_of, disabled=named),
        ),
        "seed": Control(
            "filters", Spinner(title="seed of the random taps", low=0, high=2**31 - 1, step=1),
            lambda value, state: whole("seed", value),
            put(value=lambda s: s.seed, visible=lambda s: s.wavelet == "random"),
        ),
        **taps,
        "depth": Control(
            "filters", Slider(title="J: depth, levels of the tree", start=1, end=MAX_DEPTH, step=1),
            lambda value, state: whole("depth", value) | {"level": 0}, put(value=lambda s: s.depth),
        ),
    }  # fmt: skip


def memory_controls() -> dict[str, Control]:
    """Which coefficients the memory keeps."""
    from bokeh.models import RadioGroup, Spinner

    return {
        "tree_select": Control(
            "memory",
            RadioGroup(labels=list(SELECTS.values())),
            lambda active, state: {"tree_select": TREE_SELECTS[active]},
            put(active=lambda s: TREE_SELECTS.index(s.tree_select)),
            "active",
        ),
        "m": Control(
            "memory",
            Spinner(title="m: size of the uniform memory", low=1, high=MAX_SIZE, step=1),
            lambda value, state: {"m": min(whole("m", value)["m"], most_uniform(state.depth, taps_of(state)))},
            put(value=lambda s: min(s.m, most_uniform(s.depth, taps_of(s))) or s.depth + 1),
        ),
    }


def signal_controls(material: Any) -> dict[str, Control]:
    """Which signal, and how fast it was sampled."""
    from bokeh.models import Button, CustomJS, Select, Spinner, TextInput

    def channels(state: State) -> int:
        known = state.signal in signal_names(material)
        return len(recording_of(state.signal, material).x) if known else 1

    upload = Button(label="your signal: .npy, .csv or .wav")
    upload.js_on_event("button_click", CustomJS(code=f"window.multires?.choose_file({LARGEST_FILE})"))
    return {
        "signal": Control(
            "signal", Select(title="signal"), lambda value, state: {"signal": value},
            put(options=lambda s: signal_names(material), value=lambda s: s.signal),
        ),
        "channel": Control(
            "signal", Spinner(title="channel", low=0, step=1), lambda value, state: whole("channel", value),
            put(value=lambda s: s.channel, high=lambda s: channels(s) - 1, visible=lambda s: channels(s) > 1),
        ),
        "upload": Control("signal", upload, lambda value, state: {}, put(), ""),
        "rate": Control(
            "rate", TextInput(title="sampling rate in hertz, if known"),
            lambda text, state: {"rate": read("rate", text) if text.strip() else 0.0},
            put(value=lambda s: f"{s.rate:.10g}" if s.rate else ""),
        ),
    }  # fmt: skip


def connect(control: Control, name: str, desk: Any) -> None:
    """Watch the widget: what its user does changes the settings, or is answered by a sentence."""
    control.widget.update(name=name, sizing_mode="stretch_width")
    if not control.prop:
        return

    def changed(attr: str, old: Any, new: Any) -> None:
        if desk.following:  # it is set by the page itself
            return
        try:
            settings = control.settings(new, desk.state)
        except (TypeError, ValueError) as error:
            desk.say(str(error))
            return
        desk.change(**settings)

    control.widget.on_change(control.prop, changed)
