"""Images read as sequences, pixel by pixel: grids of them, the order of reading, and what a classifier believes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from .style import COLOURS, CYCLE, DASHES, new_axes, styled


@styled
def plot_images(x: np.ndarray, ax: Axes | None = None, *, columns: int = 10, title: str = "") -> Axes:
    """A grid of square images, given as sequences row by row: [n, side * side]; dark is large. One scale for all of them.

    Examples
    --------
    >>> ax = plot_images(np.arange(8.0).reshape(2, 4), columns=2)
    >>> ax.images[0].get_array().filled(-1.0)  # a gap of one pixel between two images
    array([[ 0.,  1., -1.,  4.,  5.],
           [ 2.,  3., -1.,  6.,  7.]])
    """
    n, side = len(x), round(x.shape[-1] ** 0.5)
    columns = min(columns, n)
    rows, step = -(-n // columns), side + 1
    sheet = np.full((rows * step - 1, columns * step - 1), np.nan)
    for i, image in enumerate(x):
        top, left = i // columns * step, i % columns * step
        sheet[top : top + side, left : left + side] = image.reshape(side, side)
    ax = ax if ax is not None else new_axes(9, 9 * rows / columns + (0.4 if title else 0.1))
    ax.imshow(np.ma.masked_invalid(sheet), cmap="Greys", interpolation="nearest", vmin=x.min(), vmax=x.max())
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return ax


@styled
def plot_reading(x: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """A square image [side * side] with the path along which it is read, and the time n at the ends of its rows.

    Examples
    --------
    >>> [text.get_text() for text in plot_reading(np.zeros(9)).texts]
    ['0', '2', '3', '5', '6', '8']
    """
    side = round(len(x) ** 0.5)
    ax = ax if ax is not None else new_axes(4, 4)
    ax.imshow(x.reshape(side, side), cmap="Greys", interpolation="nearest", alpha=0.6)
    for row in range(side):
        ax.plot([-0.4, side - 0.6], [row, row], "-", color=COLOURS["red"], lw=1.2)
        ax.plot(side - 0.6, row, ">", color=COLOURS["red"], ms=6)
        ax.text(-0.7, row, str(row * side), ha="right", va="center", fontsize=9)
        ax.text(side - 0.3, row, str(row * side + side - 1), ha="left", va="center", fontsize=9)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return ax


@styled
def plot_beliefs(
    probabilities: np.ndarray, labels: Sequence[str], ax: Axes | None = None, *, title: str = "", named: int = 3
) -> Axes:
    """The probability of each class as samples arrive, [L, C]; the `named` classes that were ever likeliest stand in the legend.

    Examples
    --------
    >>> ax = plot_beliefs(np.array([[0.5, 0.3, 0.2], [0.1, 0.9, 0.0]]), "abc", named=2)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['b', 'a']
    """
    ax = ax if ax is not None else new_axes(9, 3)
    chief = np.argsort(-probabilities.max(axis=0))[:named]
    for c in range(probabilities.shape[1]):
        if c not in chief:
            ax.plot(probabilities[:, c], "-", color=COLOURS["light"], lw=1, zorder=1)
    for n, c in enumerate(chief):
        ax.plot(probabilities[:, c], color=CYCLE[n], ls=DASHES[n % len(DASHES)], label=str(labels[c]), zorder=2)
    ax.legend(ncols=named, loc="upper left")
    ax.set(
        xlabel="samples seen, less one (n)",
        ylabel="probability",
        ylim=(-0.02, 1.25),
        xlim=(0, len(probabilities) - 1),
        title=title,
    )
    ax.set_yticks([0, 0.5, 1])
    return ax


@styled
def plot_ages(side: int, row: int, column: int, ax: Axes | None = None, *, title: str = "how many steps ago") -> Axes:
    """How many steps ago each pixel of a square image came, seen from one pixel; those still to come are left white.

    Examples
    --------
    >>> [text.get_text() for text in plot_ages(3, 1, 1).texts]
    ['4', '3', '2', '1', '0']
    """
    ages = side * row + column - np.arange(side * side).reshape(side, side)
    ax = ax if ax is not None else new_axes(3.6, 3.6)
    ax.imshow(np.ma.masked_less(ages, 0), cmap="cividis_r")
    for (i, j), age in np.ndenumerate(ages):
        if age >= 0:
            ax.text(j, i, str(age), ha="center", va="center", color="white" if 2 * age > ages.max() else "black", fontsize=9)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)
    return ax
