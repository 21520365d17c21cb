"""The tree as a transform pair with PyWavelets' names: a causal stationary wavelet transform of any length, and its inverse.

PyWavelets' `swt` wraps around (its newest coefficients see the signal's end *and* its beginning) and wants a length that 2^J
divides. Here every coefficient uses the present and the past only, x[n] = 0 for n < 0, and any length will do. The inverse can
only be causal too, so it is late: it returns x[n - delay], with delay = (2^J - 1)(F - 1) samples for J levels and F taps:

    r_J = a_J;    r_{j-1}[n] = 1/2 (sum_k rec_lo[k] r_j[n - k 2^(j-1)] + sum_k rec_hi[k] d_j'[n - k 2^(j-1)]),

d_j' being d_j delayed as much as r_j is, (2^J - 2^j)(F - 1) samples. With ``tail=True`` the forward transform runs on for `delay`
zeros, so that nothing of x is still inside the tree when it ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import family, get_xp
from .base.compiled import numba_works, require_numba
from .checks import as_plain, check_choice, check_int, check_memory
from .filters import check_wavelet
from .tree import MAX_DEPTH, delay, depth_for, dilated_conv, pyramid

COMPILED_FROM = 2**20  # samples times taps: below it, loading Numba and its loops is not worth it


def as_wavelet(wavelet: Any) -> Any:
    """A `pywt.Wavelet` from a name, or the one given."""
    import pywt

    return wavelet if isinstance(wavelet, pywt.Wavelet) else pywt.Wavelet(check_wavelet(wavelet))


def as_signal(x: Any, name: str = "x") -> Any:
    """x as float32 or float64: integers become float64, as in PyWavelets; complex numbers and objects are refused by `name`."""
    x = as_plain(name, x)
    if x.dtype.kind in "iub":
        x = x.astype("float64")
    if str(x.dtype) not in ("float32", "float64"):
        raise TypeError(f"{name} must be an array of real numbers [..., L]; got dtype {x.dtype}")
    if x.ndim < 1 or 0 in x.shape:
        raise ValueError(f"{name} must be a non-empty array [..., L]; got shape {tuple(x.shape)}")
    return x


def filters_like(x: Any, *banks: Any) -> list[Any]:
    """Filter taps as arrays on the device and in the dtype of x."""
    return [get_xp(x).asarray(taps, dtype=x.dtype) for taps in banks]


def causal_delay(wavelet: Any, level: int) -> int:
    """How late the causal inverse is, in samples: (2^J - 1)(F - 1).

    Examples
    --------
    >>> causal_delay("haar", 3), causal_delay("db4", 3)
    (7, 49)
    """
    J = check_int("level", level, 1, MAX_DEPTH)
    return (2**J - 1) * (as_wavelet(wavelet).dec_len - 1)


def causal_swt(x: Any, wavelet: Any, level: int, *, tail: bool = False, engine: str = "auto") -> list[tuple[Any, Any]]:
    """Causal stationary wavelet transform along the last axis, of any length, without wrap-around.

        a_0 = x,    a_j[n] = sum_k dec_lo[k] a_{j-1}[n - k 2^(j-1)],    d_j[n] = sum_k dec_hi[k] a_{j-1}[n - k 2^(j-1)]

    Parameters
    ----------
    x : array [..., L]
        float32 and float64 are kept, integers become float64.
    wavelet : str or pywt.Wavelet
    level : int, J
    tail : bool
        Append `causal_delay(wavelet, level)` zeros to x first, so that `causal_iswt` gives back all of x.
    engine : "tree", "fused" or "auto"
        Plain array operations (`tree.pyramid`), or compiled loops (Numba); "auto" compiles for long NumPy signals.

    Returns
    -------
    [(a_J, d_J), ..., (a_1, d_1)]
        In `pywt.swt`'s order, each [..., L] (longer by the delay with `tail`).

    Raises
    ------
    TypeError, ValueError
        For complex or empty x, masked arrays and `np.matrix`, an unknown wavelet (with the nearest names), a level outside
        1 ... 60; and with `tail` for a level that sees no more of x than fewer levels do and whose result would take more than
        4 GiB.

    Notes
    -----
    `pywt.swt`'s coefficients are these, periodic instead of zero before the beginning, moved left by (2^j - 1) F / 2 samples:
    relations A and B of `interop.pywavelets`.

    Examples
    --------
    >>> (a2, d2), (a1, d1) = causal_swt([1.0, 2.0, 3.0, 4.0, 5.0], "haar", level=2)
    >>> (a2 / 2).round(3)  # Haar's a_2 is half the sum of the last four samples; halved again, their mean
    array([0.25, 0.75, 1.5 , 2.5 , 3.5 ])
    """
    x, wavelet = as_signal(x), as_wavelet(wavelet)
    if tail:
        xp, late = get_xp(x), causal_delay(wavelet, level)
        check_tail(x, level, wavelet.dec_len)
        x = xp.concatenate((x, xp.zeros((*x.shape[:-1], late), dtype=x.dtype)), axis=-1)
    h0, h1 = filters_like(x, wavelet.dec_lo, wavelet.dec_hi)
    if compiles(check_choice("engine", engine, ("tree", "fused", "auto")), x, len(h0) * check_int("level", level, 1, MAX_DEPTH)):
        from .engines.numba.levels import pyramid_levels

        return pyramid_levels(x, h0, h1, level)[::-1]
    return pyramid(x, h0, h1, level)[::-1]


def check_tail(x: Any, level: int, F: int) -> None:
    """Refuse a level deeper than any that sees more of x, if the zeros behind x and their coefficients would be absurdly many."""
    L, deepest = x.shape[-1], depth_for(x.shape[-1], F)
    if level > deepest:
        numbers = (2 * level + 2) * (x.size // L) * (L + (2**level - 1) * (F - 1))
        check_memory(f"level={level} with tail=True", numbers, x.dtype.itemsize, deepest, f"levels see more of {L:,} samples")


def compiles(engine: str, x: Any, taps: int) -> bool:
    """Whether the compiled loops are to be used: for "auto" where they are installed and there is work for them."""
    if engine == "auto":
        return family(x) == "numpy" and x.size * taps >= COMPILED_FROM and numba_works()
    if engine == "fused":
        require_numba("engine 'fused'")
    return engine == "fused"


def causal_iswt(coeffs: list[tuple[Any, Any]], wavelet: Any) -> Any:
    """The signal from its causal pyramid: x[n - delay], delay = (2^J - 1)(F - 1) samples (`causal_delay`).

    Parameters
    ----------
    coeffs : [(a_J, d_J), ..., (a_1, d_1)]
        As `causal_swt` returns them. Only a_J and the details are read.
    wavelet : str or pywt.Wavelet

    Returns
    -------
    array [..., L]
        x delayed: the first `delay` samples are zero (up to rounding), then x[0], x[1], ...

    Notes
    -----
    Exact to rounding for wavelets with perfect reconstruction; PyWavelets' tables limit some (sym, bior) to about 1e-12, and
    "dmey" reconstructs only roughly. Relation F of `interop.pywavelets`.

    Examples
    --------
    >>> coeffs = causal_swt([1.0, 2.0, 3.0, 4.0], "db2", level=2, tail=True)
    >>> causal_iswt(coeffs, "db2")[causal_delay("db2", 2) :].round(9)
    array([1., 2., 3., 4.])
    """
    wavelet = as_wavelet(wavelet)
    check_pairs(coeffs)
    shapes = {tuple(np.shape(c)) for pair in coeffs for c in pair}
    if len(shapes) != 1:
        raise ValueError(f"coeffs must be pairs (a, d) of one shape, as causal_swt returns them; got shapes {sorted(shapes)}")
    J, F = len(coeffs), wavelet.dec_len
    r = as_signal(coeffs[0][0], "coeffs[0][0]")
    rec_lo, rec_hi = filters_like(r, wavelet.rec_lo, wavelet.rec_hi)
    for j, (_, d) in zip(range(J, 0, -1), coeffs, strict=True):
        d = delay(as_signal(d, f"coeffs[{J - j}][1]"), (2**J - 2**j) * (F - 1))
        dilation = 2 ** (j - 1)
        r = 0.5 * (dilated_conv(r, rec_lo, dilation) + dilated_conv(d, rec_hi, dilation))
    return r


def check_pairs(coeffs: Any) -> None:
    """Raise an error unless the coefficients are pairs, as `causal_swt` returns them; an array [J, 2, ..., L] will do too."""
    if not is_sequence(coeffs):
        raise TypeError(f"coeffs must be a list of pairs (a, d), as causal_swt returns it; got {type(coeffs).__name__}")
    if len(coeffs) == 0:
        raise ValueError("coeffs must hold at least one pair (a, d); got an empty list")
    for n, pair in enumerate(coeffs):
        if not is_sequence(pair) or len(pair) != 2:
            raise TypeError(f"coeffs[{n}] must be a pair (a, d) of arrays; got {type(pair).__name__}")


def is_sequence(value: Any) -> bool:
    """Whether it is a list, a tuple, or an array with at least one axis."""
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0
