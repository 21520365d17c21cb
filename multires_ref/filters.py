"""h0 and h1: from PyWavelets by name, or at random; always in lag order (index k weights the sample k steps ago).

Three orders of a wavelet's taps, all with the same gain at every frequency:

    analysis        PyWavelets' own: out[n] = sum_k dec_lo[k] x[n - k], what `pywt.swt` computes and the authors start from
    reversed        both filters back to front (rec_lo and rec_hi of an orthogonal wavelet)
    minimum_delay   each filter the way round in which its energy comes earlier

Why it matters: the energy of `dec_lo` of Daubechies' wavelets (dbN) sits in the late taps, so a causal tree weights recent
samples least and every level adds delay; `dec_hi`, its mirror image, is early already. "minimum_delay" reverses `dec_lo` only.
For wavelets that are nearly symmetric (symN, coifN, bior) the three hardly differ.
"""

from __future__ import annotations

import math

import numpy as np

from .base.checks import check_choice, check_int, check_rng
from .base.layer_checks import as_wavelet, check_dtype

MAX_ELEMENTS = 2**27  # drawn at once: 1 GiB
FILTER_ORDERS = ("analysis", "reversed", "minimum_delay")


def wavelet_filters(name: str, order: str = "analysis", dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """The filters h0 (low-pass) and h1 (high-pass) of a discrete wavelet, in lag order, [K] each.

    Parameters
    ----------
    name : str
        Any discrete wavelet of PyWavelets, such as "haar", "db4" or "sym5"; for others a ValueError offers the nearest names.
    order : "analysis", "reversed" or "minimum_delay"
        PyWavelets' `dec_lo`, `dec_hi` as they stand, so that the tree equals `pywt.swt` up to an index shift; both back to front;
        or each the way round in which its energy comes earlier.
    dtype : "float32" or "float64"

    Examples
    --------
    >>> h0, h1 = wavelet_filters("haar")
    >>> h0.round(4), h1.round(4)
    (array([0.7071, 0.7071]), array([-0.7071,  0.7071]))
    >>> wavelet_filters("db2")[0].round(3), wavelet_filters("db2", order="minimum_delay")[0].round(3)
    (array([-0.129,  0.224,  0.837,  0.483]), array([ 0.483,  0.837,  0.224, -0.129]))
    """
    check_choice("order", order, FILTER_ORDERS)
    dtype, wavelet = check_dtype(dtype), as_wavelet(name)
    h0, h1 = np.array(wavelet.dec_lo, dtype), np.array(wavelet.dec_hi, dtype)
    if order == "reversed":
        return h0[::-1].copy(), h1[::-1].copy()
    if order == "minimum_delay":
        h0, h1 = (min(h, h[::-1].copy(), key=energy_centre) for h in (h0, h1))
    return h0, h1


def energy_centre(h: np.ndarray) -> float:
    """sum_k k h[k]^2 / sum_k h[k]^2: at which lag, in samples, the energy of a filter sits. For (0, 1, 1) it is 1.5."""
    energy = np.asarray(h, dtype=np.float64) ** 2
    return float((np.arange(len(energy)) * energy).sum() / energy.sum())


def random_filters(
    rng: np.random.Generator, D: int, K: int, J: int | None = None, dtype: str = "float32"
) -> tuple[np.ndarray, np.ndarray]:
    """Random h0, h1 ~ U(-1, 1) sqrt(2 / (2 K)), as the authors start them: [D, K], or untied [J, D, K] where J is given.

    Examples
    --------
    >>> h0, h1 = random_filters(np.random.default_rng(0), D=4, K=2)
    >>> h0.shape, h0.dtype, bool(abs(h0).max() <= 2**-0.5)
    ((4, 2), dtype('float32'), True)
    """
    rng, dtype, one_level = check_rng(rng), check_dtype(dtype), (check_int("D", D, 1), check_int("K", K, 2))
    shape = one_level if J is None else (check_int("J", J, 1), *one_level)
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"D, K and J must ask for at most {MAX_ELEMENTS:,} elements; got the shape {shape}")
    bound = filter_bound(K)
    h0, h1 = (rng.uniform(-bound, bound, shape).astype(dtype) for _ in range(2))
    return h0, h1


def filter_bound(K: int) -> float:
    """sqrt(2 / (2 K)): the authors draw filters of K taps from U(-1, 1) times this."""
    return (2 / (2 * K)) ** 0.5
