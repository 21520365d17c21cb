"""One layer's convolution as a recurrence over time; its past is kept in ring buffers.

With the readout filters of `readout.py`, a layer needs the newest sample and past values of a_0 ... a_{J-1}, and nothing else:

    a_i[n] = h0[0] a_{i-1}[n] + sum_{k >= 1} h0[k] a_{i-1}[n - k s]          s = 2^(i-1)
    y[n]   = sum_i sum_j q_i[j] a_{i-1}[n - j s] + w_a a_J[n]

So level i keeps a ring of the last (max(K, Q_i) - 1) s values of a_{i-1}, where Q_i is the number of taps of q_i. For the fading
tree Q_i = K, and the rings of a channel hold (K - 1)(2^J - 1) elements; for the uniform tree Q_i grows with the details kept. A
step reads max(K, Q_i) - 1 elements of each ring. That is O(K J) work for each channel with the fading tree and O(K J + m) with
the uniform one, however long the sequence was before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..base.arrays import Array, get_xp
from .readout import filter_length, fold, untied

MAX_RING_ELEMENTS = 2**32  # of all layers, streams and channels: 16 GiB in float32


class Rings(NamedTuple):
    """Where the ring of each level is in one row of `size` elements, and which taps j >= 1 are read from the rings.

    The readings 0 ... J (K - 1) - 1 are the taps 1 ... K - 1 of each level in turn; the further taps of the readout follow.
    """

    start: np.ndarray  # [J]
    length: np.ndarray  # [J]
    size: int
    level: np.ndarray  # [R] the level of each reading, from 0
    lag: np.ndarray  # [R] its tap times 2^level, or the ring's length where that is less
    tap: np.ndarray  # [R]
    seen: np.ndarray  # [R] False where the true lag is max_length or more: such a tap only ever meets zeros

    def reading(self, n: int) -> np.ndarray:
        """The places to read at time n, before the newest values are written: [R]."""
        return self.start[self.level] + (n - self.lag) % self.length[self.level]

    def writing(self, n: int) -> np.ndarray:
        """The places of the newest a_0 ... a_{J-1}: [J]."""
        return self.start + n % self.length


def plan_rings(kept: tuple[int, ...], K: int, max_length: int | None = None) -> Rings:
    """Lay out the rings, given how many details of each level the memory keeps (`tree.kept_per_level`).

    Examples
    --------
    >>> plan_rings((1, 1, 1), K=2).length, plan_rings((1, 1, 1), K=2, max_length=4).length
    (array([1, 2, 4]), array([1, 2, 3]))
    """
    J = len(kept)
    last_tap = [max(K, filter_length(t, K)) - 1 for t in kept]
    length = [last_tap[i] * 2**i for i in range(J)]
    if max_length is not None:
        length = [min(n, max(1, max_length - 1)) for n in length]
    if sum(length) > MAX_RING_ELEMENTS:
        raise ValueError(f"a tree of depth {J} needs rings of {sum(length)} numbers a channel: give max_length to shorten them")
    readings = [(i, j) for i in range(J) for j in range(1, K)] + [(i, j) for i in range(J) for j in range(K, last_tap[i] + 1)]
    seen = np.array([j * 2**i <= length[i] for i, j in readings])
    lag = np.array([min(j * 2**i, length[i]) for i, j in readings])
    start = np.cumsum(length) - length
    level, tap = np.array(readings).T
    return Rings(start, np.array(length), int(sum(length)), level, lag, tap, seen)


class LayerWeights(NamedTuple):
    """The filters and weights of a layer, laid out by tap for one step at a time."""

    now: Array  # [J, D] h0[0] of each level
    past: Array  # [J, K - 1, 1, D] h0[1:]
    readout: Array  # [J + 1 + R, D] of the newest a_0 ... a_J, then of what is read from the rings


def layer_weights(conv: dict[str, Array], kept: tuple[int, ...], rings: Rings) -> LayerWeights:
    """Prepare the parameters of one layer ("h0", "h1", "w", "w_skip")."""
    xp, J = get_xp(conv["w"]), len(kept)
    h0, h1 = untied(conv["h0"], J), untied(conv["h1"], J)  # [J, D, K]
    q, w_a = fold(h1, conv["w"], conv["w_skip"], kept)
    zero = xp.zeros_like(w_a)

    def of_tap(i: int, j: int) -> Array:
        return q[i][:, j] if j < q[i].shape[1] else zero

    newest = [of_tap(i, 0) for i in range(J)]
    read = [of_tap(i, j) if ok else zero for i, j, ok in zip(rings.level, rings.tap, rings.seen, strict=True)]
    n_past = J * (h0.shape[2] - 1)
    seen = xp.asarray(rings.seen[:n_past].reshape(J, -1, 1))
    past = xp.swapaxes(h0[:, :, 1:], 1, 2) * seen  # [J, K - 1, D]
    return LayerWeights(
        xp.ascontiguousarray(h0[:, :, 0]), xp.ascontiguousarray(past[:, :, None]), xp.stack([*newest, w_a, *read])
    )


def conv_step(x: Array, ring: Array, weights: LayerWeights, reading: Array, writing: Array) -> Array:
    """One layer's convolution at one time step: x [B, D] -> y [B, D]. The newest values are written to `ring` [size, B, D]."""
    xp, (J, n_taps) = get_xp(x), weights.past.shape[:2]
    z = xp.empty((J + 1 + len(reading), *x.shape), x.dtype)  # the newest a_0 ... a_J, then what is read
    z[0] = x
    z[J + 1 :] = ring[reading]
    read = z[J + 1 : J + 1 + J * n_taps].reshape(J, n_taps, *x.shape)
    before = (weights.past * read).sum(axis=1)  # [J, B, D]: what the past adds to a_1 ... a_J
    for i in range(J):
        xp.multiply(weights.now[i], z[i], out=z[i + 1])
        z[i + 1] += before[i]
    ring[writing] = z[:J]
    return xp.einsum("rbd,rd->bd", z, weights.readout)
