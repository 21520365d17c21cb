"""Which of PyWavelets' discrete wavelets is nearest to a pair of filters, up to shift, sign, time reversal and scale.

The distance of two filters is the sine of the angle between them, after the better shift; sign and scale do not change an
angle. That of a pair is the root mean square of its two sines, with one shift for both: 0 for a wavelet's own filters, 1 at
right angles. Each filter of the wavelet may stand as PyWavelets has it, or back to front within its length: so the order
"minimum_delay" of `wavelet_filters` is found too.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ..base.layer_checks import wavelet_names

WAYS = ("as it is", "reversed", "h0 reversed", "h1 reversed")
EQUAL = 1e-5  # distance: below it two wavelets have the same filters, as far as PyWavelets' tables are exact


class Nearest(NamedTuple):
    """The nearest wavelet of one pair of filters."""

    name: str  # the first name of those with equal filters
    equal: tuple[str, ...]  # its other names
    distance: float
    way: str  # which filters are back to front, of WAYS
    shift: int  # lag of the pair's first tap in the wavelet's; the number of taps by which the pair is later, if it is positive


class Template(NamedTuple):
    """A wavelet's filters `dec_lo` and `dec_hi` in lag order, of norm 1."""

    names: tuple[str, ...]
    lo: np.ndarray
    hi: np.ndarray


@cache
def templates() -> tuple[Template, ...]:
    """The discrete wavelets of PyWavelets, those with equal filters (up to shift, sign, reversal and scale) together.

    Examples
    --------
    >>> [t.names for t in templates() if "db2" in t.names]
    [('db2', 'sym2')]
    """
    import pywt

    found: list[Template] = []
    for name in sorted(wavelet_names(), key=lambda name: (name not in ("haar",), not name.startswith("db"), wavelet_order(name))):
        wavelet = pywt.Wavelet(name)
        lo, hi = np.array(wavelet.dec_lo), np.array(wavelet.dec_hi)
        for n, other in enumerate(found):
            if len(other.lo) == len(lo) and nearest_of(lo[None], hi[None], other)[0][0] < EQUAL:
                found[n] = other._replace(names=(*other.names, name))
                break
        else:
            found.append(Template((name,), lo / np.linalg.norm(lo), hi / np.linalg.norm(hi)))
    return tuple(found)


def wavelet_order(name: str) -> tuple[str, float]:
    """A key that sorts db2 before db10, and bior1.3 before bior2.2."""
    family = name.rstrip("0123456789.")
    return family, float(name[len(family) :] or 0)


def shifted(g: np.ndarray, K: int) -> np.ndarray:
    """The part of g, padded with zeros, that K taps see at each shift: [F + K - 1, K]; row K - 1 + s begins at g's tap s."""
    padded = np.concatenate((np.zeros(K - 1), g, np.zeros(K - 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, K)


def nearest_of(h0: np.ndarray, h1: np.ndarray, template: Template) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distance of each pair [D, K] to one wavelet, the way and the shift that give it: three arrays [D].

    A filter that is 0 has no direction; it is at right angles to everything.
    """
    K = h0.shape[-1]
    cosines = []  # of each filter, as it is and reversed: [D, shifts], squared
    for h, g in ((h0, template.lo), (h1, template.hi)):
        norm = np.linalg.norm(h, axis=-1, keepdims=True)
        unit = np.divide(h, norm, out=np.zeros_like(h), where=norm > 0)
        cosines.append([(unit @ shifted(way / np.linalg.norm(way), K).T) ** 2 for way in (g, g[::-1])])
    (lo, lo_back), (hi, hi_back) = cosines
    sums = np.stack((lo + hi, lo_back + hi_back, lo_back + hi, lo + hi_back))  # in the order of WAYS: [4, D, shifts]
    best = sums.max(axis=2).argmax(axis=0)  # [D]
    chosen = sums[best, np.arange(len(h0))]  # [D, shifts]
    shift = chosen.argmax(axis=1)
    sines = np.sqrt(np.maximum(0, 1 - chosen[np.arange(len(h0)), shift] / 2))
    return sines, best, K - 1 - shift


def nearest_wavelets(h0: np.ndarray, h1: np.ndarray) -> list[Nearest]:
    """The nearest wavelet of each pair of filters [D, K], in lag order.

    Where several are equally near to rounding, the shortest is named.

    Examples
    --------
    >>> from multires_ref import wavelet_filters
    >>> h0, h1 = wavelet_filters("db2", "reversed")
    >>> (found,) = nearest_wavelets(-3 * h0[None], h1[None])
    >>> found.name, found.equal, found.way, round(found.distance, 6)
    ('db2', ('sym2',), 'reversed', 0.0)
    """
    h0, h1 = np.asarray(h0, np.float64), np.asarray(h1, np.float64)
    known = sorted(templates(), key=lambda template: len(template.lo))
    results = [nearest_of(h0, h1, template) for template in known]
    distances = np.stack([distance for distance, _, _ in results])  # [wavelets, D]
    which = (distances <= distances.min(axis=0) + EQUAL).argmax(axis=0)
    found = []
    for d, n in enumerate(which):
        distance, way, shift = (array[d] for array in results[n])
        name, *equal = known[n].names
        found.append(Nearest(name, tuple(equal), float(distance), WAYS[way], int(shift)))
    return found
