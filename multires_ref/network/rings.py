"""One layer's convolution as a recurrence over time, its past kept in ring buffers.

In the readout form of `engines/readout.py` a layer needs, beside the newest sample, past values of a_0 ... a_{J-1} only:

    a_i[n] = h0[0] a_{i-1}[n] + sum_{k >= 1} h0[k] a_{i-1}[n - k s]          s = 2^(i-1)
    y[n]   = sum_i sum_j q_i[j] a_{i-1}[n - j s] + w_a a_J[n]

So level i keeps a ring of the last (max(K, Q_i) - 1) s values of a_{i-1}, Q_i being the taps of q_i. For the fading tree Q_i = K,
and the rings of a channel hold (K - 1)(2^J - 1) numbers; for the uniform one Q_i = 2 t_i + K - 2, with t_i details kept of level
i, and `ring_numbers` says how many that makes. A step reads sum_i (max(K, Q_i) - 1) of them: O(K J) work a channel for the
fading tree, O(K J + m) for the uniform one, however long the sequence was before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..base.arrays import get_xp
from ..engines import readout
from ..tree import kept_per_level
from .config import NetworkConfig

MAX_RING_NUMBERS = 2**32  # of all layers, streams and channels: 16 GiB in float32


class Rings(NamedTuple):
    """Where each level's ring stands in one row of `size` numbers, and which taps j >= 1 are read from them.

    Readings 0 ... J (K - 1) - 1 are the taps 1 ... K - 1 of each level in turn; then come the further taps of the readout.
    """

    start: np.ndarray  # [J]
    length: np.ndarray  # [J]
    size: int
    level: np.ndarray  # [R] of each reading, from 0
    lag: np.ndarray  # [R] its tap times 2^level, or the ring's length where that is less
    tap: np.ndarray  # [R]
    seen: np.ndarray  # [R] False where the true lag is max_length or more: such a tap only ever meets zeros

    def reading(self, n: int) -> np.ndarray:
        """The places to read at time n, before the newest values are written: [R]."""
        return self.start[self.level] + (n - self.lag) % self.length[self.level]

    def writing(self, n: int) -> np.ndarray:
        """The places of the newest a_0 ... a_{J-1}: [J]."""
        return self.start + n % self.length


def plan_rings(taps: tuple[int, ...], K: int, max_length: int | None = None) -> Rings:
    """Lay out the rings for the details kept of each level (`tree.kept_per_level`).

    Examples
    --------
    >>> plan_rings((1, 1, 1), K=2).length, plan_rings((1, 1, 1), K=2, max_length=4).length
    (array([1, 2, 4]), array([1, 2, 3]))
    """
    J = len(taps)
    last_tap = [max(K, 2 * t + K - 2 if t else 0) - 1 for t in taps]
    length = [last_tap[i] * 2**i for i in range(J)]
    if max_length is not None:
        length = [min(n, max(1, max_length - 1)) for n in length]
    if sum(length) > MAX_RING_NUMBERS:
        raise ValueError(f"a tree of depth {J} needs rings of {sum(length)} numbers a channel: give max_length to shorten them")
    readings = [(i, j) for i in range(J) for j in range(1, K)] + [(i, j) for i in range(J) for j in range(K, last_tap[i] + 1)]
    lag = [j * 2**i for i, j in readings]
    seen = np.array([true <= length[i] for true, (i, _) in zip(lag, readings, strict=True)])
    lag = np.array([min(true, length[i]) for true, (i, _) in zip(lag, readings, strict=True)])
    start = np.cumsum(length) - length
    level, tap = np.array(readings).T
    return Rings(start, np.array(length), int(sum(length)), level, lag, tap, seen)


def ring_numbers(config: NetworkConfig) -> int:
    """How many numbers a stream of any length keeps for each channel and layer.

    Examples
    --------
    >>> fading = NetworkConfig(d_input=1, d_output=10, d_model=8, n_layers=2, kernel_size=4, max_length=1024)
    >>> ring_numbers(fading), (4 - 1) * (2**fading.J - 1)
    (1533, 1533)
    """
    taps = kept_per_level(config.J, config.kernel_size, config.tree_select, config.m)
    return plan_rings(taps, config.kernel_size).size


class LayerWeights(NamedTuple):
    """A layer's filters and weights, laid out by tap for one step at a time."""

    now: Any  # [J, D] h0[0] of each level
    past: Any  # [J, K - 1, 1, D] h0[1:]
    readout: Any  # [J + 1 + R, D] of the newest a_0 ... a_J, then of what is read from the rings


def layer_weights(conv: dict[str, Any], taps: tuple[int, ...], rings: Rings) -> LayerWeights:
    """Prepare the parameters of one layer ("h0", "h1", "w", "w_skip")."""
    xp, J = get_xp(conv["w"]), len(taps)
    h0, h1 = (h if h.ndim == 3 else xp.broadcast_to(h, (J, *h.shape)) for h in (conv["h0"], conv["h1"]))  # [J, D, K]
    q, w_a = readout.fold(h1, conv["w"], conv["w_skip"], taps)
    zero = xp.zeros_like(w_a)

    def of_tap(i: int, j: int) -> Any:
        return q[i][:, j] if j < q[i].shape[1] else zero

    newest = [of_tap(i, 0) for i in range(J)]
    read = [of_tap(i, j) if ok else zero for i, j, ok in zip(rings.level, rings.tap, rings.seen, strict=True)]
    n_past = J * (h0.shape[2] - 1)
    seen = xp.asarray(rings.seen[:n_past].reshape(J, -1, 1))
    past = xp.swapaxes(h0[:, :, 1:], 1, 2) * seen  # [J, K - 1, D]
    return LayerWeights(
        xp.ascontiguousarray(h0[:, :, 0]), xp.ascontiguousarray(past[:, :, None]), xp.stack([*newest, w_a, *read])
    )


def conv_step(x: Any, ring: Any, weights: LayerWeights, reading: Any, writing: Any) -> Any:
    """One layer's convolution at one time step: x [B, D] -> y [B, D]; `ring` [size, B, D] is brought up to date."""
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
