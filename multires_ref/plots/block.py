"""One block of the network as a drawing: its steps in order, their equations, the names and shapes of all its parameters."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ..network import NetworkConfig
from ..network.init import init_params
from .style import CYCLE, MEMORY, SIGNAL, new_axes, styled

SYMBOLS = {
    "conv": {"h0": "[D, K]", "h1": "[D, K]", "w": "[D, m]", "w_skip": "[D]"},
    "mix": {"weight": "[2 D, D]", "bias": "[2 D]"},
    "mix2": {"weight": "[D, D]", "bias": "[D]"},
    "norm": {"weight": "[D]", "bias": "[D]"},
}
# in the order of computation: what a hook calls it, the title of its box, its equation, and the shape of its output
STEPS = [
    ("conv", "multiresolution\nconvolution", "c = w z + w_skip x", "[B, D, L]"),
    ("gelu", "GELU\n(channel\ndropout)", "v = c Φ(c)", "[B, D, L]"),
    ("mix", "1x1 map\nD to 2 D", "u = W v + bias", "[B, 2 D, L]"),
    ("glu", "GLU, the gate\n(channel\ndropout)", "r = u₁ σ(u₂)", "[B, D, L]"),
    ("mix2", "second\n1x1 map\n(density only)", "r = W₂ r + bias₂", "[B, D, L]"),
    ("norm", "residual sum,\nthen norm", "Norm(x + r)", "[B, D, L]"),
]
COLOUR = {"conv": MEMORY, "mix": CYCLE[0], "mix2": CYCLE[0], "norm": CYCLE[2]}
BOX, STEP, TOP = 1.0, 1.32, 2.0  # a box's width, the distance of two boxes, and the height of their middle


def parameter_shapes(config: NetworkConfig | None) -> dict[str, dict[str, str]]:
    """The shapes of a block's parameters: in symbols, or those of a network of this `config`.

    Examples
    --------
    >>> parameter_shapes(NetworkConfig(1, 10, d_model=16, n_layers=1, max_length=64))["mix"]
    {'weight': '[32, 16]', 'bias': '[32]'}
    """
    if config is None:
        return SYMBOLS
    block = init_params(config, np.random.default_rng(0))["blocks"][0]
    return {part: {name: str(list(a.shape)) for name, a in arrays.items()} for part, arrays in block.items()}


@styled
def plot_block(config: NetworkConfig | None = None, ax: Axes | None = None) -> Axes:
    """A block of the network, left to right: its steps, their equations, the names and shapes of its parameters.

    Below each box stand its parameters as they are called in ``params["blocks"][i]``, and above it the name by which a hook is
    given its output. σ is 1 / (1 + exp(-u)), Φ the distribution function of the normal distribution; u₁ are the first D channels
    of u, u₂ the last D.

    Parameters
    ----------
    config : NetworkConfig, optional
        The network whose shapes are written; without it they are symbols, and the second 1x1 map, which only the network for
        densities has, is drawn too.
    ax : Axes, optional
        Axes to draw into (default: a new one).

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `config` is no NetworkConfig.

    Examples
    --------
    >>> ax = plot_block(NetworkConfig(1, 10, d_model=16, n_layers=1, max_length=64))
    >>> "h0 [16, 2]" in [line for text in ax.texts for line in text.get_text().splitlines()]
    True
    """
    if config is not None and not isinstance(config, NetworkConfig):
        raise TypeError(f"config must be a NetworkConfig or None; got {type(config).__name__}")
    shapes = parameter_shapes(config)
    steps = [step for step in STEPS if step[0] != "mix2" or "mix2" in shapes]
    ax = ax if ax is not None else new_axes(9, 3.6)
    for place, (name, title, equation, shape) in enumerate(steps):
        draw_step(ax, STEP * place, name, title, equation, shape, shapes.get(name, {}))
    end = STEP * (len(steps) - 1)
    arrow(ax, (-0.95, TOP), (-BOX / 2, TOP))
    arrow(ax, (end + BOX / 2, TOP), (end + 0.95, TOP))
    ax.text(-1.0, TOP, "x", ha="right", va="center", fontsize=12)
    ax.text(end + 1.0, TOP, "out", ha="left", va="center", fontsize=12)
    carry_around(ax, -0.75, end)
    ax.set(xlim=(-1.25, end + 1.4), ylim=(-0.35, 3.55), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def draw_step(ax: Axes, x: float, name: str, title: str, equation: str, shape: str, params: dict[str, str]) -> None:
    """A box with its title; above it the hook's name, below it the equation and the parameters; an arrow from the box before."""
    colour = COLOUR.get(name, SIGNAL)
    box = FancyBboxPatch((x - BOX / 2, TOP - 0.4), BOX, 0.8, boxstyle="round,pad=0.02", fc="white", ec=colour, lw=1.6)
    ax.add_patch(box)
    if name != "conv":
        arrow(ax, (x - STEP + BOX / 2, TOP), (x - BOX / 2, TOP))
    ax.text(x, TOP, title, ha="center", va="center", fontsize=8.5)
    ax.text(x, TOP + 0.5, f'"{name}"', ha="center", va="bottom", fontsize=8.5, color=colour)
    ax.text(x, TOP - 0.55, f"{equation}\n{shape}", ha="center", va="top", fontsize=8.5)
    lines = [f"{parameter} {size}" for parameter, size in params.items()]
    ax.text(x, 0.78, "\n".join(lines), ha="center", va="top", fontsize=9, color=colour, weight="bold")


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A black arrow."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=SIGNAL, lw=1.2, shrinkA=0, shrinkB=0))


def carry_around(ax: Axes, start: float, end: float) -> None:
    """The line that carries x around the block to the residual sum."""
    height = TOP + 0.98
    ax.plot([start, start, end], [TOP, height, height], color=SIGNAL, lw=1.2)
    arrow(ax, (end, height), (end, TOP + 0.74))
    ax.text((start + end) / 2, height + 0.08, "residual: x is carried around the block", ha="center", va="bottom", fontsize=9)
