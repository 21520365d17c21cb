"""The figures of the README and the tutorials, put together from the functions of this room: name -> a function that draws it.

These need no trained network and no measurement; figures that do are in `stored.py`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.figure import Figure

from ..filters import random_filters, wavelet_filters
from ..memories import MEMORIES, forgetting_curve, last_samples_matrix, measured_forgetting, memory_matrix
from ..memories.compare import HORIZON, NAMES, SIZES, MemoryRecord, compare_memories, forgetting_curves
from ..memories.examples import ecg
from ..signals.denoise import LiveDenoiser, universal_threshold
from ..tree import memory
from .block import plot_block
from .filters import plot_gain, plot_taps
from .live import plot_live
from .memories import plot_error_by_cost, plot_error_by_lag, plot_forgetting_curves
from .memory import plot_forgetting, plot_memory, plot_recovered, plot_signal
from .responses import plot_frequency_responses, plot_impulse_responses, plot_kernel
from .style import WIDTH, new_figure, styled
from .tree import key_below, lags_key, plot_lags, plot_tree, tree_key

LIVE_WAVELET, LIVE_LEVEL = "sym4", 4
ECG_DEPTH, ECG_TIME = 9, 860  # Haar: 512 samples, a beat and a half; and a time just after a beat


def example_filters() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Filters worth comparing: {name: (h0, h1)}."""
    h0, h1 = random_filters(np.random.default_rng(0), D=3, K=4, dtype="float64")
    return {
        "haar": wavelet_filters("haar"),
        "db4": wavelet_filters("db4"),
        "db4, minimum delay": wavelet_filters("db4", "minimum_delay"),
        "random, K = 4": (h0[0], h1[0]),
    }


def three_memories(depth: int = ECG_DEPTH) -> dict[str, np.ndarray]:
    """The matrices M of three ways to remember with m = depth + 1 numbers: {name: [m, R]}, with Haar's filters."""
    h, m = wavelet_filters("haar"), depth + 1
    fading = memory_matrix(*h, depth)[0]
    uniform = memory_matrix(*h, depth, "uniform", m)[0]
    return {"fading": fading, "uniform": uniform, f"last {m} samples": last_samples_matrix(m, fading.shape[1])}


@styled
def tree_figure() -> Figure:
    """The tree with the memory outlined, for both TreeSelects."""
    figure, ((left, right),) = new_figure(WIDTH, 4.2, columns=2, sharey=True)
    plot_tree(4, 2, ax=left)
    plot_tree(4, 2, "uniform", 5, ax=right).set_ylabel("")
    key_below(figure, tree_key())
    return figure


@styled
def lags_figure() -> Figure:
    """The receptive field of each row of the memory."""
    figure, ((left, right),) = new_figure(WIDTH, 3.5, columns=2)
    plot_lags(4, 2, ax=left)
    plot_lags(4, 2, "uniform", 5, ax=right).set_ylabel("")
    key_below(figure, lags_key(2))
    return figure


@styled
def filters_figure() -> Figure:
    """Four pairs of filters, in time and in frequency."""
    filters = example_filters()
    figure, axes = new_figure(WIDTH, 5.0, rows=2, columns=len(filters), sharey="row")
    for column, (name, pair) in zip(axes.T, filters.items(), strict=True):
        plot_taps(*pair, column[0], title=name)
        plot_gain(*pair, column[1])
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def responses_figure() -> Figure:
    """What each scale sees, over lag and over frequency, for wavelets and for random filters."""
    filters = {name: pair for name, pair in example_filters().items() if name != "db4"}
    figure, axes = new_figure(WIDTH, 7.4, rows=len(filters), columns=2)
    for row, (name, pair) in zip(axes, filters.items(), strict=True):
        plot_impulse_responses(*pair, 5, row[0], title=name)
        plot_frequency_responses(*pair, 5, row[1])
    axes[0, 1].set_title("gain")
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    return figure


@styled
def memory_figure() -> Figure:
    """An electrocardiogram and the memory of it, over time."""
    figure, ((above,), (below,)) = new_figure(WIDTH, 5.6, rows=2, sharex=True, height_ratios=[1, 2.2])
    plot_signal(ecg(), above, label="ECG (raw units)").set_xlabel("")
    plot_memory(*memory(ecg(), *wavelet_filters("haar"), ECG_DEPTH), below)
    return figure


@styled
def recovered_figure() -> Figure:
    """What three memories of equal size still hold of the past."""
    memories = three_memories()
    figure, axes = new_figure(WIDTH, 6.6, rows=3, columns=2, sharex="col", sharey=True, width_ratios=[2, 1])
    for (wide, near), (name, M) in zip(axes, memories.items(), strict=True):
        plot_recovered(ecg(), ECG_TIME, M, wide, title=f"{name}: {M.shape[0]} numbers for {M.shape[1]} samples")
        plot_recovered(ecg(), ECG_TIME, M, near, window=40, title="the newest 40")
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    axes[1, 0].set_ylabel("ECG (raw units)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@styled
def forgetting_figure() -> Figure:
    """Forgetting: for white noise (in theory) and on the electrocardiogram (measured)."""
    memories = three_memories()
    figure, ((above,), (below,)) = new_figure(WIDTH, 5.8, rows=2, sharex=True)
    plot_forgetting({name: forgetting_curve(M) for name, M in memories.items()}, above)
    above.set(title="white noise, computed", xlabel="", ylabel="share of x[n-t] known")
    plot_forgetting({name: measured_forgetting(ecg(), M) for name, M in memories.items()}, below)
    below.set(title="the electrocardiogram, measured", ylabel="share of x[n-t] known")
    below.get_legend().remove()
    return figure


@styled
def kernel_figure() -> Figure:
    """The long kernel of a layer of 24 numbers, and the scales it is the sum of."""
    w = np.random.default_rng(0).uniform(-1, 1, 8) / 3
    figure, ((ax,),) = new_figure(WIDTH, 4.6)
    plot_kernel(
        *wavelet_filters("db4", "minimum_delay"),
        w,
        0.1,
        ax,
        title="the one long kernel of a layer, and the scales that add up to it",
    )
    return figure


@cache
def compared() -> list[MemoryRecord]:
    """`compare_memories` with its defaults, computed once for the figures that show it."""
    return compare_memories()


@styled
def memories_figure() -> Figure:
    """How memories of 10, 32 and 64 numbers forget white noise."""
    figure, axes = new_figure(WIDTH, 8.2, rows=len(SIZES), sharex=True)
    for (ax,), m in zip(axes, SIZES, strict=True):
        curves = forgetting_curves(m)
        shown = {name: curves[MEMORIES[name].title] for name in NAMES}
        plot_forgetting_curves(shown, ax, title=f"{m} numbers: every curve sums to at most {m}")
        ax.set_xlabel("" if m != SIZES[-1] else ax.get_xlabel())
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def memory_errors_figure(m: int) -> Figure:
    """The error of the recovered past against the lag, for five signals."""
    records = [r for r in compared() if r.size == m and (r.way == "least squares" or r.memory == "legt")]
    signals = list(dict.fromkeys(r.signal for r in records))
    figure, axes = new_figure(WIDTH, 6.8, rows=3, columns=2, sharex=True, sharey=True)
    for n, (ax, signal) in enumerate(zip(axes.flat, signals, strict=False)):
        plot_error_by_lag([r for r in records if r.signal == signal], ax, title=signal)
        ax.set(xlabel="" if n < 3 else ax.get_xlabel(), ylabel="" if n % 2 else ax.get_ylabel())
    axes[1, 1].tick_params(labelbottom=True)
    axes[2, 1].axis("off")
    marks, names = axes[0, 0].get_legend_handles_labels()
    axes[2, 1].legend(marks, names, loc="center", fontsize=11)
    figure.suptitle(f"m = {m}: the last {HORIZON} samples, recovered from {m} numbers", x=0.01, ha="left", fontsize=12)
    return figure


@styled
def memory_costs_figure() -> Figure:
    """What the recovered past costs: error against operations at m = 10, 32 and 64, for a smooth signal, a real one and steps."""
    figure, axes = new_figure(WIDTH, 4.3, columns=3, sharey=True)
    panels = {"band-limited noise": "smooth: all 512 samples", "ECG": "ECG: all 512 samples", "steps": "steps: the newest 32"}
    for n, (ax, (signal, title)) in enumerate(zip(axes[0], panels.items(), strict=True)):
        records = [r for r in compared() if r.signal == signal and (r.way == "least squares" or r.memory == "legt")]
        plot_error_by_cost(records, ax, newest=signal == "steps", title=title)
        ax.set_ylabel("" if n else ax.get_ylabel())
    key = "the marks grow with m: " + ", ".join(map(str, SIZES))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, title=key)
    return figure


def live_example() -> dict[str, np.ndarray | int]:
    """The electrocardiogram with noise, the live denoised one, PyWavelets' offline result, and the delay in samples.

    The threshold is estimated on the first 256 samples.

    Examples
    --------
    >>> example = live_example()
    >>> example["delay"], example["live"].shape
    (105, (1024,))
    """
    import pywt

    clean = ecg()
    x = clean + 25 * np.random.default_rng(0).standard_normal(len(clean))
    threshold = universal_threshold(x[:256], LIVE_WAVELET)
    denoiser = LiveDenoiser(LIVE_WAVELET, LIVE_LEVEL, threshold)
    live = np.array([denoiser.step(x_n) for x_n in x])
    coeffs = [(a, pywt.threshold(d, threshold)) for a, d in pywt.swt(x, LIVE_WAVELET, LIVE_LEVEL)]
    return {"clean": clean, "noisy": x, "live": live, "offline": pywt.iswt(coeffs, LIVE_WAVELET), "delay": denoiser.delay}


@styled
def live_figure() -> Figure:
    """The noisy electrocardiogram, and what the live denoiser and PyWavelets' offline transform make of it."""
    return plot_live(**live_example())


FIGURES = {
    "tree": ("svg", tree_figure),
    "lags": ("svg", lags_figure),
    "filters": ("svg", filters_figure),
    "responses": ("svg", responses_figure),
    "memory": ("png", memory_figure),
    "recovered": ("svg", recovered_figure),
    "forgetting": ("svg", forgetting_figure),
    "kernel": ("svg", kernel_figure),
    "block": ("svg", lambda: plot_block().figure),
    "memories": ("png", memories_figure),
    **{f"memory_errors_{m}": ("svg", lambda m=m: memory_errors_figure(m)) for m in SIZES},
    "memory_costs": ("png", memory_costs_figure),
    "live": ("png", live_figure),
}
