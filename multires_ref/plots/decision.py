"""An output, or a decision, split by scale and lag."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .style import DIVERGING, new_axes, octaves, styled


@styled
def plot_parts(
    parts: np.ndarray, names: list[str], ax: Axes | None = None, *, title: str = "", label: str = "part of the output"
) -> Axes:
    """What each scale (row) took from each lag (column, octaves): yellow speaks for the output, blue against it.

    On the octave axis a column's area grows with its width, so what is drawn are sums over the lags of each eighth of an octave,
    and the whole picture adds up to the output.

    Parameters
    ----------
    parts : array [m + 1, R];  names : list of m + 1 str
        From `analysis.split_output` or `attribution.decision_parts`.

    Examples
    --------
    >>> ax = plot_parts(np.eye(3), ["a2", "b2", "b1"])
    >>> float(ax.collections[0].get_array().sum())  # nothing is lost in the picture
    3.0
    """
    ax = ax if ax is not None else new_axes(9, 1.0 + 0.32 * len(names))
    edges = octave_edges(parts.shape[1])
    binned = np.add.reduceat(parts, edges[:-1] - 1, axis=1)
    largest = max(abs(binned).max(), np.finfo(float).tiny)
    mesh = ax.pcolormesh(edges, np.arange(len(names) + 1) - 0.5, binned, cmap=DIVERGING, vmin=-largest, vmax=largest)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    octaves(ax, parts.shape[1])
    ax.set_xlim(1, parts.shape[1] + 1)
    ax.set(xlabel="samples back, t + 1", title=title)
    ax.figure.colorbar(mesh, ax=ax, label=label, pad=0.01, aspect=12)
    return ax


def octave_edges(length: int, per_octave: int = 8) -> np.ndarray:
    """Whole numbers 1 = e_0 < e_1 < ... = length + 1, about `per_octave` an octave where there are so many.

    Examples
    --------
    >>> octave_edges(8, per_octave=2)
    array([1, 2, 4, 5, 8, 9])
    """
    octaves_in_all = np.log2(length + 1)
    edges = np.unique(np.floor(2.0 ** np.arange(0, octaves_in_all, 1 / per_octave)).astype(int))
    return np.append(edges[edges <= length], length + 1)


@styled
def plot_image(x: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """An image [H, W] in grey, dark ink on white, without axes.

    Examples
    --------
    >>> plot_image(np.zeros((8, 8))).images[0].get_array().shape
    (8, 8)
    """
    ax = ax if ax is not None else new_axes(2, 2)
    ax.imshow(x, cmap="Greys", interpolation="nearest")
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return ax
