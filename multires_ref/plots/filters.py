"""A pair of filters: its taps over lag, and its gain over frequency."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ..response import transfer
from .style import APPROXIMATION, COLOURS, DETAIL, new_axes, styled


@styled
def plot_taps(h0: np.ndarray, h1: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The taps of h0 (circles) and h1 (squares) against their lag: the left end weights the newest sample.

    Parameters
    ----------
    h0, h1 : arrays [K], lag order

    Examples
    --------
    >>> from multires_ref import wavelet_filters
    >>> ax = plot_taps(*wavelet_filters("db2"), title="db2")
    >>> ax.lines[0].get_xdata()
    array([0., 1., 2., 3.])
    """
    ax = ax if ax is not None else new_axes(4.5, 3)
    for h, colour, marker, shift, name in ((h0, APPROXIMATION, "o", -0.09, "$h_0$"), (h1, DETAIL, "s", 0.09, "$h_1$")):
        lags = np.arange(len(h), dtype=float)
        ax.plot(lags, h, marker, color=colour, ms=6, label=name, transform=moved(ax, shift), zorder=3)
        ax.vlines(lags, 0, h, color=colour, lw=1.8, transform=moved(ax, shift))
    ax.axhline(0, color=COLOURS["grey"], lw=0.8)
    ax.set(xlabel="lag k (samples)", ylabel="weight", title=title, xlim=(-0.5, len(h0) - 0.5))
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def moved(ax: Axes, steps: float) -> object:
    """Data coordinates, shifted by part of a lag: two taps of one lag stand side by side."""
    from matplotlib.transforms import Affine2D

    return Affine2D().translate(steps, 0) + ax.transData


@styled
def plot_gain(h0: np.ndarray, h1: np.ndarray, ax: Axes | None = None, *, title: str = "", points: int = 257) -> Axes:
    """The gain |H(f)| of h0 and h1 from frequency 0 to half the sampling rate, H(f) = sum_k h[k] exp(-2 pi i f k).

    Examples
    --------
    >>> ax = plot_gain(np.array([1.0, 1.0]), np.array([1.0, -1.0]), points=3)
    >>> ax.lines[0].get_ydata().round(3)
    array([2.   , 1.414, 0.   ])
    """
    ax = ax if ax is not None else new_axes(4.5, 3)
    f = np.linspace(0, 0.5, points)
    ax.plot(f, abs(transfer(np.asarray(h0), f)), color=APPROXIMATION, label="$h_0$, low-pass")
    ax.plot(f, abs(transfer(np.asarray(h1), f)), color=DETAIL, ls="--", label="$h_1$, high-pass")
    ax.set(xlabel="cycles per sample", ylabel="gain", title=title, xlim=(0, 0.5), ylim=(0, None))
    ax.grid()
    return ax
