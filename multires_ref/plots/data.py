"""One example of a task's data, as what it is: an image, signals over time, or tokens."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from .style import SIGNAL, new_axes, styled

LEAD_NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def as_image(x: np.ndarray) -> np.ndarray | None:
    """A sequence [C, L] as an image [side, side, C] stretched to 0 ... 1; None where L is no square or C neither 1 nor 3.

    Examples
    --------
    >>> as_image(np.arange(4.0)[None])[..., 0].round(2).tolist()
    [[0.0, 0.33], [0.67, 1.0]]
    """
    C, L = x.shape
    side = round(L**0.5)
    if side * side != L or C not in (1, 3):
        return None
    low, high = x.min(), x.max()
    return ((x - low) / (high - low if high > low else 1)).T.reshape(side, side, C)


@styled
def plot_example(x: np.ndarray, ax: Axes | None = None, *, title: str = "", tokens: tuple[str, ...] = ()) -> Axes:
    """Tokens [L] as points by name, a square sequence [C, L] of 1 or 3 colours as an image, other channels [C, L] as traces.

    Examples
    --------
    >>> plot_example(np.zeros((12, 50)), title="electrocardiogram").get_yticklabels()[0].get_text()
    'I'
    """
    image = None if x.ndim == 1 else as_image(x)
    ax = ax if ax is not None else new_axes(9, 5)
    ax.set_title(title)
    if x.ndim == 1:
        plot_tokens(ax, x, tokens)
    elif image is not None:
        ax.imshow(image.squeeze(), cmap="gray_r" if x.shape[0] == 1 else None, interpolation="nearest")
        ax.set_xlabel("column: time runs along rows, from the top")
        ax.set_ylabel("row")
    else:
        plot_traces(ax, x)
    return ax


def plot_tokens(ax: Axes, x: np.ndarray, tokens: tuple[str, ...]) -> None:
    """Which token stands at which step."""
    ax.plot(x, "|", markersize=6)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("step")
    ax.set_ylabel("token")
    if tokens:
        ax.set_yticks(range(len(tokens)), tokens)


def plot_traces(ax: Axes, x: np.ndarray) -> None:
    """Channels above one another, the first on top, each by the name of its lead where there are twelve."""
    C, L = x.shape
    gap = 1.2 * np.percentile(np.ptp(x, axis=1), 75) or 1.0
    for c, trace in enumerate(x):
        ax.plot(trace - c * gap, linewidth=0.8, color=SIGNAL)
    ax.set_yticks(-gap * np.arange(C), LEAD_NAMES if len(LEAD_NAMES) == C else range(C))
    ax.set_xlim(0, L - 1)
    ax.set_xlabel("step")
    ax.set_ylabel("channel")
