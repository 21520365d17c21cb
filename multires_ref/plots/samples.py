"""Many images in one grid."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, new_figure, styled


@styled
def plot_samples(x: np.ndarray, *, given: int = 0, title: str = "", inch: float = 0.8) -> Figure:
    """Sequences [N, C, L] in [-1, 1] as square images in a grid that is about as high as wide.

    Parameters
    ----------
    x : array [N, C, L]
        C is 1 (grey, dark is high) or 3 (red, green, blue); L a square.
    given : int
        How many of the first steps were given rather than drawn: a line is drawn below the row they end in.

    Examples
    --------
    >>> figure = plot_samples(np.zeros((5, 1, 64)), given=32, title="five")
    >>> len([ax for ax in figure.axes if ax.images])
    5
    """
    N, C, L = x.shape
    side = round(L**0.5)
    if side * side != L or C not in (1, 3):
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
