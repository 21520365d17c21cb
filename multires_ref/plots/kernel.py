"""The one long kernel that a layer equals, and the scales it is the sum of."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ..base.checks import check_shape
from ..base.layer_checks import check_filters, check_response_size, check_weights
from .analysis import memory_matrix, short_name
from .style import COLOURS, level_colours, new_axes, octaves, styled


@styled
def plot_kernel(
    h0: np.ndarray,
    h1: np.ndarray,
    w: np.ndarray,
    w_skip: float,
    ax: Axes | None = None,
    *,
    tree_select: str = "fading",
    depth: int | None = None,
    title: str = "",
) -> Axes:
    """The equivalent kernel of one channel, y[n] = sum_t kernel[t] x[n-t], in black, over what each scale adds to it, in colour.

    Parameters
    ----------
    h0, h1 : arrays [K], or untied [J, K];  w : array [m];  w_skip : number
        One channel of a layer's parameters.
    tree_select, depth
        As for `multires_conv`.

    Raises
    ------
    TypeError, ValueError
        As `equivalent_kernel`, and for the arrays of all channels: choose one, such as ``h0[d], h1[d], w[d], w_skip[d]``.

    Examples
    --------
    >>> ax = plot_kernel(np.array([0.5, 0.5]), np.array([1.0, -1.0]), np.array([1.0, 0.0, 0.0]), 0.0)
    >>> ax.lines[-1].get_ydata()
    array([0.25, 0.25, 0.25, 0.25])
    """
    h0, h1, w, w_skip, J = one_layer_channel(h0, h1, w, w_skip, tree_select, depth)
    ax = ax if ax is not None else new_axes(9, 3.4)
    M, rows = memory_matrix(h0, h1, J, tree_select, len(w))
    M = M[0]
    kernel = w @ M
    kernel[0] += w_skip
    lags = 1 + np.arange(len(kernel))
    colours = level_colours(J)
    ax.axhline(0, color=COLOURS["light"], lw=0.8, zorder=0)
    for part, row in zip(w[:, None] * M, rows, strict=True):
        if row.kind != "unused":
            ax.plot(lags, part, drawstyle="steps-mid", lw=1.0, color=colours[row.level - 1], label=short_name(row))
    ax.plot(lags, kernel, drawstyle="steps-mid", lw=2.2, color=COLOURS["black"], label="their sum, the kernel")
    octaves(ax, len(kernel))
    ax.set(xlabel="samples back, t + 1", ylabel="weight of x[n-t]", title=title)
    return ax


def one_layer_channel(
    h0: np.ndarray, h1: np.ndarray, w: np.ndarray, w_skip: float, tree_select: str, depth: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, int]:
    """The parameters of one channel, checked: filters [1, K] or untied [J, 1, K], w [m], w_skip, and the depth."""
    h0, h1, w = np.asarray(h0), np.asarray(h1), np.asarray(w)
    if h0.ndim not in (1, 2):
        raise ValueError(f"h0 must have shape [K], or untied [J, K]: one channel of a layer; got {h0.shape}")
    check_shape("w", w, (None,), "[m]: one channel of a layer")
    if np.ndim(w_skip) != 0:
        raise ValueError(f"w_skip must be a number: one channel of a layer; got shape {np.shape(w_skip)}")
    h0, h1 = (h[None] if h.ndim == 1 else h[:, None] for h in check_filters(h0, h1))
    weights, skip, J = check_weights(h0, w[None], np.array([w_skip], w.dtype), tree_select, depth)
    check_response_size(J, h0, 2 * J + len(w))
    return h0, h1, weights[0], float(skip[0]), J
