"""A pair of filters, over lag and over frequency; and what training made of the filters of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..response import transfer
from .style import APPROXIMATION, COLOURS, DETAIL, new_axes, styled


@styled
def plot_taps(h0: np.ndarray, h1: np.ndarray, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The taps of h0 (circles) and h1 (squares) against their lag; the tap at lag 0, on the left, weights the newest sample.

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
    """Data coordinates shifted by a part of a lag, so that two taps of one lag stand side by side."""
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


def two_gains(h: np.ndarray) -> np.ndarray:
    """A filter's gain for a constant, H(0) = sum_k h[k], and for the fastest alternation, H(1/2) = sum_k (-1)^k h[k]: [..., 2].

    A filter of two taps is determined by these two numbers.

    Examples
    --------
    >>> two_gains(np.array([0.5, 0.5])), two_gains(np.array([0.5, -0.5]))
    (array([1., 0.]), array([0., 1.]))
    """
    signs = (-1.0) ** np.arange(h.shape[-1])
    return np.stack((h.sum(axis=-1), (h * signs).sum(axis=-1)), axis=-1)


@styled
def plot_learned_filters(before: dict[str, Any], after: dict[str, Any], ax: Axes | None = None, *, title: str = "") -> Axes:
    """The filters h0 (circles) and h1 (squares) of each channel after training; a line leads to where each one started.

    The horizontal axis is the gain for a constant, the vertical axis the gain for the fastest alternation. A low-pass filter lies
    near the horizontal axis, a high-pass filter near the vertical axis. The sign of a filter has no meaning of its own, because
    the weight in w can undo it.

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
def plot_filter_norms(
    before: list[dict[str, Any]], after: list[dict[str, Any]], ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """How strong the filters of each layer are, at the start (open marks) and after training (filled): their norms ||h||.

    The mark is the median over the channels, the line goes from the lower to the upper quartile. White noise passes a filter of
    norm 1 with its power unchanged. Level i applies h0 i times, so a_i fades about like ||h0||^i where the norm is below 1, and
    the coarse scales are heard only where the norm of h0 comes near 1.

    Parameters
    ----------
    before, after : lists of {"h0", "h1" [D, K] (or untied [J, D, K])}, one for each layer

    Examples
    --------
    >>> one = {"h0": np.full((2, 2), 0.5), "h1": np.ones((2, 2))}
    >>> ax = plot_filter_norms([one], [one])
    >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    ['$h_0$ at the start', '$h_0$ now', '$h_1$ at the start', '$h_1$ now']
    """
    ax = ax if ax is not None else new_axes(4, 4)
    look = (("h0", APPROXIMATION, "o", "$h_0$", -0.24), ("h1", DETAIL, "s", "$h_1$", 0.08))
    for name, colour, marker, label, shift in look:
        for blocks, words, fill, step in ((before, "at the start", "white", 0.0), (after, "now", colour, 0.16)):
            norms = [np.linalg.norm(np.asarray(conv[name], np.float64), axis=-1) for conv in blocks]
            low, middle, high = np.array([np.quantile(n, (0.25, 0.5, 0.75)) for n in norms]).T
            places = np.arange(1, len(blocks) + 1) + shift + step
            ax.vlines(places, low, high, color=colour, lw=1.6, zorder=2)
            ax.plot(places, middle, marker, color=colour, mfc=fill, ms=6, label=f"{label} {words}", zorder=3)
    ax.axhline(1, color=COLOURS["grey"], lw=0.8, ls="--", zorder=1, label="_one")
    ax.set_xticks(range(1, len(after) + 1))
    ax.grid(axis="y")
    ax.set(xlabel="layer", ylabel="norm of a filter, ||h||", title=title, ylim=(0, None), xlim=(0.5, len(after) + 0.5))
    return ax
