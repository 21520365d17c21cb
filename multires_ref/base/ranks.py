"""The processes that train one network together, as everything else sees them: `Ranks`, and a rank's `Share` of a batch.

Ranks is at the same time the simplest case, one process that is alone; `ALONE` is that one. `distributed/` has the ranks of MPI.
All ranks call the same methods in the same order. What they get is the same on all ranks, bit for bit: sums are taken in the
order of the ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .arrays import Array, get_xp
from .pytrees import Params, flatten, unflatten

T = TypeVar("T")


class Ranks:
    """The processes of one run, numbered from 0 to `size` - 1; this process is number `rank`. Here there is only one.

    Examples
    --------
    >>> ranks = Ranks()
    >>> ranks.size, ranks.sum(np.ones(2)), ranks.once(lambda: "written")
    (1, array([1., 1.]), 'written')
    """

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes the files and says how it goes."""
        return self.rank == 0

    def gather(self, array: Array) -> Array:
        """The arrays of all ranks, of one shape and dtype, in the order of the ranks: [size, ...]."""
        return array[None]

    def gather_objects(self, value: T) -> list[T]:
        """What every rank gives, of any kind, in the order of the ranks."""
        return [value]

    def broadcast(self, value: T) -> T:
        """What rank 0 gives."""
        return value

    def check_alive(self) -> None:
        """Raise an error if another rank is known to have ended."""

    def gradient_sum(self, params: Params) -> GradientSum:
        """A new sum of all ranks' gradients of `params`, for one backward pass."""
        return GradientSum(self)

    def sum(self, array: Array) -> Array:
        """The sum of all ranks' arrays, added in the order of the ranks."""
        return array if self.size == 1 else in_order(self.gather(array))

    def flags(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any rank."""
        if self.size == 1:
            return list(flags)
        of_all = self.gather(np.array(flags))  # [size, flags]
        return [bool(flag) for flag in np.atleast_1d(of_all.any(axis=0))]

    def once(self, call: Callable[[], T]) -> T:
        """Rank 0 makes the call; all ranks return what it returned, or raise the exception that it raised."""
        if self.size == 1:
            return call()
        result, failure = None, None
        if self.first:
            try:
                result = call()
            except Exception as error:
                failure = error
        result, failure = self.broadcast((result, failure))
        if failure is not None:
            raise failure
        return result  # type: ignore[return-value]

    def share(self, B: int) -> Share | None:
        """This rank's share of a batch of B examples; None where it has the whole of it because it is alone."""
        return None if self.size == 1 else Share(self, B)


ALONE = Ranks()


def in_order(parts: Array) -> Array:
    """parts[0] + parts[1] + ..., from the left.

    Examples
    --------
    >>> print(in_order(np.array([1e-20, 1.0, -1.0])), in_order(np.array([1.0, -1.0, 1e-20])))
    0.0 1e-20
    """
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class GradientSum:
    """The sum of all ranks' gradients of one backward pass: this one adds them when the pass is over.

    `add` takes a gradient as soon as it is complete; `distributed/buckets.py` sends it on its way while the pass still runs.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def add(self, name: str, gradient: Array) -> None:
        """Take this rank's gradient of the parameter `name`; it may be changed afterwards."""

    def result(self, grads: Params) -> Params:
        """The sums over all ranks, as a pytree like `grads`, this rank's own gradients."""
        return unflatten({name: self.ranks.sum(g) for name, g in flatten(grads).items()})


@dataclass(frozen=True)
class Share:
    """One rank's rows of a batch of `size` examples: neighbouring rows, the first ranks one more where they cannot be equal.

    Where there are fewer examples than ranks, some have none. Such a rank computes with the first example and the weight 0, so
    that it takes part in everything that the ranks do together.

    Examples
    --------
    >>> share = Share(ALONE, 5)
    >>> share.counts, share.rows, share.weight
    ((5,), slice(0, 5, None), 1.0)
    """

    ranks: Ranks
    size: int

    @property
    def counts(self) -> tuple[int, ...]:
        """How many examples each rank has."""
        less, more = divmod(self.size, self.ranks.size)
        return tuple(less + (rank < more) for rank in range(self.ranks.size))

    @property
    def own(self) -> int:
        """How many examples this rank has."""
        return self.counts[self.ranks.rank]

    @property
    def rows(self) -> slice:
        """The rows of the batch that this rank computes with: its own, or the first one where it has none."""
        start = sum(self.counts[: self.ranks.rank])
        return slice(start, start + self.own) if self.own else slice(0, 1)

    @property
    def weight(self) -> float:
        """The part of the batch that is this rank's: a mean over the batch is the sum over ranks of weight times their means."""
        return self.own / self.size

    def weights_like(self, array: Array) -> Array:
        """The weights of all ranks in the array's dtype, shaped so that they stand before arrays from `Ranks.gather`."""
        weights = np.array(self.counts) / self.size
        return get_xp(array).asarray(weights.astype(str(array.dtype))).reshape(-1, *[1] * array.ndim)
