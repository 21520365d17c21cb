"""The tree as a transform pair with PyWavelets' names: a causal stationary wavelet transform of any length, and its inverse.

PyWavelets' `swt` wraps around (its newest coefficients see the signal's end *and* its beginning) and wants a length that 2^J
divides. Here every coefficient uses the present and the past only, x[n] = 0 for n < 0, and any length will do. The inverse can
only be causal too, so it is late: it returns x[n - delay], with delay = (2^J - 1)(F - 1) samples for J levels and F taps:

    r_J = a_J;    r_{j-1}[n] = 1/2 (sum_k rec_lo[k] r_j[n - k 2^(j-1)] + sum_k rec_hi[k] d_j'[n - k 2^(j-1)]),

d_j' being d_j delayed as much as r_j is, (2^J - 2^j)(F - 1) samples. With ``tail=True`` the forward transform runs on for `delay`
zeros, so that nothing of x is still inside the tree when it ends.
"""

from __future__ import annotations

from .base.arrays import Array, Pairs, get_xp
from .base.checks import check_int
from .base.layer_checks import MAX_DEPTH, Wavelet, as_signal, as_wavelet, check_pairs, check_tail
from .engines.pyramid import pyramid_by
from .tree import delay, depth_for, dilated_conv


def causal_swt(x: Array, wavelet: str | Wavelet, level: int, *, tail: bool = False, engine: str = "auto") -> Pairs:
    """Causal stationary wavelet transform along the last axis, of any length, without wrap-around.

        a_0 = x,    a_j[n] = sum_k dec_lo[k] a_{j-1}[n - k 2^(j-1)],    d_j[n] = sum_k dec_hi[k] a_{j-1}[n - k 2^(j-1)]

    Parameters
    ----------
    x : array [..., L]; float32 and float64 are kept, integers become float64
    wavelet : str or pywt.Wavelet
    level : int, J
    tail : bool; append `causal_delay(wavelet, level)` zeros to x first, so that `causal_iswt` gives back all of x
    engine : "tree" (array operations), "fused" (compiled by Numba) or "auto", which compiles for long NumPy signals

    Returns
    -------
    [(a_J, d_J), ..., (a_1, d_1)], in `pywt.swt`'s order, each [..., L] (longer by the delay with `tail`)

    Raises
    ------
    TypeError, ValueError
        For complex, empty or masked x, an unknown wavelet (with the nearest names), a level outside 1 ... 60, and with `tail` a
        level that sees no more of x than fewer levels do and whose result would take more than 4 GiB.

    Notes
    -----
    `pywt.swt`'s coefficients are these, periodic, moved left by (2^j - 1) F / 2 samples: relations A and B of `check_pywavelets`.

    Examples
    --------
    >>> (a2, d2), (a1, d1) = causal_swt([1.0, 2.0, 3.0, 4.0, 5.0], "haar", level=2)
    >>> (a2 / 2).round(3)  # Haar's a_2 is half the sum of the last four samples; halved again, their mean
    array([0.25, 0.75, 1.5 , 2.5 , 3.5 ])
    """
    x, wavelet = as_signal(x), as_wavelet(wavelet)
    if tail:
        xp, late = get_xp(x), causal_delay(wavelet, level)
        check_tail(x, level, wavelet.dec_len, depth_for(x.shape[-1], wavelet.dec_len))
        x = xp.concatenate((x, xp.zeros((*x.shape[:-1], late), dtype=x.dtype)), axis=-1)
    h0, h1 = (get_xp(x).asarray(taps, dtype=x.dtype) for taps in (wavelet.dec_lo, wavelet.dec_hi))
    return pyramid_by(engine, x, h0, h1, level)[::-1]


def causal_iswt(coeffs: Pairs, wavelet: str | Wavelet) -> Array:
    """The signal from its causal pyramid: x[n - delay], delay = (2^J - 1)(F - 1) samples (`causal_delay`).

    Parameters
    ----------
    coeffs : [(a_J, d_J), ..., (a_1, d_1)], as `causal_swt` returns them; only a_J and the details are read
    wavelet : str or pywt.Wavelet

    Returns
    -------
    array [..., L] : x delayed, the first `delay` samples being zero (up to rounding)

    Notes
    -----
    Exact to rounding for wavelets with perfect reconstruction; PyWavelets' tables limit some (sym, bior) to about 1e-12, and
    "dmey" reconstructs only roughly.

    Examples
    --------
    >>> coeffs = causal_swt([1.0, 2.0, 3.0, 4.0], "db2", level=2, tail=True)
    >>> causal_iswt(coeffs, "db2")[causal_delay("db2", 2) :].round(9)
    array([1., 2., 3., 4.])
    """
    wavelet, coeffs = as_wavelet(wavelet), check_pairs(coeffs)
    J, F, r = len(coeffs), wavelet.dec_len, coeffs[0][0]
    rec_lo, rec_hi = (get_xp(r).asarray(taps, dtype=r.dtype) for taps in (wavelet.rec_lo, wavelet.rec_hi))
    for j, (_, d) in zip(range(J, 0, -1), coeffs, strict=True):
        d = delay(d, (2**J - 2**j) * (F - 1))
        r = 0.5 * (dilated_conv(r, rec_lo, 2 ** (j - 1)) + dilated_conv(d, rec_hi, 2 ** (j - 1)))
    return r


def causal_delay(wavelet: str | Wavelet, level: int) -> int:
    """How late the causal inverse is, in samples: (2^J - 1)(F - 1).

    Examples
    --------
    >>> causal_delay("haar", 3), causal_delay("db4", 3)
    (7, 49)
    """
    J = check_int("level", level, 1, MAX_DEPTH)
    return (2**J - 1) * (as_wavelet(wavelet).dec_len - 1)
