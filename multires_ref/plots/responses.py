"""The responses of each scale, over lag and over frequency, and the one long kernel that a layer equals."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ..base.checks import check_shape
from ..base.layer_checks import check_filters, check_response_size, check_weights
from ..memories import memory_matrix
from ..response import frequency_responses, impulse_responses
from ..tree import Row
from .style import APPROXIMATION, COLOURS, frequency_octaves, level_colours, new_axes, octaves, styled


def scales(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[str, int, np.ndarray]]:
    """What the fading memory is made of: (name, level, response) of b_1, ..., b_J and a_J, fine to coarse.

    Examples
    --------
    >>> [name for name, _, _ in scales(impulse_responses(np.ones(2), np.ones(2), depth=2))]
    ['$b_{1}$', '$b_{2}$', '$a_{2}$']
    """
    J = len(pairs)
    details = [(f"$b_{{{i}}}$", i, pair[1]) for i, pair in enumerate(pairs, start=1)]
    return [*details, (f"$a_{{{J}}}$", J, pairs[-1][0])]


@styled
def plot_impulse_responses(h0: np.ndarray, h1: np.ndarray, depth: int, ax: Axes | None = None, *, title: str = "") -> Axes:
    """The impulse response of each scale, one above the other, coarse at the top, each divided by its largest magnitude.

    The axis of lags is logarithmic and counts from 1, the newest sample. Each level sees about one octave further.

    Parameters
    ----------
    h0, h1 : arrays [K], lag order (for a layer, one channel: `params["h0"][d]`), or untied [J, K]
    depth : int, J

    Examples
    --------
    >>> ax = plot_impulse_responses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['$b_{1}$', '$b_{2}$', '$a_{2}$']
    """
    ax = ax if ax is not None else new_axes(9, 1.0 + 0.5 * (depth + 1))
    rows = scales([tuple(c.reshape(-1) for c in pair) for pair in impulse_responses(*one_channel(h0, h1), depth)])
    colours = [*level_colours(depth), APPROXIMATION]
    for r, (name, _, response) in enumerate(rows):
        height = 0.42 * response / max(abs(response).max(), np.finfo(float).tiny)
        lags = 1 + np.arange(len(response))
        ax.axhline(r, color=COLOURS["light"], lw=0.8, zorder=1)
        ax.fill_between(lags, r, r + height, step="mid", color=colours[r], alpha=0.35, lw=0, zorder=2)
        ax.plot(lags, r + height, drawstyle="steps-mid", color=colours[r], lw=1.6, label=name, zorder=3)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    octaves(ax, len(rows[-1][2]))
    ax.set(xlabel="samples back, t + 1", ylabel="scale, over its largest", title=title, ylim=(-0.6, len(rows) - 0.4))
    return ax


@styled
def plot_frequency_responses(
    h0: np.ndarray, h1: np.ndarray, depth: int, ax: Axes | None = None, *, title: str = "", floor: float = -24.0
) -> Axes:
    """The gain of each scale in decibels over frequency in octaves; the name of each scale stands where its gain is largest.

    Decibels are 20 log10 of a ratio of gains: half is -6 dB, a tenth -20 dB. Each gain is divided by 2^(i/2), as the gain of an
    orthogonal wavelet grows with the level i; 0 dB is the largest.

    Parameters
    ----------
    h0, h1, depth
        As for `plot_impulse_responses`.
    floor : float, dB below which nothing is drawn

    Examples
    --------
    >>> ax = plot_frequency_responses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2)
    >>> [line.get_label() for line in ax.lines]
    ['$b_{1}$', '$b_{2}$', '$a_{2}$']
    """
    ax = ax if ax is not None else new_axes(9, 3.6)
    f = 2.0 ** np.linspace(-depth - 2, -1, 601)  # up to half the sampling rate
    _, pairs = frequency_responses(*one_channel(h0, h1), depth, frequencies=f)
    rows = [(name, level, abs(r).reshape(-1) / 2 ** (level / 2)) for name, level, r in scales(pairs)]
    loudest = max(gain.max() for _, _, gain in rows)
    colours = [*level_colours(depth), APPROXIMATION]
    for r, (name, _, gain) in enumerate(rows):
        decibels = 20 * np.log10(np.maximum(gain / loudest, 1e-12))
        ax.plot(f, decibels, color=colours[r], ls="-" if r < depth else "--", label=name)
        peak = int(decibels.argmax())
        ax.annotate(name, (f[peak], decibels[peak]), (0, 4), textcoords="offset points", ha=side(peak, len(f)), color=colours[r])
    frequency_octaves(ax, depth)
    ax.set(xlabel="frequency (cycles per sample, octaves)", ylabel="gain (dB)", title=title, xlim=(f[0], 0.52), ylim=(floor, 6))
    return ax


def one_channel(h0: np.ndarray, h1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Filters as `response.py` wants them: [K] stays, untied [J, K] of one channel becomes [J, 1, K]."""
    h0, h1 = np.asarray(h0, np.float64), np.asarray(h1, np.float64)
    return (h0, h1) if h0.ndim == 1 else (h0[:, None, :], h1[:, None, :])


def side(index: int, count: int) -> str:
    """Where a name stands beside its point, so that it stays inside the axes."""
    return "left" if index < count // 40 else "right" if index > count - count // 40 else "center"


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
    """The equivalent kernel of one channel, y[n] = sum_t kernel[t] x[n-t], and below it what each scale adds, coarse to fine.

    All rows have one scale, so the tall ones are the scales that matter, and the rows below the kernel sum up to it. The rows of
    one level of a uniform memory are added up. The axis of lags is logarithmic and counts from 1, the newest sample.

    Parameters
    ----------
    h0, h1 : arrays [K], or untied [J, K];  w : array [m];  w_skip : number
        One channel of a layer's parameters.
    tree_select, depth
        As for `multires_conv`.

    Raises
    ------
    TypeError, ValueError
        As `equivalent_kernel`; and if the arrays hold several channels. Choose one, such as ``h0[d], h1[d], w[d], w_skip[d]``.

    Examples
    --------
    >>> ax = plot_kernel(np.array([0.5, 0.5]), np.array([1.0, -1.0]), np.array([1.0, 0.0, 0.0]), 0.0)
    >>> ax.lines[-1].get_ydata()
    array([0.25, 0.25, 0.25, 0.25])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['kernel', '$a_{2}$', '$b_{2}$', '$b_{1}$', 'skip']
    """
    h0, h1, w, w_skip, J = one_layer_channel(h0, h1, w, w_skip, tree_select, depth)
    M, rows = memory_matrix(h0, h1, J, tree_select, len(w))
    parts = parts_by_scale(w[:, None] * M[0], rows, w_skip)
    kernel = sum(parts.values())
    ax = ax if ax is not None else new_axes(9, 1.6 + 0.34 * len(parts))
    largest = max(max(abs(part).max() for part in parts.values()), abs(kernel).max(), np.finfo(float).tiny)
    lags, colours = 1 + np.arange(len(kernel)), level_colours(J)
    for n, ((kind, level), part) in enumerate(parts.items(), start=1):
        colour = {"skip": COLOURS["grey"], "a": APPROXIMATION}.get(kind, colours[level - 1])
        draw_steps(ax, lags, part, -1.1 * n * largest, colour, scale_name(kind, level))
    draw_steps(ax, lags, kernel, 0.0, COLOURS["black"], "kernel")
    ax.set_yticks([-1.1 * n * largest for n in range(len(parts) + 1)], ["kernel", *(scale_name(*key) for key in parts)])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    octaves(ax, len(kernel))
    ax.set(xlabel="samples back, t + 1", title=title, ylim=(-1.1 * (len(parts) + 0.5) * largest, 1.1 * largest))
    scale_bar(ax, largest)
    return ax


def parts_by_scale(by_row: np.ndarray, rows: list[Row], w_skip: float) -> dict[tuple[str, int], np.ndarray]:
    """What each scale adds to the kernel, coarse to fine, the skip weight last: {(kind, level): weights of x[n-t]}."""
    parts: dict[tuple[str, int], np.ndarray] = {}
    for part, row in zip(by_row, rows, strict=True):
        if row.kind != "unused":
            key = row.kind, row.level
            parts[key] = parts[key] + part if key in parts else part
    return parts | {("skip", 0): w_skip * np.eye(1, by_row.shape[1])[0]}


def scale_name(kind: str, level: int) -> str:
    """The name of a scale as mathematics, or "skip"."""
    return "skip" if kind == "skip" else f"${kind}_{{{level}}}$"


def draw_steps(ax: Axes, lags: np.ndarray, values: np.ndarray, baseline: float, colour: str, name: str) -> None:
    """Values as filled steps around their own baseline, as far as they are not zero."""
    last = int(np.flatnonzero(values)[-1]) + 2 if values.any() else 2
    lags, heights = lags[:last], baseline + values[:last]
    ax.axhline(baseline, color=COLOURS["light"], lw=0.8, zorder=1, label="_baseline")
    if name != "kernel":
        ax.fill_between(lags, baseline, heights, step="mid", color=colour, alpha=0.35, lw=0, zorder=2)
    ax.plot(lags, heights, drawstyle="steps-mid", lw=1.6, color=colour, label=name, zorder=3)


def scale_bar(ax: Axes, largest: float) -> None:
    """A vertical bar on the right whose height is a round weight, with that weight beside it."""
    digit = 10.0 ** np.floor(np.log10(largest))
    height = digit * max(n for n in (1, 2, 5) if n * digit <= largest)
    place = ax.get_xlim()[1]
    ax.annotate(f" weight {height:g}", (place, height / 2), va="center", ha="left", fontsize=9, annotation_clip=False)
    ax.vlines(place, 0, height, color=COLOURS["black"], lw=3, clip_on=False)


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
