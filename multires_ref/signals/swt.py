"""`causal_swt` and `causal_iswt`: the transform of `transform.py` with the options of `pywt.swt` and `pywt.iswt`."""

from __future__ import annotations

from typing import Any

from ..base.arrays import Array, get_xp
from ..base.checks import check_bool, check_choice
from ..base.layer_checks import Wavelet, as_signal
from ..transform import analysis, synthesis, synthesis_delay
from ..tree import depth_for
from .coefficients import (
    Coefficients,
    a_and_details,
    check_axis,
    check_levels,
    check_size,
    joined,
    real_parts,
    trimmed,
)
from .filter_bank import FilterBank, as_filter_bank


def causal_swt(
    x: Array,
    wavelet: str | Wavelet | tuple[Array, ...],
    level: int | None = None,
    *,
    axis: int = -1,
    norm: bool = False,
    trim_approx: bool = False,
    start_level: int = 0,
    tail: bool = False,
    engine: str = "auto",
) -> Coefficients:
    """Causal stationary wavelet transform along one axis, of any length, without wrap-around.

        a_0 = x,    a_j[n] = sum_k dec_lo[k] a_{j-1}[n - k 2^(j-1)],    d_j[n] = sum_k dec_hi[k] a_{j-1}[n - k 2^(j-1)]

    Parameters
    ----------
    x : array or list [..., L]
        float32, float64, complex64 and complex128 are kept; integers become float64, float16 becomes float32, as in PyWavelets.
    wavelet : str, pywt.Wavelet, or your own filters (h0, h1) or (h0, h1, g0, g1), each [F], in lag order
    level : int, J; None takes the deepest that makes sense, `depth_for(L, F)`: the smallest J whose coarsest coefficient sees all
        of x at its end. A deeper level sees no more. (`pywt.swt` takes the largest J for which 2^J divides L.)
    axis : int, of the time
    norm : bool; filters divided by sqrt 2. For an orthogonal wavelet the squares of a_J and of all details, with `tail`, then sum
        to those of x, and the variance of x is partitioned by scale.
    trim_approx : bool; return [a_J, d_J, ..., d_1]
    start_level : int, m; x is taken as a_m, and the levels are m + 1 ... m + J: the first has dilation 2^m
    tail : bool; append `causal_delay(wavelet, level, start_level)` zeros to x first, so that `causal_iswt` gives back all of x
    engine : "tree" (array operations), "fused" (compiled by Numba) or "auto", which compiles for long NumPy signals

    Returns
    -------
    [(a_J, d_J), ..., (a_1, d_1)], in `pywt.swt`'s order, each of the shape of x (longer by the delay with `tail`)

    Raises
    ------
    TypeError, ValueError
        For empty or masked x, what is no array of numbers, an axis that x does not have, an unknown wavelet (with the nearest
        names), filters that do not fit together, a level outside 1 ... 60, and a level that sees no more of x than fewer levels
        do and whose result would take more than 4 GiB.

    Notes
    -----
    `pywt.swt`'s coefficients are these, periodic, moved left by (2^j - 1) F / 2 samples: relations A and B of `check_pywavelets`.
    NaN and infinity stay out of the past, as in any causal filter; later they are seen for (F - 1)(2^J - 1) samples.

    Examples
    --------
    >>> (a2, d2), (a1, d1) = causal_swt([1.0, 2.0, 3.0, 4.0, 5.0], "haar", level=2)
    >>> (a2 / 2).round(3)  # Haar's a_2 is half the sum of the last four samples; halved again, their mean
    array([0.25, 0.75, 1.5 , 2.5 , 3.5 ])
    """
    bank, x = as_filter_bank(wavelet, norm), as_signal(x, complex_too=True)
    axis, trim_approx, tail = check_axis(axis, x), check_bool("trim_approx", trim_approx), check_bool("tail", tail)
    check_choice("engine", engine, ("tree", "fused", "auto"))
    _, m = check_levels(1 if level is None else level, start_level)
    x, dtype = x.swapaxes(axis, -1), x.dtype
    deepest = depth_for(-(-x.shape[-1] // 2**m), bank.taps)
    J, m = check_levels(deepest if level is None else level, start_level)
    late = 2**m * synthesis_delay(J, bank.taps) if tail else 0
    check_size(x, J, deepest, late)
    rows = real_parts(with_zeros(x, late))
    pairs = phased_analysis(rows, bank, J, m, engine)
    pairs = [(joined(a, dtype).swapaxes(axis, -1), joined(d, dtype).swapaxes(axis, -1)) for a, d in pairs]
    return trimmed(pairs, trim_approx)


def causal_iswt(
    coeffs: Coefficients,
    wavelet: str | Wavelet | tuple[Array, ...],
    *,
    axis: int = -1,
    norm: bool = False,
    start_level: int = 0,
) -> Array:
    """The signal from its causal coefficients: x[n - delay], delay = 2^m (2^J - 1)(F - 1) samples (`causal_delay`).

    Parameters
    ----------
    coeffs : [(a_J, d_J), ..., (a_1, d_1)], as `causal_swt` returns them, of which only a_J and the details are read; or trimmed,
        [a_J, d_J, ..., d_1]
    wavelet : str, pywt.Wavelet, or your own filters (h0, h1, g0, g1), g0 and g1 being those of reconstruction
    axis, norm, start_level : as they were given to `causal_swt`

    Returns
    -------
    array : x delayed, the first `delay` samples being zero (up to rounding)

    Raises
    ------
    TypeError, ValueError
        For coefficients that are not as above, an unknown wavelet, and filters of your own that lack g0 and g1 or do not
        reconstruct.

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
    bank, (a, details) = as_filter_bank(wavelet, norm, inverse=True), a_and_details(coeffs)
    axis = check_axis(axis, a)
    _, m = check_levels(len(details), start_level)
    dtype = get_xp(a, *details).result_type(a, *details)
    a, *details = (real_parts(c.astype(dtype) if dtype.kind == "c" else c).swapaxes(axis, -1) for c in (a, *details))
    return joined(phased_synthesis(a, details, bank, m).swapaxes(axis, -1), dtype)


def causal_delay(wavelet: str | Wavelet | tuple[Array, ...], level: int, start_level: int = 0) -> int:
    """How late the causal inverse is, in samples: 2^m (2^J - 1)(F - 1), m being `start_level`.

    Examples
    --------
    >>> causal_delay("haar", 3), causal_delay("db4", 3), causal_delay("haar", 3, start_level=1)
    (7, 49, 14)
    """
    J, m = check_levels(level, start_level)
    return 2**m * synthesis_delay(J, as_filter_bank(wavelet).taps)


def with_zeros(x: Array, late: int) -> Array:
    """x and `late` zeros behind it."""
    xp = get_xp(x)
    return xp.concatenate((x, xp.zeros((*x.shape[:-1], late), dtype=x.dtype)), axis=-1) if late else x


def taps_for(x: Array, *filters: Any) -> list[Array]:
    """Filters with the dtype of x, where x is."""
    return [get_xp(x).asarray(h, dtype=x.dtype) for h in filters]


def phased_analysis(x: Array, bank: FilterBank, level: int, m: int, engine: str) -> list[tuple[Array, Array]]:
    """`transform.analysis` for levels m + 1 ... m + J.

    Their dilations are multiples of 2^m, so the 2^m phases of x never meet: each is a signal, to which level m + 1 is level 1.
    """
    h0, h1 = taps_for(x, bank.h0, bank.h1)
    pairs = analysis(phases(x, m), h0, h1, level, engine)
    return [(interleaved(a, m, x.shape[-1]), interleaved(d, m, x.shape[-1])) for a, d in pairs]


def phased_synthesis(a: Array, details: list[Array], bank: FilterBank, m: int) -> Array:
    """`transform.synthesis` for levels m + 1 ... m + J."""
    r = synthesis(phases(a, m), [phases(d, m) for d in details], *taps_for(a, bank.g0, bank.g1))
    return interleaved(r, m, a.shape[-1])


def phases(x: Array, m: int) -> Array:
    """The phases x[p], x[p + S], x[p + 2 S], ... of x [..., L], S = 2^m (at most L): [..., S, ceil(L / S)]; x itself for m = 0.

    Examples
    --------
    >>> import numpy as np
    >>> phases(np.arange(5), 1)
    array([[0, 2, 4],
           [1, 3, 0]])
    """
    if m == 0:
        return x
    L, S = x.shape[-1], min(2**m, x.shape[-1])
    return with_zeros(x, -L % S).reshape(*x.shape[:-1], -1, S).swapaxes(-1, -2)


def interleaved(x: Array, m: int, length: int) -> Array:
    """The opposite of `phases`, `length` samples."""
    return x if m == 0 else x.swapaxes(-1, -2).reshape(*x.shape[:-2], -1)[..., :length]
