"""A live signal: what comes in, what the denoiser gives out, how late it is, and what PyWavelets gives offline."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import COLOURS, WIDTH, new_figure, styled


@styled
def plot_live(
    noisy: np.ndarray,
    live: np.ndarray,
    offline: np.ndarray,
    delay: int,
    clean: np.ndarray | None = None,
    *,
    ylabel: str = "ECG (raw units)",
) -> Figure:
    """Above, the signal as it comes in and the live result as it comes out; below, moved back by the delay, beside `offline`.

    Parameters
    ----------
    noisy, live, offline : arrays [L]; live[n] is the estimate of noisy[n - delay]
    delay : int, samples
    clean : array [L] or None; the signal without its noise, where it is known

    Examples
    --------
    >>> x = np.sin(np.arange(50.0))
    >>> figure = plot_live(x, np.append(np.zeros(3), x[:-3]), x, 3)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['noisy signal', 'live denoised, as it comes out']
    """
    figure, ((above,), (below,)) = new_figure(WIDTH, 6.0, rows=2, sharex=True, sharey=True)
    n = np.arange(len(noisy))
    above.plot(n, noisy, color=COLOURS["grey"], lw=0.8, label="noisy signal")
    above.plot(n, live, color=COLOURS["blue"], lw=1.6, label="live denoised, as it comes out")
    above.set(title=f"live: the result is {delay} samples late", ylabel=ylabel)
    mark_delay(above, noisy, delay)
    if clean is not None:
        below.plot(n, clean, color=COLOURS["grey"], lw=0.8, label="without noise")
    below.plot(n, offline, color=COLOURS["orange"], lw=4, label="offline: pywt.swt, pywt.threshold, pywt.iswt")
    below.plot(n[: len(n) - delay], live[delay:], color=COLOURS["blue"], lw=1.4, label="live denoised, moved back")
    below.set(title="moved back by the delay: the same numbers", xlabel="time n (samples)", ylabel=ylabel)
    below.set_xlim(-0.5, len(noisy) - 0.5)
    for ax in (above, below):
        ax.margins(y=0.25)
        ax.legend(ncols=3, loc="lower left")
    return figure


def mark_delay(ax: Axes, noisy: np.ndarray, delay: int) -> None:
    """An arrow as long as the delay, from the highest peak in the middle of the signal."""
    quarter = len(noisy) // 4
    peak = quarter + int(np.argmax(noisy[quarter : 3 * quarter]))
    height = 1.06 * float(noisy[peak])
    ax.annotate("", (peak + delay, height), (peak, height), arrowprops={"arrowstyle": "->", "color": COLOURS["red"], "lw": 1.6})
    ax.text(peak + delay / 2, height, f"delay {delay}", color=COLOURS["red"], ha="center", va="bottom")
