"""The pair of filters that the page's settings choose, the filters that undo it, and by how much reconstruction fails.

One level of the undecimated tree and its inverse (`transform.py`) return x late by K - 1 samples if and only if

    T(z) = (G0(z) H0(z) + G1(z) H1(z)) / 2 = z^-(K-1).

Nothing is left out of the coefficients, so no aliasing has to cancel: this one condition is enough. At level i the filters are
H(z^(2^(i-1))), so that J levels return x with the gain T_J, which at the frequency f is

    T_0(f) = 1,    T_j(f) = (G0(f) H0(f) T_{j-1}(2 f) + G1(f) H1(f)) e^(2 pi i f (K-1)) / 2.

If T is exact, so is every T_J. How far the tree is from it is max_f |T_J(f) - 1|: the largest error of the returned signal over
the size of the signal. For filters reversed in time, G(f) = e^(-2 pi i f (K-1)) conj H(f), the condition reads
|H0(f)|^2 + |H1(f)|^2 = 2, which every orthonormal pair fulfils, and other pairs too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..base.layer_checks import as_wavelet
from ..filters import random_filters, wavelet_filters
from .state import State

PERFECT = 1e-6  # PyWavelets' tables of taps are rounded: their deviations stay below this, except dmey's, which is no exact pair
FREQUENCIES = 1024  # a power of two: the double of each frequency on the grid is on the grid


class Reconstruction(NamedTuple):
    """By which synthesis filters the tree is inverted, and the error of what they give back, for J levels."""

    by: str
    g0: np.ndarray
    g1: np.ndarray
    errors: np.ndarray  # |T_J(f) - 1| at f = 0, 1/N, ..., 1/2

    @property
    def error(self) -> float:
        """The largest error."""
        return float(self.errors.max())

    @property
    def frequency(self) -> float:
        """Where it is largest, in cycles per sample."""
        return int(self.errors.argmax()) / FREQUENCIES

    @property
    def perfect(self) -> bool:
        """Whether nothing but the rounding of PyWavelets' tables is missing."""
        return self.error <= PERFECT

    def summary(self) -> dict[str, object]:
        """What is said of it in words and numbers."""
        return {"error": self.error, "frequency": self.frequency, "by": self.by, "perfect": self.perfect}

    def lines(self, h0: np.ndarray, h1: np.ndarray) -> list[str]:
        """The lines of Python that make g0 and g1 from h0 and h1."""
        if np.array_equal(self.g0, h0[::-1]) and np.array_equal(self.g1, h1[::-1]):
            return ["g0, g1 = h0[::-1], h1[::-1]"]
        return [f"{name} = np.array({g.tolist()})  # of {self.by}" for name, g in (("g0", self.g0), ("g1", self.g1))]


def filters_of(state: State) -> tuple[np.ndarray, np.ndarray]:
    """h0, h1 [K] in lag order, float64."""
    if state.wavelet == "own":
        return np.array(state.h0, float), np.array(state.h1, float)
    if state.wavelet == "random":
        h0, h1 = random_filters(np.random.default_rng(state.seed), 1, state.K, dtype="float64")
        return h0[0], h1[0]
    return wavelet_filters(state.wavelet, state.order)


def taps_of(state: State) -> int:
    """K: of a wavelet the number of its taps, otherwise what is set or given."""
    if state.wavelet in ("own", "random"):
        return len(state.h0) if state.wavelet == "own" else state.K
    return as_wavelet(state.wavelet).dec_len


def filter_lines(state: State) -> list[str]:
    """The lines of Python that make h0 and h1."""
    if state.wavelet == "own":
        return [f"{name} = np.array({list(taps)})" for name, taps in (("h0", state.h0), ("h1", state.h1))]
    if state.wavelet == "random":
        line = f"random_filters(np.random.default_rng({state.seed}), D=1, K={state.K}, dtype='float64')"
        return [f"h0, h1 = (h[0] for h in {line})"]
    order = "" if state.order == "analysis" else f", order={state.order!r}"
    return [f"h0, h1 = wavelet_filters({state.wavelet!r}{order})"]


def synthesis_filters(state: State, h0: np.ndarray, h1: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The synthesis filters that are tried, by name: the wavelet's own, and the analysis filters reversed in time."""
    reversed_pair = {"the same filters reversed in time": (h0[::-1], h1[::-1])}
    name = state.start if state.wavelet == "own" else state.wavelet
    if name in ("", "random") or as_wavelet(name).dec_len != len(h0):
        return reversed_pair
    wavelet = as_wavelet(name)
    own = [np.array(g) for g in (wavelet.rec_lo, wavelet.rec_hi)]
    given = [np.array(h) for h in (wavelet.dec_lo, wavelet.dec_hi)]
    turned = [not np.array_equal(h, g) for h, g in zip(wavelet_filters(name, state.order), given, strict=True)]
    g0, g1 = (g[::-1] if back else g for g, back in zip(own, turned, strict=True))
    return {f"the synthesis filters of {name}": (g0, g1)} | reversed_pair


def gain_error(h0: np.ndarray, h1: np.ndarray, g0: np.ndarray, g1: np.ndarray, depth: int) -> np.ndarray:
    """|T_J(f) - 1| at the frequencies 0, 1/N, ..., 1/2, N = FREQUENCIES: [N / 2 + 1]; above 1/2 it repeats."""
    late = np.exp(2j * np.pi * np.arange(FREQUENCIES) / FREQUENCIES * (len(h0) - 1))
    low, high = (np.fft.fft(h, FREQUENCIES) * np.fft.fft(g, FREQUENCIES) * late / 2 for h, g in ((h0, g0), (h1, g1)))
    twice = 2 * np.arange(FREQUENCIES) % FREQUENCIES
    T = np.ones(FREQUENCIES)
    for _ in range(depth):
        T = low * T[twice] + high
    return abs(T - 1)[: FREQUENCIES // 2 + 1]


def reconstruction(state: State) -> Reconstruction:
    """How well the tree of these settings is undone, by the better of the synthesis filters that are tried.

    Examples
    --------
    >>> reconstruction(State(wavelet="db4")).perfect
    True
    >>> round(reconstruction(State(wavelet="own", h0=(1.0, 1.0), h1=(-1.0, 1.0), depth=1)).error, 9)  # twice too large
    1.0
    """
    h0, h1 = filters_of(state)
    found = []
    for by, (g0, g1) in synthesis_filters(state, h0, h1).items():
        found.append(Reconstruction(by, g0, g1, gain_error(h0, h1, g0, g1, state.depth)))
    return min(found, key=lambda r: r.error)
