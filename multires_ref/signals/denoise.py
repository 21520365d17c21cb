"""A live signal without its noise: its details are shrunk by a threshold, and the causal inverse gives the signal back, late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base.arrays import Array, family
from ..base.checks import check_choice
from ..base.layer_checks import Wavelet, as_signal
from ..tree import dilated_conv
from .filter_bank import as_filter_bank
from .inverse_stream import CausalISWT
from .rings import Saved
from .stream import CausalSWT

MODES = ("soft", "hard")
OF_NORMAL = 0.6744897501960817  # the median of the magnitude of a standard normal variable


def universal_threshold(x: Array, wavelet: str | Wavelet | tuple[Array, ...]) -> Any:
    """sigma sqrt(2 log N), sigma = median `|d_1|` / 0.6745: below it lie almost all details of white noise.

    The details of white noise have its standard deviation at every level if the wavelet is orthogonal (and `norm` False). The
    median hardly sees the few large details of the signal itself.

    Parameters
    ----------
    x : array `[*shape, N]`; the stretch that the noise is estimated on, longer than the filters; for example the first seconds
    wavelet : as for `causal_swt`

    Returns
    -------
    float64 `[*shape]`; a number for one signal

    Raises
    ------
    TypeError, ValueError
        For complex or empty x, one that is not longer than the filters, or that is not finite.

    Notes
    -----
    d_1 is the finest detail; its first F - 1 values, which see the zeros before the beginning, are left out.
    Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 1994.

    Examples
    --------
    >>> noise = 0.5 * np.random.default_rng(0).standard_normal(1000)
    >>> round(universal_threshold(noise, "db4"), 2), round(0.5 * float(np.sqrt(2 * np.log(1000))), 2)
    (1.86, 1.86)
    """
    bank, x = as_filter_bank(wavelet), as_signal(x)
    N, F = x.shape[-1], bank.taps
    if family(x) != "numpy":
        raise TypeError("x must be a NumPy array or a list")
    if N <= F or not np.isfinite(x).all():
        raise ValueError(f"x must hold more than {F} finite samples [*shape, N], more than the wavelet has taps; got {N}")
    d = dilated_conv(x.astype(np.float64), bank.h1, 1)[..., F - 1 :]
    t = np.median(np.abs(d), axis=-1) / OF_NORMAL * np.sqrt(2 * np.log(N))
    return float(t) if t.ndim == 0 else t


def shrink(d: Array, threshold: Array, mode: str = "soft") -> Array:
    """Details after a threshold t: d (1 - t / |d|) where |d| > t ("soft") or d ("hard"), and 0 elsewhere, as `pywt.threshold`.

    Examples
    --------
    >>> shrink(np.array([-3.0, 1.0, 2.0]), 1.5), shrink(np.array([-3.0, 1.0, 2.0]), 1.5, "hard")
    (array([-1.5,  0. ,  0.5]), array([-3.,  0.,  2.]))
    """
    size = np.abs(d)
    if mode == "hard":
        return d * (~(size < threshold))  # keeps NaN
    return d * (np.maximum(size - threshold, 0) / np.where(size == 0, 1, size))


class LiveDenoiser(Saved):
    """Takes a noisy signal sample by sample or in chunks, and returns it without its noise, `delay` samples late.

        (a_J, d_J), ..., (a_1, d_1) = causal_swt(x);  d_j shrunk by the threshold;  y[n] = causal_iswt(...)

    Parameters
    ----------
    wavelet : str, pywt.Wavelet, or your own filters (h0, h1, g0, g1)
    level : int, J
    threshold : number, or array that broadcasts to `[J, *shape]`, d_J first; for example `universal_threshold` of a stretch
    shape : tuple of int; of one sample
    mode : "soft" or "hard"
    dtype, engine : as for `CausalSWT`

    Attributes
    ----------
    delay : int; (2^J - 1)(F - 1) samples

    Raises
    ------
    TypeError, ValueError, ImportError
        As for `CausalISWT`, and for a threshold that is negative, not finite, or has another shape.

    Notes
    -----
    Away from both ends the result is what PyWavelets gives offline, `pywt.iswt` of the coefficients of `pywt.swt` after
    `pywt.threshold`, only later. At the ends `pywt.swt` wraps around, and here there are zeros before the beginning.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = np.repeat([0.0, 4.0, 1.0], 300) + 0.5 * rng.standard_normal(900)  # steps and noise
    >>> denoiser = LiveDenoiser("haar", 4, universal_threshold(x[:200], "haar"))
    >>> y = np.array([denoiser.step(x_n) for x_n in x])
    >>> late = denoiser.delay  # y[n] is the estimate of x[n - late]
    >>> late, round(float(x[400:500].std()), 1), round(float(y[400 + late : 500 + late].std()), 1)
    (15, 0.5, 0.1)
    """

    def __init__(
        self,
        wavelet: str | Wavelet | tuple[Array, ...],
        level: int,
        threshold: Array,
        shape: Sequence[int] = (),
        *,
        mode: str = "soft",
        dtype: str = "float64",
        engine: str = "auto",
    ) -> None:
        self.mode = check_choice("mode", mode, MODES)
        self.forward = CausalSWT(wavelet, level, shape, dtype=dtype, engine=engine)
        self.backward = CausalISWT(wavelet, level, shape, dtype=dtype, engine=engine)
        self.threshold = self._check_threshold(threshold)

    def _check_threshold(self, threshold: Array) -> np.ndarray:
        """One threshold for each level and channel, [J, *shape], d_J first."""
        forward, t = self.forward, np.asarray(threshold, dtype=self.forward.ring.dtype)
        if not (np.isfinite(t).all() and (t >= 0).all()):
            raise ValueError(f"threshold must be finite and not negative; got {str(threshold)[:80]}")
        try:
            return np.broadcast_to(t, (forward.level, *forward.shape)).copy()
        except ValueError:
            wanted = (forward.level, *forward.shape)
            raise ValueError(f"threshold must broadcast to [level, *shape] = {wanted}; got shape {t.shape}") from None

    @property
    def delay(self) -> int:
        """(2^J - 1)(F - 1)."""
        return self.backward.delay

    def step(self, x: Array) -> Array:
        """Take the next sample `[*shape]`; return the estimate of x[n - delay], `[*shape]`."""
        pairs = self.forward.step(x)
        details = [shrink(d, t, self.mode) for (_, d), t in zip(pairs, self.threshold, strict=True)]
        return self.backward.step([pairs[0][0], *details])

    def push(self, x: Array) -> Array:
        """Take the next T samples `[*shape, T]`; return the estimates of x[n - delay] for these times n, `[*shape, T]`."""
        pairs = self.forward.push(x)
        details = [shrink(d, t[..., None], self.mode) for (_, d), t in zip(pairs, self.threshold, strict=True)]
        return self.backward.push([pairs[0][0], *details])

    def reset(self) -> None:
        """Forget everything: the next sample is the first."""
        self.forward.reset()
        self.backward.reset()

    def state(self) -> dict[str, np.ndarray]:
        """All that the past has left, as a dict of arrays (copies)."""
        parts = {"forward": self.forward, "backward": self.backward}
        return {f"{part}.{name}": array for part, stream in parts.items() for name, array in stream.state().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from the `state()` of a denoiser with the same settings."""
        names = list(self.state())
        if sorted(state) != sorted(names):
            raise ValueError(f"state must hold {names}; got {sorted(state)}")
        before = self.state()
        try:
            for part, stream in (("forward", self.forward), ("backward", self.backward)):
                stream.restore({name: state[f"{part}.{name}"] for name in ("ring", "time")})
        except (TypeError, ValueError):
            self.restore(before)
            raise

    def _about(self) -> dict[str, Any]:
        about = {"kind": "LiveDenoiser", "mode": self.mode, "threshold": self.threshold.tolist()}
        return about | {"forward": self.forward._about(), "backward": self.backward._about()}
