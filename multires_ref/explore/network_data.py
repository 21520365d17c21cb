"""The columns of the pictures of a trained network, by data source: from `trained.py`, laid out for drawing. NumPy only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.checks import check_int
from ..memories import past
from ..memories.recover import recovery_matrix
from ..network import NetworkConfig
from ..plots.filters import two_gains
from ..plots.scales import octave_edges
from ..tree import Row
from .state import State
from .trained import Trained, kernel_by_scale, matrix_of_channel, memory_of_channel, one_channel

Columns = dict[str, Any]
MOST_COLUMNS = 1024  # of the memory's picture: more than it has pixels would only slow it down
MOST_LAGS = 2048  # of the kernel: beyond them, an even choice on the axis of octaves
PER_OCTAVE = 1024


class Place(NamedTuple):
    """What is looked at: layer, channel and level (for filters that differ between levels) from 0, a signal, and a class."""

    layer: int
    channel: int
    level: int
    example: int
    target: int


def place_of(state: State, trained: Trained) -> Place:
    """What the page's settings say of this network: `target` 0 stands for the network's own answer, c + 1 for class c.

    Raises
    ------
    ValueError
        For a layer, channel, example or class that the network or its data do not have; the error says how many there are.

    Examples
    --------
    >>> from multires_ref import Model
    >>> place_of(State(layer=2), Trained("none", Model.init(NetworkConfig(1, 3, 8, 2), np.random.default_rng(0))))
    Traceback (most recent call last):
        ...
    ValueError: layer must be between 0 and 1; got 2
    """
    config: NetworkConfig = trained.config
    highest = {"layer": config.n_layers, "channel": config.d_model, "example": trained.count, "target": config.d_output + 1}
    for name, count in highest.items():
        check_int(name, getattr(state, name), 0, count - 1)
    level = 0 if config.tied else min(max(state.level, 1), config.J) - 1
    target = state.target - 1
    if target < 0:
        target = int(trained.passed(state.example).output.argmax()) if config.kind == "classifier" else 0
    return Place(state.layer, state.channel, level, state.example, target)


def taps(trained: Trained, place: Place) -> Columns:
    """The taps of h0 and h1 of one channel, now and at the start: lag, h0, h1 [K], and h0_start, h1_start where it is known.

    Filters that are untied across levels are those of `place.level`.
    """
    pairs = {"": trained.after} | ({} if trained.before is None else {"_start": trained.before})
    columns: Columns = {}
    for ending, layers in pairs.items():
        one = one_channel(layers[place.layer], place.channel)
        for name in ("h0", "h1"):
            columns[name + ending] = one[name] if one[name].ndim == 1 else one[name][place.level]
    return {"lag": np.arange(len(columns["h0"]))} | columns


def filter_paths(trained: Trained, place: Place, name: str) -> Columns:
    """The gains of filter "h0" or "h1" of all channels of a layer, [D] each: for a constant (x), for the fastest alternation (y).

    x_start and y_start are those at the start; where it is not known, they are the same.
    """

    def gains(layers: list[Any]) -> np.ndarray:
        h = layers[place.layer][name]
        return two_gains(h if h.ndim == 2 else h[place.level]).T

    x, y = gains(trained.after)
    x0, y0 = (x, y) if trained.before is None else gains(trained.before)
    return {"channel": np.arange(len(x)), "x": x, "y": y, "x_start": x0, "y_start": y0}


def kernel(trained: Trained, place: Place) -> Columns:
    """The long kernel of one channel, scale by scale: lag t + 1, "kernel", and one column for each scale, fine to coarse."""
    parts, names, whole = kernel_by_scale(trained.after[place.layer], place.channel, trained.config)
    shown = shown_lags(len(whole))
    return {"lag": 1 + shown, "kernel": whole[shown]} | {name: part[shown] for name, part in zip(names, parts, strict=True)}


def shown_lags(R: int) -> np.ndarray:
    """All lags 0 ... R - 1 where they are few; of a longer kernel all near ones, and `PER_OCTAVE` of each octave.

    Examples
    --------
    >>> shown_lags(4), len(shown_lags(2048)), len(shown_lags(2**20)) < 14_000
    (array([0, 1, 2, 3]), 2048, True)
    """
    return np.arange(R) if R <= MOST_LAGS else octave_edges(R, PER_OCTAVE)[:-1] - 1


def signal(trained: Trained, place: Place) -> Columns:
    """What the network gets, channel by channel: n, and x0, x1, ... (tokens: x0)."""
    x = np.atleast_2d(trained.shown(place.example).x)
    return {"n": np.arange(x.shape[-1])} | {f"x{c}": channel for c, channel in enumerate(x)}


def layer_input(trained: Trained, place: Place) -> tuple[Columns, np.ndarray, list[Row]]:
    """What one channel of a layer gets, n and v; its memory of that, z [m, L]; and what each row is."""
    v, z, rows = memory_of_channel(trained, place.example, place.layer, place.channel)
    return {"n": np.arange(len(v)), "v": v}, z, rows


def memory_columns(z: np.ndarray) -> Columns:
    """The memory as an image: each row one row of z, the first at the top; x, y, dw, dh place it at n = 0 ... L - 1."""
    m, L = z.shape
    return {"image": [memory_picture(z)[::-1]], "x": [-0.5], "y": [-0.5], "dw": [L], "dh": [m]}


def memory_picture(z: np.ndarray) -> np.ndarray:
    """z [m, L] with each row divided by its largest magnitude, and with at most `MOST_COLUMNS` columns.

    A column of a longer signal stands for several samples, and shows the one of the largest magnitude.

    Examples
    --------
    >>> memory_picture(np.array([[1.0, -2.0], [0.0, 0.0]]))
    array([[ 0.5, -1. ],
           [ 0. ,  0. ]])
    """
    scale = np.abs(z).max(axis=1, keepdims=True)
    z = z / np.where(scale > 0, scale, 1)
    m, L = z.shape
    step = -(-L // MOST_COLUMNS)
    if step == 1:
        return z
    z = np.pad(z, ((0, 0), (0, -L % step))).reshape(m, -1, step)
    return np.take_along_axis(z, np.abs(z).argmax(axis=-1)[..., None], axis=-1)[..., 0]


def recovered(trained: Trained, place: Place, n: int) -> Columns:
    """The past of the channel's input at time n, and what the layer's memory alone tells of it: t, past and estimate."""
    v, z, _ = memory_of_channel(trained, place.example, place.layer, place.channel)
    M = matrix_of_channel(trained, place.layer, place.channel)
    horizon = min(M.shape[1], len(v), MOST_LAGS)
    return {"t": -np.arange(horizon), "past": past(v, n, horizon), "estimate": recovery_matrix(M, horizon) @ z[:, n]}


def decision(trained: Trained, place: Place) -> Columns:
    """The decision for a class by scale and lag, as rectangles of a picture: left, right, bottom, top, part, share and name.

    A rectangle stands for an eighth of an octave of lags and holds the sum over them; `share` is the part over the largest
    magnitude of all. The parts sum to what `decision_parts` gives.
    """
    parts, names = trained.decision(place.example, place.target)
    edges = octave_edges(parts.shape[1])
    binned = np.add.reduceat(parts, edges[:-1] - 1, axis=1)
    rows, columns = binned.shape
    largest = max(float(abs(binned).max()), np.finfo(float).tiny)
    return {
        "left": np.tile(edges[:-1], rows),
        "right": np.tile(edges[1:], rows),
        "bottom": np.repeat(rows - 1.5 - np.arange(rows), columns),  # the first row stands at the top
        "top": np.repeat(rows - 0.5 - np.arange(rows), columns),
        "name": np.repeat(names, columns),
        "part": binned.reshape(-1),
        "share": binned.reshape(-1) / largest,
    }


def outputs(trained: Trained, place: Place) -> Columns:
    """A classifier's logits with their names, [d_output] each."""
    logits = trained.passed(place.example).output
    return {"name": [trained.output_name(c) for c in range(len(logits))], "logit": logits}
