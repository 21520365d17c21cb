"""Figures of a trained model: what the scales of its layers respond to, how much they weigh, what they remember; its filters."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..diagnose.filters import filter_report
from ..memories import forgetting_curve, memory_matrix
from ..network import Model, NetworkConfig, init_params
from ..response import equivalent_kernel, frequency_responses
from ..tree import Row, memory, memory_rows
from .analysis import row_gains
from .filters import plot_learned_filters
from .memory import plot_forgetting, plot_memory, plot_recovered, plot_signal
from .nearest import nearest_of_report
from .scales import plot_scales, shares_by_scale
from .signal import Signal, fed_to_layer_1, plot_channels, seconds_beside
from .style import COLOURS, DASHES, WIDTH, frequency_octaves, level_colours, new_axes, new_figure, octaves, styled

Conv = dict[str, np.ndarray]
OF_A_MODEL = ("responses", "filters", "scales", "memory", "recovered", "kernels", "nearest")


def layers(model: Model) -> list[Conv]:
    """The convolution parameters of every layer, in float64."""
    return convolutions(model.params)


def initial_layers(network: NetworkConfig, seed: int, dtype: str = "float32") -> list[Conv]:
    """The same at the start of the run: the first random numbers that a run draws from its seed are the parameters."""
    return convolutions(init_params(network, np.random.default_rng(seed), dtype))


def convolutions(params: dict[str, Any]) -> list[Conv]:
    """The parameters of the convolution in each block of a network, in float64."""
    return [{name: np.asarray(a, np.float64) for name, a in block["conv"].items()} for block in params["blocks"]]


def channel_of_layer(conv: Conv, d: int) -> Conv:
    """The same parameters for channel d alone, as a layer of one channel."""
    return {name: a[..., d : d + 1, :] if name in ("h0", "h1") else a[d : d + 1] for name, a in conv.items()}


@styled
def plot_layer_responses(
    conv: Conv, depth: int, tree_select: str = "fading", ax: Axes | None = None, *, title: str = "", floor: float = -40.0
) -> Axes:
    """What each scale adds to a layer's output, in decibels over frequency in octaves: the root mean square over the channels.

    The scale of level i adds |w| |B_i(f)|; the approximation of the coarsest level adds |w| |A_J(f)|. 0 dB is the largest of all.

    Parameters
    ----------
    conv : {"h0", "h1" [D, K] (or [J, D, K]), "w" [D, m], "w_skip" [D]}
    depth : int, J;  tree_select : str

    Examples
    --------
    >>> conv = {"h0": np.ones((1, 2)), "h1": np.array([[1.0, -1.0]]), "w": np.ones((1, 3)), "w_skip": np.zeros(1)}
    >>> [line.get_label() for line in plot_layer_responses(conv, depth=2).lines]
    ['$b_{1}$', '$b_{2}$', '$a_{2}$']
    """
    ax = ax if ax is not None else new_axes(WIDTH, 3.6)
    f = 2.0 ** np.linspace(-depth - 2, -1, 601)
    gains = scale_gains_over_frequency(conv, depth, tree_select, f)
    loudest = max(gain.max() for gain in gains.values())
    colours = level_colours(depth)
    for n, ((kind, level), gain) in enumerate(gains.items()):
        decibels = 20 * np.log10(np.maximum(gain / loudest, 1e-12))
        colour = COLOURS["red"] if kind == "a" else colours[level - 1]  # b_J has the level's colour
        ax.plot(f, decibels, color=colour, ls=DASHES[n % 3], label=f"${kind}_{{{level}}}$")
    frequency_octaves(ax, depth, octaves_between=2)
    ax.set(xlabel="cycles per sample", ylabel="gain (dB)", title=title, xlim=(f[0], 0.5), ylim=(floor, 3))
    return ax


def scale_gains_over_frequency(conv: Conv, depth: int, tree_select: str, f: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    """Root mean square over channels of |w| |response|, for each kind and level that the memory keeps, fine to coarse."""
    _, pairs = frequency_responses(conv["h0"], conv["h1"], depth, frequencies=f)
    rows = memory_rows(depth, conv["h0"].shape[-1], tree_select, conv["w"].shape[1])
    gains: dict[tuple[str, int], np.ndarray] = {}
    for w, row in reversed(list(zip(conv["w"].T, rows, strict=True))):
        if row.kind != "unused":
            power = (w[:, None] * abs(pairs[row.level - 1]["ab".index(row.kind)])) ** 2
            gains[row.kind, row.level] = gains.get((row.kind, row.level), 0) + power.mean(axis=0)
    return {key: np.sqrt(power) for key, power in gains.items()}


def strongest_channel(conv: Conv, depth: int, tree_select: str) -> int:
    """The channel whose output is largest for white noise."""
    return int((row_gains(conv, depth, tree_select) ** 2).sum(axis=1).argmax())


def grid_of_layers(
    count: int, most_columns: int, margin: float, row_height: float, **grid: Any
) -> tuple[Figure, list[Axes], int]:
    """A figure with Axes for `count` layers, at most `most_columns` side by side; and how many columns it has."""
    columns = min(most_columns, count)
    rows = -(-count // columns)
    figure, axes = new_figure(WIDTH, margin + row_height * rows, rows=rows, columns=columns, **grid)
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, list(axes.flat[:count]), columns


@styled
def responses_of_model(model: Model) -> Figure:
    """`plot_layer_responses` of every layer."""
    config = model.config
    figure, axes, columns = grid_of_layers(config.n_layers, 2, 0.7, 2.3, sharex=True, sharey=True)
    for n, (ax, conv) in enumerate(zip(axes, layers(model), strict=True)):
        plot_layer_responses(conv, config.J, config.tree_select, ax, title=f"layer {n + 1}")
        ax.set(xlabel="" if n + columns < config.n_layers else ax.get_xlabel(), ylabel="" if n % columns else ax.get_ylabel())
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(12, config.J + 1))
    return figure


@styled
def filters_of_model(model: Model, before: list[Conv] | None = None) -> Figure:
    """`plot_learned_filters` of every layer; without `before`, only what the filters are now."""
    after = layers(model)
    before = after if before is None else before
    figure, axes, columns = grid_of_layers(len(after), 4, 0.5, 2.6)
    for n, (ax, start, end) in enumerate(zip(axes, before, after, strict=False)):
        plot_learned_filters(start, end, ax, title=f"layer {n + 1}")
        if n % columns:
            ax.set_ylabel("")
    marks, names = axes[0].get_legend_handles_labels()
    names = [f"{name} now" for name in names]
    if before is not after:
        marks.append(Line2D([], [], color=COLOURS["grey"], lw=0.8))
        names.append("from the start to now")
    figure.legend(marks, names, loc="outside lower center", ncols=len(names))
    return figure


@styled
def scales_of_model(model: Model, before: list[Conv] | None = None, most: int = 8) -> Figure:
    """How much each scale weighs in each layer (at most `most` of them), now and, where `before` is given, at the start."""
    config, shown = model.config, spread(layers(model), most)
    figure, axes, columns = grid_of_layers(len(shown), 2, 1.1, 1.75, sharex=True, sharey=True)
    for n, (ax, (number, conv)) in enumerate(zip(axes, shown, strict=True)):
        start = None if before is None else shares_by_scale(before[number], config.J, config.tree_select)
        plot_scales(shares_by_scale(conv, config.J, config.tree_select), start, ax, title=f"layer {number + 1}")
        ax.set_ylabel("" if n % columns else "share (%)")
        ax.tick_params(labelbottom=n + columns >= len(shown))
    figure.supxlabel("scale, coarse to fine, and the skip weight", fontsize=11)
    figure.suptitle("what each scale adds to a layer's output for white noise, in percent", x=0.01, ha="left", fontsize=12)
    if before is not None:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


@styled
def memory_of_model(model: Model, signal: Signal) -> Figure:
    """A signal, the memory of it in the first layer's strongest channel, and how each layer forgets."""
    config, all_layers = model.config, layers(model)
    d = strongest_channel(all_layers[0], config.J, config.tree_select)
    v = fed_to_layer_1(model, signal.x)[d]
    z, rows = memory_in_channel(model, v, d)
    late = ", a step late," if config.kind == "autoregressive" else ""
    figure, axes = new_figure(WIDTH, 10.2, rows=4, height_ratios=[1.1, 0.8, 2.2, 1.5])
    plot_channels(signal, axes[0, 0]).set(title=signal.title, xlabel="")
    plot_signal(v, axes[1, 0], label="amplitude").set(
        title=f"what the encoder makes of it{late} for channel {d} of layer 1, the strongest", xlabel=""
    )
    plot_memory(z, rows, axes[2, 0])
    axes[2, 0].set_title(f"layer 1's memory of channel {d}")
    seconds_beside(axes[2, 0], signal.rate)
    for ax in axes[:2, 0]:
        ax.sharex(axes[2, 0])
    plot_forgetting({f"layer {n + 1}": mean_forgetting(c, config) for n, c in spread(all_layers)}, axes[3, 0])
    axes[3, 0].set_title("how the layers forget white noise (mean over channels)")
    return figure


@styled
def recovered_of_model(model: Model, signal: Signal) -> Figure:
    """The input of the first layer's strongest channel, and what can be recovered of it from the memory at the end alone."""
    config, conv = model.config, layers(model)[0]
    d = strongest_channel(conv, config.J, config.tree_select)
    v = fed_to_layer_1(model, signal.x)[d]
    one = channel_of_layer(conv, d)
    M, _ = memory_matrix(one["h0"], one["h1"], config.J, config.tree_select, config.m)
    figure, ((ax,),) = new_figure(WIDTH, 3.6)
    shown = min(len(v), M.shape[-1])
    title = f"{signal.title}: the past of channel {d} at the end, from layer 1's memory"
    plot_recovered(v, len(v) - 1, M[0], ax, title=title, window=shown)
    ax.set_ylabel("amplitude")
    ax.legend(ncols=2, loc="upper left", bbox_to_anchor=(0, -0.2))
    return figure


def memory_in_channel(model: Model, v: np.ndarray, d: int) -> tuple[np.ndarray, list[Row]]:
    """The memory z [m, L] that channel d of the first layer has of the signal v [L], and what each row is."""
    config, one = model.config, channel_of_layer(layers(model)[0], d)
    z, rows = memory(np.asarray(v, np.float64)[None], one["h0"], one["h1"], config.J, config.tree_select, config.m)
    return z[0], rows


def spread(blocks: list[Conv], most: int = 6) -> list[tuple[int, Conv]]:
    """At most `most` layers with their numbers; the first and the last are among them."""
    chosen = np.unique(np.linspace(0, len(blocks) - 1, most).round().astype(int))
    return [(int(n), blocks[n]) for n in chosen]


def mean_forgetting(conv: Conv, config: NetworkConfig, most: int = 64) -> np.ndarray:
    """The mean of `forgetting_curve` over the first `most` channels of a layer; more channels hardly change it."""
    pair = [conv[name][..., :most, :] for name in ("h0", "h1")]
    M, _ = memory_matrix(*pair, config.J, config.tree_select, config.m)
    return np.mean([forgetting_curve(one) for one in M], axis=0)


@styled
def kernels_of_model(model: Model) -> Figure:
    """Every layer's equivalent kernel in its strongest channel, divided by its largest weight."""
    config, blocks = model.config, layers(model)
    figure, ((ax,),) = new_figure(WIDTH, 1.0 + 0.6 * len(blocks))
    for n, conv in enumerate(blocks):
        d = strongest_channel(conv, config.J, config.tree_select)
        kernel = equivalent_kernel(**channel_of_layer(conv, d), tree_select=config.tree_select, depth=config.J)[0]
        ax.axhline(-n, color=COLOURS["light"], lw=0.8)
        ax.plot(
            1 + np.arange(len(kernel)),
            -n + 0.45 * kernel / abs(kernel).max(),
            drawstyle="steps-mid",
            lw=1.5,
            color=COLOURS["black"],
        )
    ax.set_yticks([-n for n in range(len(blocks))], [f"layer {n + 1}" for n in range(len(blocks))])
    octaves(ax, config.receptive_field)
    ax.set(
        xlabel="samples back, t + 1",
        title="the long kernel of each layer's strongest channel, over its largest weight",
    )
    return figure


def figures_of_model(model: Model, signal: Signal, before: list[Conv] | None = None) -> dict[str, tuple[str, Any]]:
    """All figures of one model: {name: (kind of file, a function that draws it)}."""
    return {
        "responses": ("svg", lambda: responses_of_model(model)),
        "filters": ("svg", lambda: filters_of_model(model, before)),
        "scales": ("svg", lambda: scales_of_model(model, before)),
        "memory": ("png", lambda: memory_of_model(model, signal)),
        "recovered": ("svg", lambda: recovered_of_model(model, signal)),
        "kernels": ("svg", lambda: kernels_of_model(model)),
        "nearest": ("svg", lambda: nearest_of_report(filter_report(model))),
    }
