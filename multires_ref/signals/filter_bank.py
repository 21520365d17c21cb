"""The two filters of a transform and, for its inverse, the two of reconstruction: from a wavelet, or your own."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from ..base.arrays import Array, family
from ..base.checks import check_bool
from ..base.layer_checks import Wavelet, as_signal, as_wavelet

PERFECT = 1e-3  # most that filters of your own may reconstruct wrongly: a wrong order or sign is far beyond it


class FilterBank(NamedTuple):
    """Filters [F] in lag order, float64: h0, h1 of the transform, g0, g1 of its inverse (None: not given)."""

    h0: np.ndarray
    h1: np.ndarray
    g0: np.ndarray | None
    g1: np.ndarray | None

    @property
    def taps(self) -> int:
        """F."""
        return len(self.h0)


def as_filter_bank(wavelet: str | Wavelet | tuple[Array, ...], norm: bool = False, inverse: bool = False) -> FilterBank:
    """The filters of a wavelet, by name or as a `pywt.Wavelet`, or your own: (h0, h1), or (h0, h1, g0, g1) for both ways.

    Parameters
    ----------
    wavelet : str, pywt.Wavelet, or a tuple or list of 2 or 4 filters [F], F of at least 2, in lag order
    norm : bool; divide h0, h1 by sqrt 2 and multiply g0, g1 by it, as `pywt.swt(norm=True)` does
    inverse : bool; whether g0 and g1 are needed

    Raises
    ------
    TypeError, ValueError
        For an unknown wavelet, filters that do not fit together, and, with `inverse`, missing ones or ones that do not
        reconstruct: (h0 * g0 + h1 * g1) / 2 must be 1 at the lag F - 1 and 0 elsewhere.

    Warns
    -----
    UserWarning
        With `norm`, if the wavelet is not orthogonal: the energy of the coefficients is then not that of the signal.

    Examples
    --------
    >>> as_filter_bank("haar").h0.round(3), as_filter_bank(([1, 1], [-1, 1])).h1
    (array([0.707, 0.707]), array([-1.,  1.]))
    """
    norm = check_bool("norm", norm)
    if isinstance(wavelet, (tuple, list)):
        filters = own_filters(wavelet, inverse)
        keeps_energy = energy_is_kept(filters[0], filters[1])
    else:
        wavelet = as_wavelet(wavelet)
        filters = [np.array(h, np.float64) for h in (wavelet.dec_lo, wavelet.dec_hi, wavelet.rec_lo, wavelet.rec_hi)]
        keeps_energy = wavelet.orthogonal
    if norm and not keeps_energy:
        warnings.warn("norm=True, but the wavelet is not orthogonal: the energy is not preserved", UserWarning, stacklevel=3)
    if norm:
        filters = [h * (1 / np.sqrt(2)) for h in filters[:2]] + [g * np.sqrt(2) for g in filters[2:]]
    return FilterBank(*filters, *[None] * (4 - len(filters)))


def own_filters(filters: tuple[Array, ...] | list[Array], inverse: bool) -> list[np.ndarray]:
    """Two or four filters of one length, checked."""
    names = ("h0", "h1", "g0", "g1")
    if len(filters) not in (2, 4):
        raise ValueError(f"wavelet must be a name, a pywt.Wavelet, (h0, h1) or (h0, h1, g0, g1); got {len(filters)} filters")
    if inverse and len(filters) == 2:
        raise ValueError(
            "the inverse needs the filters of reconstruction: give (h0, h1, g0, g1), or a wavelet by name or as a pywt.Wavelet"
        )
    found = [own_filter(name, h) for name, h in zip(names, filters, strict=False)]
    lengths = [len(h) for h in found]
    if len(set(lengths)) != 1:
        raise ValueError(f"the filters of wavelet must have one length (add zeros to the shorter ones); got {lengths} taps")
    if len(found) == 4:
        check_reconstruction(*found)
    return found


def own_filter(name: str, h: Array) -> np.ndarray:
    """One filter [F] as float64."""
    if family(h) != "numpy":
        raise TypeError(f"{name} of wavelet must be a list or a NumPy array; got {type(h).__module__}.{type(h).__name__}")
    h = as_signal(h, f"{name} of wavelet").astype(np.float64)
    if h.ndim != 1 or len(h) < 2 or not np.isfinite(h).all():
        raise ValueError(f"{name} of wavelet must hold at least 2 finite taps [F]; got shape {h.shape}, {str(h)[:80]}")
    return h


def check_reconstruction(h0: np.ndarray, h1: np.ndarray, g0: np.ndarray, g1: np.ndarray) -> None:
    """Raise a ValueError unless (h0 * g0 + h1 * g1) / 2 is 1 at the lag F - 1 and 0 elsewhere."""
    through = (np.convolve(h0, g0) + np.convolve(h1, g1)) / 2
    through[len(h0) - 1] -= 1
    if abs(through).max() > PERFECT:
        raise ValueError(
            "the filters (h0, h1, g0, g1) of wavelet do not reconstruct: (h0 * g0 + h1 * g1) / 2 must be 1 at the lag F - 1 = "
            f"{len(h0) - 1} and 0 elsewhere; it is wrong by {abs(through).max():.2g}"
        )


def energy_is_kept(h0: np.ndarray, h1: np.ndarray) -> bool:
    """Whether |H0|^2 + |H1|^2 = 2 at every frequency, as for an orthogonal wavelet.

    Examples
    --------
    >>> energy_is_kept(np.array([0.6, 0.8]), np.array([-0.8, 0.6])), energy_is_kept(np.ones(2), np.ones(2))
    (True, False)
    """
    both = np.correlate(h0, h0, "full") + np.correlate(h1, h1, "full")
    both[len(h0) - 1] -= 2
    return bool(abs(both).max() < 1e-6)
