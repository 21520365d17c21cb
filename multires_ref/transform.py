"""The tree as a transform pair with PyWavelets' names: a causal stationary wavelet transform of any length, and its inverse.

PyWavelets' `swt` wraps around (its newest coefficients see the signal's end *and* its beginning) and wants a length that 2^J
divides. Here every coefficient uses the present and the past only, x[n] = 0 for n < 0, and any length will do:

    a_0 = x,    a_j[n] = sum_k h0[k] a_{j-1}[n - k 2^(j-1)],    d_j[n] = sum_k h1[k] a_{j-1}[n - k 2^(j-1)].

The inverse can only be causal too, so it is late: it returns x[n - delay], with delay = (2^J - 1)(F - 1) samples for J levels and
filters of F taps, among them those of reconstruction, g0 and g1:

    r_J = a_J;    r_{j-1}[n] = 1/2 (sum_k g0[k] r_j[n - k 2^(j-1)] + sum_k g1[k] d_j'[n - k 2^(j-1)]),

d_j' being d_j delayed as much as r_j is, (2^J - 2^j)(F - 1) samples. This file is the equations; `signals/` is what users call:
`causal_swt` and `causal_iswt` with PyWavelets' options, and both sample by sample.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base.arrays import Array, Pairs
from .engines.pyramid import pyramid_by
from .tree import delay, dilated_conv


def analysis(x: Array, h0: Array, h1: Array, level: int, engine: str = "auto") -> Pairs:
    """The coefficients of x [..., L] in `pywt.swt`'s order, [(a_J, d_J), ..., (a_1, d_1)], each [..., L].

    h0, h1 [F], of the dtype of x; J = `level`; `engine` is "tree" (array operations), "fused" (Numba) or "auto".

    Examples
    --------
    >>> import numpy as np
    >>> (a2, d2), (a1, d1) = analysis(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0]), np.array([-1.0, 1.0]), level=2)
    >>> a2, d2
    (array([ 1.,  3.,  6., 10.]), array([-1., -3., -4., -4.]))
    """
    return pyramid_by(engine, x, h0, h1, level)[::-1]


def synthesis(a: Array, details: Sequence[Array], g0: Array, g1: Array) -> Array:
    """x delayed by (2^J - 1)(F - 1) samples, [..., L], from a_J and the details d_J ... d_1, each [..., L]; g0, g1 [F].

    Examples
    --------
    >>> import numpy as np
    >>> half, h1, g1 = np.array([0.5, 0.5]), np.array([-0.5, 0.5]), np.array([1.0, -1.0])
    >>> (a2, d2), (a1, d1) = analysis(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), half, h1, level=2)
    >>> synthesis(a2, [d2, d1], 2 * half, g1)  # three samples late
    array([0., 0., 0., 1., 2.])
    """
    J, F, r = len(details), len(g0), a
    for j, d in zip(range(J, 0, -1), details, strict=True):
        d = delay(d, (2**J - 2**j) * (F - 1))
        r = 0.5 * (dilated_conv(r, g0, 2 ** (j - 1)) + dilated_conv(d, g1, 2 ** (j - 1)))
    return r


def synthesis_delay(level: int, taps: int) -> int:
    """How late the causal inverse is, in samples: (2^J - 1)(F - 1).

    Examples
    --------
    >>> synthesis_delay(level=3, taps=2), synthesis_delay(level=3, taps=8)
    (7, 49)
    """
    return (2**level - 1) * (taps - 1)
