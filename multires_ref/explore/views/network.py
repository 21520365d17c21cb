"""A trained network: its filters then and now, its kernels by scale, its memory of a signal, and on what a decision rests."""

from __future__ import annotations

from typing import Any

from ..network_data import (
    Place,
    decision,
    filter_paths,
    kernel,
    layer_input,
    memory_columns,
    outputs,
    place_of,
    recovered,
    signal,
    taps,
)
from ..network_python import lines
from ..state import State
from ..view import Data, Material, Picture, View

NAMES = ("h0", "h1")


def data(state: State, material: Material) -> Data:
    """All columns of the picture; none where no network was given."""
    trained = material.trained
    if trained is None:
        return {}
    place = place_of(state, trained)
    v, z, rows = layer_input(trained, place)
    n = min(state.n, len(v["n"]) - 1)
    found = {"taps": taps(trained, place), "kernel": kernel(trained, place), "signal": signal(trained, place), "input": v}
    found |= {f"paths_{name}": filter_paths(trained, place, name) for name in NAMES}
    found |= {"chosen": chosen(found, place)}
    found |= {"memory": memory_columns(z), "cursor": {"n": [n]}, "recovered": recovered(trained, place, n)}
    if trained.config.kind == "classifier":
        found |= {"decision": decision(trained, place), "outputs": outputs(trained, place)}
    return {f"network_{name}": columns for name, columns in found.items()}


def chosen(found: Data, place: Place) -> dict[str, Any]:
    """Where the two filters of the chosen channel lie in the picture of all channels: x, y and name, [2] each."""
    points = [found[f"paths_{name}"] for name in NAMES]
    return {"x": [p["x"][place.channel] for p in points], "y": [p["y"][place.channel] for p in points], "name": [*NAMES]}


def python(state: State, material: Material) -> str:
    """The lines that compute the arrays of the picture."""
    if material.trained is None:
        return ""
    return lines(state, material.trained)


def build(desk: Any) -> Picture:
    """The figures, on the desk's sources."""
    from ..network_figures import build_network

    return build_network(desk)


VIEW = View(
    name="network",
    title="A trained network",
    rank=5,
    about=(
        "What training made of the filters, and what each layer computes with them: choose a layer and a channel, also by a "
        "click on a point. Below: for an example, which scales and lags the decision rests on."
    ),
    controls=(),
    data=data,
    python=python,
    build=build,
    shown=lambda material: material.trained is not None,
)
