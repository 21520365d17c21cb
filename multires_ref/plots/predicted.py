"""Predicted numbers against true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLOURS, new_axes, new_figure, styled

MOST_PANELS = 9  # further targets are not drawn


@styled
def plot_predicted(predicted: np.ndarray, true: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The predicted value of each example against its true one, and the line on which the two are equal.

    Parameters
    ----------
    predicted, true : arrays [N], in the same unit
    ax : Axes;  title : str

    Examples
    --------
    >>> ax = plot_predicted(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['predicted = true', 'an example']
    """
    ax = ax if ax is not None else new_axes(4.6, 4.4)
    low, high = (float(f([f(predicted), f(true)])) for f in (min, max))
    room = 0.05 * (high - low) or 1.0
    ax.plot([low - room, high + room], [low - room, high + room], "--", color=COLOURS["grey"], label="predicted = true")
    look = {"color": COLOURS["blue"], "alpha": 1.0 if len(true) < 50 else 0.5}
    ax.plot(true, predicted, "o", ms=4, label="an example", **look)
    ax.set(xlabel="true", ylabel="predicted", title=title, xlim=(low - room, high + room), ylim=(low - room, high + room))
    ax.set_aspect("equal")
    ax.legend(loc="upper left")
    return ax


@styled
def plot_all_predicted(predicted: np.ndarray, true: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """`plot_predicted` of each target [N, T], with its R^2 and mean absolute error; at most nine targets.

    Examples
    --------
    >>> y = np.arange(6.0).reshape(3, 2)
    >>> [ax.get_title("left") for ax in plot_all_predicted(y, y, ["speed", "height"]).axes]
    ['speed: $R^2$ = 1.000, MAE = 0', 'height: $R^2$ = 1.000, MAE = 0']
    """
    from ..training.objectives import r_squared

    shown = min(len(names), MOST_PANELS)
    columns = min(shown, 3)
    rows = -(-shown // columns)
    figure, axes = new_figure(4.6 * columns, 4.4 * rows + 0.3, rows=rows, columns=columns)
    for t, ax in enumerate(axes.flat):
        if t >= shown:
            ax.axis("off")
            continue
        share = r_squared(predicted[:, t : t + 1], true[:, t : t + 1])
        error = float(np.abs(predicted[:, t] - true[:, t]).mean())
        plot_predicted(predicted[:, t], true[:, t], ax, title=f"{names[t]}: $R^2$ = {share:.3f}, MAE = {error:.3g}")
    figure.suptitle(title, x=0.01, ha="left")
    return figure
