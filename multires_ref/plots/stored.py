"""Figures of a trained network and of measurements, drawn from the small files in `figures/data`: nothing is trained anew.

`figures/data/README.md` says which command made each file. A figure whose file is not there is left out by the command.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..base.files import read_json
from ..base.tensors import read_npz
from ..network import Model
from .attribution import decision_parts
from .filters import plot_filter_norms
from .model import Conv, initial_layers, layers
from .scales import FLOOR, plot_parts, plot_scales, shares_by_scale
from .sequences import plot_image
from .style import WIDTH, new_axes, new_figure, styled

if TYPE_CHECKING:
    from ..diagnose.report import Report


class Stored(NamedTuple):
    """A figure that is drawn from a file: svg or png, the name of that file, and the function from its path to the figure."""

    kind: str
    needs: str
    draw: Callable[[Path], Figure]


def load_digits_run(path: Path) -> tuple[Model, list[Conv]]:
    """The digits network in a checkpoint, in float64, so that engines do not matter, and its layers before training."""
    from ..base.pytrees import map_pytree
    from ..training.checkpoint import load_run, read_checkpoint

    model, training = load_run(path), read_checkpoint(path)[1]["training"]
    params, state = (map_pytree(lambda array: np.asarray(array, np.float64), tree) for tree in (model.params, model.state))
    return Model(model.config, params, state), initial_layers(model.config, training["seed"], training["dtype"])


@styled
def learned_figure(path: Path) -> Figure:
    """What training on the digits did: the filters became stronger, and so the coarse scales are heard."""
    model, before = load_digits_run(path)
    config, after = model.config, layers(model)
    figure, axes = new_figure(WIDTH, 5.6, rows=2, columns=3, width_ratios=[1.15, 1, 1])
    gridspec = axes[0, 0].get_gridspec()
    for ax in axes[:, 0]:
        ax.remove()
    norms = plot_filter_norms(before, after, figure.add_subplot(gridspec[:, 0]), title="the filters")
    norms.legend(loc="lower right", fontsize=9)
    for n, (ax, start, now) in enumerate(zip(axes[:, 1:].flat, before, after, strict=True)):
        shares = [shares_by_scale(conv, config.J, config.tree_select) for conv in (now, start)]
        plot_scales(*shares, ax, title=f"layer {n + 1}")
        ax.set_ylim(FLOOR, 48)
        ax.set_ylabel("" if n % 2 else "share of the output (%)")
    figure.suptitle("Training makes the filters stronger, so that the coarse scales are heard.", x=0.01, ha="left", fontsize=12)
    axes[0, 1].legend(loc="upper left")
    for ax in axes[1, 1:]:
        ax.set_xlabel("scale, coarse to fine")
    return figure


def digit_examples(classes: tuple[int, ...]) -> list[np.ndarray]:
    """The first test example of each of the classes: [1, 64] each, float64."""
    from ..tasks.digits import load
    from ..tasks.task import LoadOptions

    test = load(LoadOptions())["test"]
    return [test.x[int(np.argmax(test.y == c))].astype("float64") for c in classes]


@styled
def decision_figure(path: Path, classes: tuple[int, ...] = (0, 1, 7)) -> Figure:
    """Three digits, and the scales and lags of the last layer on which the decision for each depends."""
    model, _ = load_digits_run(path)
    figure, axes = new_figure(WIDTH, 1.0 + 2.4 * len(classes), rows=len(classes), columns=2, width_ratios=[1, 3.4])
    for (left, right), c, x in zip(axes, classes, digit_examples(classes), strict=True):
        answer = int(model(x[None], engine="tree")[0].argmax())
        plot_image(x.reshape(8, 8), left, title=f"a {c}, read as {answer}")
        plot_parts(*decision_parts(model, x, answer), right, title=f"what speaks for {answer}", label="margin")
    for above, below in zip(axes[:-1, 1], axes[1:, 1], strict=True):
        above.set_xlabel("")
        below.get_legend().remove()
    axes[0, 1].set_ylabel("scale")
    return figure


def read_report(path: Path) -> Report:
    """The verification in a report.json that `multires-ref verify pytorch --out` wrote."""
    from ..base.agreement import Error
    from ..diagnose.report import Report, Row, Section

    def error(values: dict[str, Any] | None) -> Error | None:
        return None if values is None else Error(**values)

    def row(values: dict[str, Any]) -> Row:
        nearer = (values["nearer_forward"], values["nearer_gradient"])
        return Row(values["name"], error(values["forward"]), error(values["gradient"]), *nearer)

    stored = read_json(path)
    sections = [Section(s["title"], s["dtype"], [row(r) for r in s["rows"]], s["notes"]) for s in stored["sections"]]
    return Report(stored["title"], sections, stored.get("assumed", []))


@styled
def agreement_figure(path: Path) -> Figure:
    """How far every layer's output and every gradient is from PyTorch's, in float64 and float32."""
    from .errors import plot_error_by_layer

    ax = plot_error_by_layer(read_report(path), new_axes(WIDTH, 6.0))
    handles, names = ax.get_legend_handles_labels()
    ax.get_legend().remove()
    ax.set_title("This package against PyTorch, layer by layer: the errors are those of rounding.", fontsize=12)
    ax.set_xlabel("layer and parameter, in the order of computation")
    ax.figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    return ax.figure


@styled
def samples_figure(path: Path) -> Figure:
    """Digits that the density network generated."""
    from .sequences import plot_samples

    return plot_samples(read_npz(path)["samples"], inch=0.75)


def speed_figure(path: Path) -> Figure:
    """What `multires-ref bench` measured of the operator and of training steps."""
    from .speed import plot_bench

    results = read_json(path)
    return plot_bench({part: results[part] for part in ("operator", "step", "small", "busy", "scaling") if part in results})


def peers_figure(path: Path) -> Figure:
    """What `multires-ref bench peers` measured."""
    from .peers import plot_peers_by_kind

    return plot_peers_by_kind(read_json(path)["results"])


def mpi_figure(path: Path) -> Figure:
    """What `multires-ref bench mpi` measured, and what its model makes of it."""
    from .mpi import plot_mpi

    return plot_mpi(read_json(path)["rows"])


STORED = {
    "learned": Stored("svg", "digits.safetensors", learned_figure),
    "decision": Stored("svg", "digits.safetensors", decision_figure),
    "agreement": Stored("svg", "agreement.json", agreement_figure),
    "samples": Stored("png", "samples.npz", samples_figure),
    "speed": Stored("svg", "bench.json", speed_figure),
    "peers": Stored("svg", "peers.json", peers_figure),
    "mpi": Stored("svg", "mpi.json", mpi_figure),
}
