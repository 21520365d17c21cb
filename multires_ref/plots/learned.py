"""What training made of the filters, and of the weight each scale has."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .analysis import row_gains
from .style import APPROXIMATION, COLOURS, DETAIL, new_axes, styled


def two_gains(h: np.ndarray) -> np.ndarray:
    """A filter's gain for a constant, H(0) = sum_k h[k], and for the fastest alternation, H(1/2) = sum_k (-1)^k h[k]: [..., 2].

    For two taps these two numbers say everything.

    Examples
    --------
    >>> two_gains(np.array([0.5, 0.5])), two_gains(np.array([0.5, -0.5]))
    (array([1., 0.]), array([0., 1.]))
    """
    signs = (-1.0) ** np.arange(h.shape[-1])
    return np.stack((h.sum(axis=-1), (h * signs).sum(axis=-1)), axis=-1)


@styled
def plot_learned_filters(before: dict[str, Any], after: dict[str, Any], ax: Axes | None = None, *, title: str = "") -> Axes:
    """Where each channel's h0 (circles) and h1 (squares) began (end of the line) and where training took them (marker).

    Across: the gain for a constant; up: the gain for the fastest alternation. A low-pass filter lies near the horizontal axis,
    a high-pass filter near the vertical one; the sign of a filter is free, its weight in w can undo it.

    Parameters
    ----------
    before, after : {"h0", "h1" [D, K] (or untied [J, D, K])}
        A layer's parameters at the start and now.

    Examples
    --------
    >>> start, end = {"h0": np.ones((3, 2)), "h1": np.ones((3, 2))}, {"h0": np.zeros((3, 2)), "h1": np.zeros((3, 2))}
    >>> ax = plot_learned_filters(start, end)
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['$h_0$', '$h_1$']
    """
    ax = ax if ax is not None else new_axes(4, 4)
    reach = 0.0
    for name, colour, marker, label in (("h0", APPROXIMATION, "o", "$h_0$"), ("h1", DETAIL, "s", "$h_1$")):
        start, end = (two_gains(np.asarray(p[name], np.float64)).reshape(-1, 2) for p in (before, after))
        for a, b in zip(start, end, strict=True):
            ax.plot(*np.stack((a, b), axis=-1), "-", color=colour, lw=0.8, alpha=0.5, label="_path", zorder=2)
        ax.plot(end[:, 0], end[:, 1], marker, color=colour, ms=4.5, mec="white", mew=0.5, label=label, zorder=3)
        reach = max(reach, abs(start).max(), abs(end).max())
    for line in (ax.axhline, ax.axvline):
        line(0, color=COLOURS["grey"], lw=0.8, zorder=1, label="_zero")
    ax.set(xlim=(-1.08 * reach, 1.08 * reach), ylim=(-1.08 * reach, 1.08 * reach), aspect="equal", title=title)
    ax.set(xlabel="gain for a constant", ylabel="gain for alternation")
    return ax


@styled
def plot_scale_gains(
    blocks: list[dict[str, Any]],
    depth: int,
    tree_select: str = "fading",
    ax: Axes | None = None,
    *,
    title: str = "",
    top: float | None = None,
) -> Axes:
    """How much each row of the memory weighs in each layer: `row_gains`, the mean over channels, in percent of the layer's total.

    Parameters
    ----------
    blocks : list of {"h0", "h1", "w", "w_skip"}, one a layer
    depth : int, J;  tree_select : str
    top : float, the share at the dark end of the colours (default: the largest)

    Examples
    --------
    >>> conv = {"h0": np.ones((1, 2)), "h1": np.ones((1, 2)), "w": np.ones((1, 3)), "w_skip": np.zeros(1)}
    >>> ax = plot_scale_gains([conv, conv], depth=2)
    >>> ax.images[0].get_array().shape  # layers x (memory rows and the skip)
    (2, 4)
    """
    shares = scale_shares(blocks, depth, tree_select)
    names = row_names(depth, blocks[0], tree_select)
    ax = ax if ax is not None else new_axes(9, 1.0 + 0.4 * len(blocks))
    ax.imshow(shares, aspect="auto", cmap="Greys", vmin=0, vmax=top or shares.max())
    for layer, r in np.ndindex(shares.shape):
        dark = shares[layer, r] > 0.55 * (top or shares.max())
        ax.text(
            r, layer, f"{100 * shares[layer, r]:.0f}", ha="center", va="center", color="white" if dark else "black", fontsize=9
        )
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(blocks)), [f"layer {n + 1}" for n in range(len(blocks))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return ax


def scale_shares(blocks: list[dict[str, Any]], depth: int, tree_select: str = "fading") -> np.ndarray:
    """The numbers of `plot_scale_gains`: [layers, m + 1], each row summing to 1."""
    gains = np.stack([row_gains(conv, depth, tree_select).mean(axis=0) for conv in blocks])
    return gains / gains.sum(axis=1, keepdims=True)


def row_names(depth: int, conv: dict[str, Any], tree_select: str) -> list[str]:
    """Labels of the memory's rows and the skip."""
    from ..tree import memory_rows
    from .tree import row_name

    rows = memory_rows(depth, conv["h0"].shape[-1], tree_select, conv["w"].shape[1])
    return [row_name(row).replace("[n]", "") for row in rows] + ["skip"]
