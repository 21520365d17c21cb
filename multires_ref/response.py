"""What each scale sees: impulse and frequency responses, and the one long kernel that a layer equals.

The layer is linear and causal and does the same at every time, so it is known by its answer to a single 1 at time 0.
Taking h(z) for sum_k h[k] z^-k, level i answers with the products

    A_i(z) = h0(z) h0(z^2) ... h0(z^(2^(i-1))),        B_i(z) = A_{i-1}(z) h1(z^(2^(i-1))).
"""

from __future__ import annotations

import numpy as np

from .base.arrays import Array, Pairs, get_xp
from .base.checks import check_int, check_shape
from .base.layer_checks import check_depth, check_filters, check_memory_size, check_response_size, check_weights
from .tree import memory, of_level, pyramid, receptive_field


def impulse_responses(h0: Array, h1: Array, depth: int) -> Pairs:
    """The impulse responses of a_i and b_i, fine to coarse: [(g_1, d_1), ..., (g_J, d_J)].

    For an orthogonal wavelet, `pywt.upcoef("a", [1.0], name, level=i)` is g_i reversed (relation G of `check_pywavelets`).

    Parameters
    ----------
    h0, h1 : arrays [K], [D, K] or untied [J, D, K], lag order
    depth : int, J

    Returns
    -------
    list of J pairs of arrays [..., (K - 1)(2^i - 1) + 1]; entry t is the weight given to the sample t steps ago

    Filters that do not fit together, and a depth out of range or with a result of more than 4 GiB, are refused.

    Examples
    --------
    >>> for g, d in impulse_responses(np.array([1.0, 1.0]), np.array([1.0, -1.0]), depth=2):
    ...     print(g, d)
    [1. 1.] [ 1. -1.]
    [1. 1. 1. 1.] [ 1.  1. -1. -1.]
    """
    h0, h1 = check_filters(h0, h1)
    J, K = check_depth(depth, h0), h0.shape[-1]
    check_response_size(J, h0, 2 * J)
    levels = pyramid(unit_impulse(h0, receptive_field(J, K)), h0, h1, J)
    return [(g[..., : receptive_field(i, K)], d[..., : receptive_field(i, K)]) for i, (g, d) in enumerate(levels, start=1)]


def frequency_responses(h0: Array, h1: Array, depth: int, frequencies: int | Array = 512) -> tuple[np.ndarray, Pairs]:
    """The frequency responses of a_i and b_i, fine to coarse, by the product formula (exact, no FFT grid).

        A_i(f) = prod_{j < i} H0(2^j f),    B_i(f) = A_{i-1}(f) H1(2^(i-1) f),    H(f) = sum_k h[k] exp(-2 pi i f k)

    Parameters
    ----------
    h0, h1, depth, as for `impulse_responses`
    frequencies : int (so many, evenly spaced from 0 to 0.5, half the sampling rate), or an array in cycles per sample

    Returns
    -------
    frequencies : array [N], cycles per sample; and a list of J pairs (A_i, B_i) of complex arrays [..., N]

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
    responses: Pairs = []
    A: Array = 1.0
    for i in range(1, J + 1):
        B = A * transfer(of_level(h1, i), 2 ** (i - 1) * f)
        A = A * transfer(of_level(h0, i), 2 ** (i - 1) * f)
        responses.append((A, B))
    return f, responses


def unit_impulse(h0: Array, length: int) -> Array:
    """A 1 at time 0 and zeros after it, [L], or [D, L] where the filters have channels."""
    x = get_xp(h0).zeros((*h0.shape[-2:-1], length), dtype=h0.dtype)
    x[..., 0] = 1
    return x


def transfer(h: np.ndarray, f: np.ndarray) -> np.ndarray:
    """H(f) = sum_k h[k] exp(-2 pi i f k): [..., N] for taps [..., K] and frequencies [N] in cycles per sample."""
    return h @ np.exp(-2j * np.pi * np.outer(np.arange(h.shape[-1]), f))


def equivalent_kernel(
    h0: Array, h1: Array, w: Array, w_skip: Array, *, tree_select: str = "fading", depth: int | None = None
) -> Array:
    """The one causal kernel that the whole layer equals: y[n] = sum_t kernel[t] x[n - t].

    Arguments and errors are those of `multires_conv`; a depth whose kernels would take more than 4 GiB is refused.

    Returns
    -------
    array [D, (K - 1)(2^J - 1) + 1], for both TreeSelects: the uniform memory's details lie in the span that a_J sees

    Examples
    --------
    >>> h0, h1 = np.array([[0.5, 0.5]]), np.array([[1.0, -1.0]])
    >>> equivalent_kernel(h0, h1, np.array([[1.0, 0.0, 0.0]]), np.array([0.0]))  # a_2 alone: the mean of the last four
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    h0, h1 = check_filters(h0, h1, channels=True)
    w, w_skip, J = check_weights(h0, w, w_skip, tree_select, depth)
    _, _, m = check_memory_size(J, h0.shape[-1], tree_select, w.shape[1])
    check_response_size(J, h0, 2 * J + m)
    x = unit_impulse(h0, receptive_field(J, h0.shape[-1]))
    z, _ = memory(x, h0, h1, J, tree_select, m)  # [D, m, R]
    return get_xp(w, z).matmul(w[:, None, :], z)[:, 0, :] + w_skip[:, None] * x
