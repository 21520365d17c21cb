"""Signals on which memories are compared: an electrocardiogram, band-limited noise, 1/f noise, a chirp, and steps."""

from __future__ import annotations

import numpy as np

from ..base.checks import check_int, check_rng

BAND = 1 / 64  # cycles per sample: where the band-limited noise ends
MEAN_STEP = 64  # samples between two jumps of the steps, on average


def ecg() -> np.ndarray:
    """PyWavelets' electrocardiogram, 1,024 samples, its mean removed.

    Examples
    --------
    >>> ecg().shape
    (1024,)
    """
    import pywt

    x = pywt.data.ecg().astype("float64")
    return x - x.mean()


def coloured_noise(rng: np.random.Generator, length: int, power: float, band: float = 0.5) -> np.ndarray:
    """Noise whose spectrum falls like f^-power up to `band` cycles per sample and is 0 above it; mean 0, variance 1. [length]

    It is made in the frequency domain, with the constant left out.

    Examples
    --------
    >>> x = coloured_noise(np.random.default_rng(0), 4096, power=0.0, band=1 / 8)
    >>> bool(abs(np.fft.rfft(x)[4096 // 8 + 1 :]).max() < 1e-9)
    True
    """
    f = np.fft.rfftfreq(check_int("length", length, 4))
    spectrum = check_rng(rng).standard_normal((2, len(f))).T @ (1, 1j)
    inside = (f > 0) & (f <= band)
    spectrum = np.where(inside, spectrum * np.where(inside, f, 1.0) ** (-power / 2), 0)
    x = np.fft.irfft(spectrum, length)
    return x / x.std()


def chirp(length: int, first: float = 1 / 512, last: float = 1 / 32) -> np.ndarray:
    """A sine whose frequency rises evenly from `first` to `last` cycles per sample. [length]"""
    n = np.arange(length)
    return np.sin(2 * np.pi * (first * n + (last - first) * n**2 / (2 * length)))


def steps(rng: np.random.Generator, length: int) -> np.ndarray:
    """A level that jumps to a new normal number with probability 1 / MEAN_STEP at every sample. [length]"""
    jumps = check_rng(rng).random(length) < 1 / MEAN_STEP
    return rng.standard_normal(length)[np.maximum.accumulate(np.where(jumps, np.arange(length), 0))]


def example_signals(rng: np.random.Generator, length: int = 2048) -> dict[str, np.ndarray]:
    """The signals by name, float64: the electrocardiogram has its own 1,024 samples, the others `length`.

    Examples
    --------
    >>> {name: x.shape for name, x in example_signals(np.random.default_rng(0), 600).items()}
    {'ECG': (1024,), 'band-limited noise': (600,), '1/f noise': (600,), 'chirp': (600,), 'steps': (600,)}
    """
    return {
        "ECG": ecg(),
        "band-limited noise": coloured_noise(rng, length, 0.0, BAND),
        "1/f noise": coloured_noise(rng, length, 1.0),
        "chirp": chirp(length),
        "steps": steps(rng, length),
    }
