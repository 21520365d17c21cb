"""What fixes a launch of the tree's kernels: the layer's sizes, where its filters begin, and how many threads a block has."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from ...base.arrays import Array
from ..readout import filter_lengths

MOST_SUMS = 8  # correlations that a thread sums up at a time in the backward pass


class Layer(NamedTuple):
    """The sizes of a layer, where the readout filter of each level begins, and what the memory keeps of each level."""

    J: int
    K: int
    m: int
    starts: tuple[int, ...]  # [J + 1]
    kept: tuple[int, ...]  # [J]
    untied: bool

    @property
    def Q(self) -> int:
        """Length of all readout filters together."""
        return self.starts[-1]

    @property
    def lengths(self) -> list[int]:
        """Length of each readout filter."""
        return [stop - start for start, stop in zip(self.starts, self.starts[1:], strict=False)]

    @property
    def most_taps(self) -> int:
        """The longest filter, low-pass or readout."""
        return max(self.K, *self.lengths)

    @property
    def coefficients(self) -> int:
        """How many filter coefficients a channel has, and sums over time a row has for the gradients: h0's, q's and w_a's."""
        return self.J * self.K + self.Q + 1


def layer_of(h0: Array, w: Array, kept: tuple[int, ...]) -> Layer:
    """The layer with h0 [D, K], or untied [J, D, K], and weights w [D, m]; its filters are laid out as by `readout.fold`."""
    K = h0.shape[-1]
    starts = tuple(int(n) for n in np.cumsum((0, *filter_lengths(kept, K))))
    return Layer(len(kept), K, w.shape[1], starts, tuple(kept), h0.ndim == 3)


@cache
def plan(layer: Layer) -> Array:
    """`layer` on the GPU, in the order that `plan.cu` reads: one small copy for each kind of layer."""
    import cupy

    at = [1 + sum(layer.kept[i + 1 :]) for i in range(layer.J)]  # in w the weights of the details follow a_J's, coarse to fine
    head = [layer.J, layer.K, layer.m, layer.Q, int(layer.untied)]
    return cupy.asarray(np.array([*head, *layer.starts, *layer.kept, *at], dtype=np.int32))


def threads_for(L: int, items: int, most: int = 1024) -> int:
    """The smallest power of two of at least 32 threads (one warp) with which a thread holds at most `items` of L samples."""
    threads = 32
    while threads < most and threads * items < L:
        threads *= 2
    return threads


def backward_elements(layer: Layer, L: int, threads: int) -> tuple[int, int]:
    """How many elements a block of the backward pass holds: the coefficients; and a_0 ... a_J, g and the sums of each warp, which
    go to scratch space where they do not fit in shared memory."""
    return layer.coefficients, (layer.J + 2) * L + layer.coefficients * (threads // 32)


def backward_threads(layer: Layer, L: int, itemsize: int, shared: int) -> tuple[int, bool]:
    """Threads of a block, and whether its elements fit in `shared` bytes; fewer threads where that makes them fit.

    Examples
    --------
    >>> layer = Layer(12, 2, 13, tuple(range(0, 26, 2)), (1,) * 12, False)
    >>> backward_threads(layer, 4096, 4, 227 * 1024), backward_threads(layer, 8192, 4, 227 * 1024)
    ((256, True), (512, False))
    """
    most = threads_for(L, 8, 512)
    for threads in (most, max(32, most // 2)):
        if itemsize * sum(backward_elements(layer, L, threads)) <= shared:
            return threads, True
    return most, False


def sums_at_a_time(layer: Layer) -> int:
    """4 or 8: enough for both filters of a level of the fading tree where K is at most 4."""
    widest = max(layer.lengths) + layer.K
    return next((n for n in (4, MOST_SUMS) if n >= widest), MOST_SUMS)
