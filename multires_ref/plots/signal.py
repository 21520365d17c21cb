"""The signal that the pictures of a model are drawn for: the user's, an example of the task, or a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ..base.checks import check_shape
from ..base.signals import read_signal
from ..network import Model, NetworkConfig
from ..network.model import check_tokens, encode
from ..tree import delay
from .style import COLOURS, CYCLE, styled

LONGEST = 2**20  # samples: a picture of 900 pixels shows no more, and the memory z_n of more would need too much space


class Signal(NamedTuple):
    """x [d_input, L] (tokens: whole numbers [L]), the title of its pictures, and its samples per second (None: not known)."""

    x: np.ndarray
    title: str
    rate: float | None = None


def check_signal(x: np.ndarray, config: NetworkConfig, where: str) -> np.ndarray:
    """A signal [C, L] as the network takes it: [d_input, L], or for an embedding tokens [L].

    Raises
    ------
    ValueError
        If the channels are not the network's, the numbers are no tokens where it takes tokens, or the signal is too long.

    Examples
    --------
    >>> check_signal(np.ones((2, 8)), NetworkConfig(1, 3, 8, 2), "two.npy")
    Traceback (most recent call last):
        ...
    ValueError: two.npy must have 1 channel, as this network; it has 2 channels of 8 samples
    """
    C, L = x.shape
    wanted = 1 if config.encoder == "embedding" else config.d_input
    if wanted != C:
        turned = " (transposed? arrays are [channels, time])" if wanted == L else ""
        channels = "1 channel" if wanted == 1 else f"{wanted} channels"
        raise ValueError(f"{where} must have {channels}, as this network; it has {C} channels of {L} samples{turned}")
    if L > LONGEST:
        raise ValueError(f"{where} must have at most {LONGEST:,} samples to be drawn; it has {L:,}: give a part of it")
    if config.encoder != "embedding":
        return x
    if (x != np.round(x)).any():
        raise ValueError(f"{where} must hold tokens, whole numbers from 0 to {config.d_input - 1}, as this network takes them")
    return check_tokens(np.round(x).astype(np.int64), config.d_input)[0]


def signal_in(file: str | Path, rate: float | None, config: NetworkConfig) -> Signal:
    """The user's signal in a file (see `base.signals.read_signal`), if it fits the network."""
    x, rate = read_signal(file, rate)
    return Signal(check_signal(x, config, str(file)), Path(file).name, rate)


def stand_in(config: NetworkConfig) -> Signal:
    """An electrocardiogram over its standard deviation in every channel; for an embedding, random tokens. The title says so."""
    from ..memories.examples import ecg

    if config.encoder == "embedding":
        tokens = np.random.default_rng(0).integers(config.d_input, size=min(config.max_length, 1024))
        return Signal(tokens, "stand-in: random tokens, no data of this network")
    x = ecg()
    return Signal(np.tile(x / x.std(), (config.d_input, 1)), "stand-in: an electrocardiogram, no data of this network")


def fed_to_layer_1(model: Model, x: np.ndarray) -> np.ndarray:
    """What the encoder makes of x, the input of the first layer: [d_model, L], float64.

    Examples
    --------
    >>> model = Model.init(NetworkConfig(2, 3, 8, 2, max_length=16), np.random.default_rng(0))
    >>> fed_to_layer_1(model, np.ones((2, 16))).shape
    (8, 16)
    """
    config = model.config
    params: dict[str, Any] = {name: np.asarray(a, np.float64) for name, a in model.params["encoder"].items()}
    x = np.asarray(x)[None] if config.encoder == "embedding" else np.asarray(x, np.float64)[None]
    if config.encoder != "embedding":
        check_shape("x", x, (1, config.d_input, None), "[1, d_input, L]")
    if config.kind == "autoregressive":
        x = delay(x, 1)  # at time n the network sees only the samples before n
    return np.asarray(encode(config, params, x))[0]


@styled
def plot_channels(signal: Signal, ax: Axes) -> Axes:
    """A signal over time: tokens as points; up to three channels together, with a legend; more channels one above the other."""
    from .sequences import draw_traces

    x = signal.x
    if x.ndim == 1:
        ax.plot(x, "|", ms=6, color=COLOURS["black"])
        ax.set_ylabel("token")
    elif len(x) <= 3:
        for c, (channel, colour) in enumerate(zip(x, (COLOURS["black"], *CYCLE), strict=False)):
            ax.plot(channel, color=colour, lw=1.2, label=f"channel {c}")
        ax.set_ylabel("amplitude")
        if len(x) > 1:
            ax.legend(ncols=len(x), loc="lower right", bbox_to_anchor=(1, 0.97))
    else:
        draw_traces(ax, x)
        ax.tick_params(axis="y", labelsize=7)
    return ax


def seconds_beside(ax: Axes, rate: float | None) -> None:
    """Name the time axis in samples, and where the sampling rate is known in seconds too."""
    if rate is not None:
        ax.xaxis.set_major_formatter(lambda n, _: f"{n:g}\n{n / rate:.4g} s")
        ax.set_xlabel(f"time n (samples, and seconds at {rate:g} samples a second)")
