"""What each scale sees: impulse and frequency responses, and the one long kernel that a layer equals.

The layer is linear and causal and does the same at every time, so it is known by its answer to a single 1 at time 0.
Taking h(z) for sum_k h[k] z^-k, level i answers with the products

    A_i(z) = h0(z) h0(z^2) ... h0(z^(2^(i-1))),        B_i(z) = A_{i-1}(z) h1(z^(2^(i-1))).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import get_xp
from .checks import check_int, check_shape
from .tree import (
    check_depth,
    check_filters,
    check_response_size,
    check_weights,
    memory,
    of_level,
    pyramid,
    receptive_field,
    taps_per_level,
)


def unit_impulse(h0: Any, length: int) -> Any:
    """A 1 at time 0 and zeros after it, [L], or [D, L] where the filters have channels."""
    xp = get_xp(h0)
    channels = () if h0.ndim == 1 else (h0.shape[-2],)
    x = xp.zeros((*channels, length), dtype=h0.dtype)
    x[..., 0] = 1
    return x


def impulse_responses(h0: Any, h1: Any, depth: int) -> list[tuple[Any, Any]]:
    """The impulse responses of a_i and b_i, fine to coarse: [(g_1, d_1), ..., (g_J, d_J)].

    Parameters
    ----------
    h0, h1 : arrays [K], [D, K] or untied [J, D, K], lag order
    depth : int, J

    Returns
    -------
    list of J pairs of arrays [..., (K - 1)(2^i - 1) + 1]
        Entry t of a response is the weight that the coefficient gives to the sample t steps ago.

    Raises
    ------
    TypeError, ValueError
        For filters that are no float arrays of one shape and dtype, fewer than two taps, a depth out of range, or one so deep
        that the result would take more than 4 GiB.

    Notes
    -----
    For an orthogonal wavelet, `pywt.upcoef("a", [1.0], name, level=i)` is g_i reversed (relation G of `interop.pywavelets`).

    Examples
    --------
    >>> for g, d in impulse_responses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2):
    ...     print(g, d)
    [1. 1.] [ 1. -1.]
    [1. 1. 1. 1.] [ 1.  1. -1. -1.]
    """
    h0, h1 = check_filters(h0, h1)
    J, K = check_depth(depth, h0), h0.shape[-1]
    check_response_size(J, h0, 2 * J, h0.dtype.itemsize)
    levels = pyramid(unit_impulse(h0, receptive_field(J, K)), h0, h1, J)
    return [tuple(c[..., : receptive_field(i, K)] for c in pair) for i, pair in enumerate(levels, start=1)]


def frequency_responses(h0: Any, h1: Any, depth: int, frequencies: Any = 512) -> tuple[np.ndarray, list[tuple[Any, Any]]]:
    """The frequency responses of a_i and b_i, fine to coarse, by the product formula (exact, no FFT grid).

        A_i(f) = prod_{j < i} H0(2^j f),    B_i(f) = A_{i-1}(f) H1(2^(i-1) f),    H(f) = sum_k h[k] exp(-2 pi i f k)

    Parameters
    ----------
    h0, h1 : arrays [K], [D, K] or untied [J, D, K], lag order
    depth : int, J
    frequencies : int, or array in cycles per sample
        A number of evenly spaced frequencies from 0 to 0.5 (half the sampling rate), or the frequencies themselves.

    Returns
    -------
    frequencies : array [N], cycles per sample
    list of J pairs (A_i, B_i) of complex arrays [..., N]

    Raises
    ------
    TypeError, ValueError
        As `impulse_responses`.

    Examples
    --------
    >>> f, ((A1, B1),) = frequency_responses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=1, frequencies=3)
    >>> abs(A1).round(3), abs(B1).round(3)  # at 0, a quarter and half the sampling rate
    (array([2.   , 1.414, 0.   ]), array([0.   , 1.414, 2.   ]))
    """
    h0, h1 = check_filters(h0, h1)
    J = check_depth(depth, h0)
    if np.ndim(frequencies) == 0:
        frequencies = np.linspace(0, 0.5, check_int("frequencies", frequencies, 1))
    f = np.asarray(frequencies, dtype=np.float64)
    check_shape("frequencies", f, (None,), "[N]")
    responses, A = [], 1.0
    for i in range(1, J + 1):
        dilation = 2 ** (i - 1)
        B = A * transfer(of_level(h1, i), dilation * f)
        A = A * transfer(of_level(h0, i), dilation * f)
        responses.append((A, B))
    return f, responses


def transfer(h: np.ndarray, f: np.ndarray) -> np.ndarray:
    """H(f) = sum_k h[k] exp(-2 pi i f k): [..., N] for taps [..., K] and frequencies [N] in cycles per sample."""
    return h @ np.exp(-2j * np.pi * np.outer(np.arange(h.shape[-1]), f))


def equivalent_kernel(h0: Any, h1: Any, w: Any, w_skip: Any, *, tree_select: str = "fading", depth: int | None = None) -> Any:
    """The one causal kernel that the whole layer equals: y[n] = sum_t kernel[t] x[n - t].

    Parameters
    ----------
    h0, h1, w, w_skip, tree_select, depth
        As for `multires_conv`.

    Returns
    -------
    array [D, (K - 1)(2^J - 1) + 1]
        Both TreeSelects reach equally far: the uniform memory keeps details out of the same span that a_J sees.

    Raises
    ------
    TypeError, ValueError
        As `multires_conv`, and for a depth whose kernels would take more than 4 GiB on the way.

    Examples
    --------
    >>> h0, h1 = np.array([[0.5, 0.5]]), np.array([[1.0, -1.0]])
    >>> equivalent_kernel(h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.0]))  # a_2 alone: the mean of the last four
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    h0, h1 = check_filters(h0, h1)
    if h0.ndim == 1:
        raise ValueError(f"h0 must have shape [D, K] or [J, D, K]; got {tuple(h0.shape)}")
    w, w_skip, J = check_weights(h0, w, w_skip, tree_select, depth)
    m = w.shape[1]
    taps_per_level(J, h0.shape[-1], tree_select, m)  # refuses an m that does not fit
    check_response_size(J, h0, 2 * J + m, h0.dtype.itemsize)
    x = unit_impulse(h0, receptive_field(J, h0.shape[-1]))
    z, _ = memory(x, h0, h1, J, tree_select, m)  # [D, m, R]
    return get_xp(w, z).matmul(w[:, None, :], z)[:, 0, :] + w_skip[:, None] * x
