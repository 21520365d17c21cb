"""The layer's kernel, what the tree makes of an impulse, and the gradient of the filters from the kernel's.

The impulse response of a_i is only (K - 1)(2^i - 1) + 1 samples long, so each level works on that many and no more, which makes
the whole tree of an impulse as cheap as about two of its levels. Arrays are [D, samples]; the kernel is cut to L samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def add_delayed(y: Any, a: Any, c: Any, steps: int) -> None:
    """y[n] += c a[n - steps], in place, for y and a of any lengths."""
    m = min(a.shape[1], y.shape[1] - steps)
    if m > 0:
        y[:, steps : steps + m] += c[:, None] * a[:, :m]


def add_advanced(a: Any, y: Any, c: Any, steps: int) -> None:
    """a[n] += c y[n + steps], in place: the adjoint of `add_delayed`."""
    m = min(a.shape[1], y.shape[1] - steps)
    if m > 0:
        a[:, :m] += c[:, None] * y[:, steps : steps + m]


def correlation(y: Any, a: Any, steps: int) -> Any:
    """sum_n y[n + steps] a[n]: [D]."""
    m = max(0, min(a.shape[1], y.shape[1] - steps))
    return np.einsum("dn,dn->d", y[:, steps : steps + m], a[:, :m])


def responses(h0: Any, L: int) -> list[Any]:
    """The impulse responses of a_0 ... a_J, each as long as it is, at most L: [D, samples]."""
    J, D, K = h0.shape
    a = [np.ones((D, 1), h0.dtype)]
    for i in range(J):
        out = np.zeros((D, min(L, a[i].shape[1] + (K - 1) * 2**i)), h0.dtype)
        for k in range(K):
            add_delayed(out, a[i], h0[i, :, k], k * 2**i)
        a.append(out)
    return a


def kernel(h0: Any, q: list[Any], w_a: Any, L: int) -> Any:
    """sum_i q_i * a_{i-1} + w_a a_J for the impulse: the causal filter [D, L] that the layer is."""
    a, y = responses(h0, L), np.zeros((h0.shape[1], L), h0.dtype)
    for i, q_i in enumerate(q):
        for j in range(q_i.shape[1]):
            add_delayed(y, a[i], q_i[:, j], j * 2**i)
    add_delayed(y, a[-1], w_a, 0)
    return y


def kernel_adjoint(dy: Any, h0: Any, q: list[Any], w_a: Any) -> tuple[Any, list[Any], Any]:
    """dh0 [J, D, K], dq (J arrays [D, Q_i]) and dw_a [D] from the kernel's gradient dy [D, L]."""
    (J, _, K), a = h0.shape, responses(h0, dy.shape[1])
    dh0, dq, dw_a = np.empty(h0.shape, h0.dtype), [np.empty_like(q_i) for q_i in q], correlation(dy, a[J], 0)
    da = w_a[:, None] * dy[:, : a[J].shape[1]]
    for i in reversed(range(J)):
        down = np.zeros_like(a[i])  # the gradient of a_{i-1}, where that is not zero
        for k in range(K):
            dh0[i, :, k] = correlation(da, a[i], k * 2**i)
            add_advanced(down, da, h0[i, :, k], k * 2**i)
        for j in range(q[i].shape[1]):
            dq[i][:, j] = correlation(dy, a[i], j * 2**i)
            add_advanced(down, dy, q[i][:, j], j * 2**i)
        da = down
    return dh0, dq, dw_a
