"""Sequences as what they are: images read pixel by pixel, signals over time, tokens; and what a classifier believes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLOURS, CYCLE, DASHES, SIGNAL, new_axes, new_figure, styled, without_axes

LEAD_NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def as_image(x: np.ndarray) -> np.ndarray | None:
    """A sequence [C, L] as an image [side, side, C] stretched to 0 ... 1; None where L is no square or C neither 1 nor 3.

    Examples
    --------
    >>> as_image(np.arange(4.0)[None])[..., 0].round(2).tolist()
    [[0.0, 0.33], [0.67, 1.0]]
    """
    side = square_side(x)
    if side is None:
        return None
    low, high = x.min(), x.max()
    return ((x - low) / (high - low if high > low else 1)).T.reshape(side, side, len(x))


def square_side(x: np.ndarray) -> int | None:
    """The side of the square image of 1 or 3 colours that sequences [..., C, L] are; None where they are no such image."""
    C, L = x.shape[-2:]
    side = round(L**0.5)
    return side if side * side == L and C in (1, 3) else None


@styled
def plot_example(x: np.ndarray, ax: Axes | None = None, *, title: str = "", tokens: tuple[str, ...] = ()) -> Axes:
    """One example: tokens [L] as points, a square image [C, L] of 1 or 3 colours as an image, other channels [C, L] as curves.

    Examples
    --------
    >>> plot_example(np.zeros((12, 50)), title="electrocardiogram").get_yticklabels()[0].get_text()
    'I'
    """
    image = None if x.ndim == 1 else as_image(x)
    ax = ax if ax is not None else new_axes(9, 5)
    ax.set_title(title)
    if x.ndim == 1:
        draw_tokens(ax, x, tokens)
    elif image is not None:
        ax.imshow(image.squeeze(), cmap="gray_r" if x.shape[0] == 1 else None, interpolation="nearest")
        ax.set_xlabel("column: time runs along rows, from the top")
        ax.set_ylabel("row")
    else:
        draw_traces(ax, x)
    return ax


def draw_tokens(ax: Axes, x: np.ndarray, tokens: tuple[str, ...]) -> None:
    """The token at each step, as a short line."""
    ax.plot(x, "|", markersize=6)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("step")
    ax.set_ylabel("token")
    if tokens:
        ax.set_yticks(range(len(tokens)), tokens)


def draw_traces(ax: Axes, x: np.ndarray) -> None:
    """Channels one above the other, the first at the top; twelve channels are named as the leads of an electrocardiogram."""
    C, L = x.shape
    gap = 1.2 * np.percentile(np.ptp(x, axis=1), 75) or 1.0
    for c, trace in enumerate(x):
        ax.plot(trace - c * gap, linewidth=0.8, color=SIGNAL)
    ax.set_yticks(-gap * np.arange(C), LEAD_NAMES if len(LEAD_NAMES) == C else range(C))
    ax.set_xlim(0, L - 1)
    ax.set_xlabel("step")
    ax.set_ylabel("channel")


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
    without_axes(ax, title)
    return ax


@styled
def plot_samples(x: np.ndarray, *, given: int = 0, title: str = "", inch: float = 0.8) -> Figure:
    """Sequences [N, C, L] in [-1, 1] as square images in a grid that is about as high as wide.

    Parameters
    ----------
    x : array [N, C, L]
        C is 1 (grey, dark is high) or 3 (red, green, blue); L a square.
    given : int
        How many of the first steps were given, not drawn by the network: a red line stands below the row in which they end.

    Examples
    --------
    >>> figure = plot_samples(np.zeros((5, 1, 64)), given=32, title="five")
    >>> len([ax for ax in figure.axes if ax.images])
    5
    """
    N, C, _ = x.shape
    side = square_side(x)
    if side is None:
        raise ValueError(f"x must hold square images of 1 or 3 colours, [N, C, side^2]; got shape {x.shape}")
    columns = int(np.ceil(N**0.5))
    rows = -(-N // columns)
    figure, axes = new_figure(inch * columns, inch * rows + 0.3 * bool(title), rows, columns)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, sequence in zip(axes.flat, x, strict=False):
        image = (sequence.T.reshape(side, side, C) + 1) / 2
        ax.imshow(image.squeeze(), cmap="gray_r" if C == 1 else None, vmin=0, vmax=1, interpolation="nearest")
        if given:
            ax.axhline(given / side - 0.5, color=COLOURS["red"], linewidth=1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


@styled
def plot_images(x: np.ndarray, ax: Axes | None = None, *, columns: int = 10, title: str = "", labels: Sequence[str] = ()) -> Axes:
    """A grid of square images, given as sequences row by row: [n, side * side]. Dark is large, on one scale for all images.

    `labels`, one for each image, are written above them.

    Examples
    --------
    >>> ax = plot_images(np.arange(8.0).reshape(2, 4), columns=2)
    >>> ax.images[0].get_array().filled(-1.0)  # a gap of one pixel between two images
    array([[ 0.,  1., -1.,  4.,  5.],
           [ 2.,  3., -1.,  6.,  7.]])
    """
    n, side = len(x), round(x.shape[-1] ** 0.5)
    columns = min(columns, n)
    gap = 1 if not labels else max(2, side // 4)  # pixels between two rows of images
    rows, step, down = -(-n // columns), side + 1, side + gap
    sheet = np.full((rows * down - gap, columns * step - 1), np.nan)
    for i, image in enumerate(x):
        top, left = i // columns * down, i % columns * step
        sheet[top : top + side, left : left + side] = image.reshape(side, side)
    ax = ax if ax is not None else new_axes(9, 9 * rows / columns * down / step + (0.4 if title else 0.1) + 0.2 * bool(labels))
    ax.imshow(np.ma.masked_invalid(sheet), cmap="Greys", interpolation="nearest", vmin=x.min(), vmax=x.max())
    for i, label in enumerate(labels):
        where = (i % columns * step + side / 2 - 0.5, i // columns * down - 0.8)
        ax.text(*where, label, ha="center", va="bottom", fontsize=9)
    without_axes(ax, title)
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
    without_axes(ax, title)
    return ax


@styled
def plot_ages(side: int, row: int, column: int, ax: Axes | None = None, *, title: str = "how many steps ago") -> Axes:
    """How many steps before one pixel each pixel of a square image was read; those that are read later stay white.

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
    without_axes(ax, title)
    return ax


@styled
def plot_beliefs(
    probabilities: np.ndarray, labels: Sequence[str], ax: Axes | None = None, *, title: str = "", named: int = 3
) -> Axes:
    """The probability of each class as samples arrive, [L, C]; the legend names the `named` classes with the highest peaks.

    The others are grey; where one of them reaches 0.15 or more, its name stands at its peak.

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
            peak = int(probabilities[:, c].argmax())
            if probabilities[peak, c] >= 0.15:
                ax.text(peak, probabilities[peak, c], str(labels[c]), color=COLOURS["grey"], fontsize=9, ha="center", va="bottom")
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
