"""Gradients summed over all ranks while the backward pass still runs.

The backward pass completes the gradients of the last layers first. They are copied, in that order, into buckets of a few
megabytes, and a full bucket is sent at once while the pass goes on. A bucket of n numbers on p ranks takes two steps:

    1. every rank sends the k-th p-th part of its bucket to rank k, which adds the p parts in the order of the ranks
    2. every rank sends its sums to all others

So every rank sends 2 n (p - 1) / p numbers, the fewest that are possible, and each sum is made by one rank in a fixed order: all
ranks get the same bits, and a second run gets them again. MPI's own Allreduce promises neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..base.arrays import Array, family, get_xp
from ..base.pytrees import Params, flatten, unflatten
from ..base.ranks import GradientSum, in_order

if TYPE_CHECKING:
    from .mpi import MpiRanks

BUCKET = 2**22  # bytes


class Place(NamedTuple):
    """Where a gradient stands: in which bucket, from which element, and its shape."""

    bucket: int
    start: int
    shape: tuple[int, ...]

    @property
    def stop(self) -> int:
        """The element after its last one."""
        return self.start + math.prod(self.shape)


@dataclass(frozen=True)
class Plan:
    """The place of every gradient, and the length of every bucket, a multiple of the number of ranks."""

    names: tuple[str, ...]
    of: tuple[Place, ...]
    lengths: tuple[int, ...]

    @property
    def places(self) -> dict[str, Place]:
        """The place of each gradient by its name."""
        return dict(zip(self.names, self.of, strict=True))


def plan_of(params: Params, ranks: int, bucket: int = BUCKET) -> Plan:
    """The gradients from the last parameter to the first, in buckets that are full when they hold `bucket` bytes.

    Examples
    --------
    >>> import numpy as np
    >>> plan_of({"encoder": np.zeros(3), "decoder": np.zeros((2, 2))}, ranks=3, bucket=8).places
    {'decoder': Place(bucket=0, start=0, shape=(2, 2)), 'encoder': Place(bucket=1, start=0, shape=(3,))}
    """
    places: dict[str, Place] = {}
    lengths = [0]
    for name, p in reversed(flatten(params).items()):
        if lengths[-1] * p.dtype.itemsize >= bucket:
            lengths.append(0)
        places[name] = Place(len(lengths) - 1, lengths[-1], p.shape)
        lengths[-1] = places[name].stop
    return Plan(tuple(places), tuple(places.values()), tuple(-(-n // ranks) * ranks for n in lengths))


class Buckets(GradientSum):
    """The buckets of a run, used again in every step.

    A bucket is sent when it is full and those before it are on their way, so that all ranks send them in one order.
    """

    def __init__(self, ranks: MpiRanks, plan: Plan, params: Params) -> None:
        some = next(iter(flatten(params).values()))
        self.ranks: MpiRanks = ranks
        self.places, self.lengths, self.names = plan.places, plan.lengths, list(flatten(params))
        self.on_gpu = family(some) == "cupy"
        xp = get_xp(some) if ranks.direct else np
        shapes = [(ranks.size, n // ranks.size) for n in self.lengths]
        self.own, self.parts, self.sums = ([xp.zeros(s, dtype=some.dtype) for s in shapes] for _ in range(3))
        self.start()

    def start(self) -> Buckets:
        """Begin a new sum."""
        self.waiting = set(self.places)  # gradients that have not come yet
        self.missing = [sum(place.bucket == b for place in self.places.values()) for b in range(len(self.lengths))]
        self.first: list[Any] = []  # requests of step 1, of the buckets so far
        self.second: list[Any] = []  # and of step 2
        self.kept: list[Array] = []  # what is being sent must stay
        return self

    def add(self, name: str, gradient: Array) -> None:
        place = self.places[name]
        flat = self.own[place.bucket].reshape(-1)[place.start : place.stop]
        flat[:] = self.here(gradient).reshape(-1)
        self.waiting.remove(name)
        self.missing[place.bucket] -= 1
        while len(self.first) < len(self.missing) and self.missing[len(self.first)] == 0:
            self.send(len(self.first))
        self.go_on()

    def here(self, gradient: Array) -> Array:
        """The gradient in the memory of the buckets."""
        return self.ranks.to_host(gradient) if self.on_gpu and not self.ranks.direct else gradient

    def send(self, b: int) -> None:
        """Step 1 of bucket b."""
        self.synchronise()
        self.first.append(self.ranks.scattered.Ialltoall(self.own[b], self.parts[b]))

    def add_up(self, b: int) -> None:
        """Step 2 of bucket b, whose parts have come."""
        sums = in_order(self.parts[b])
        self.synchronise()
        self.kept.append(sums)
        self.second.append(self.ranks.gathered.Iallgather(sums, self.sums[b]))

    def synchronise(self) -> None:
        """Let the GPU finish what MPI is going to read."""
        if self.on_gpu and self.ranks.direct:
            import cupy

            cupy.cuda.get_current_stream().synchronize()

    def go_on(self) -> None:
        """Step 2 of every bucket whose step 1 is over; MPI itself goes on only while it is called."""
        while len(self.second) < len(self.first) and self.first[len(self.second)].Test():
            self.add_up(len(self.second))
        self.ranks.mpi.Request.Testall(self.second)

    def result(self, grads: Params) -> Params:  # they stay what they are until the next sum begins
        own = flatten(grads)
        for name in [name for name in self.places if name in self.waiting]:  # the loss does not depend on them
            self.add(name, own[name])
        for b in range(len(self.first)):
            if b == len(self.second):
                self.ranks.wait(self.first[b], what="the gradients of all ranks")
                self.add_up(b)
        self.ranks.wait(*self.second, what="the sums of the gradients")
        whole = {name: self.sums[place.bucket].reshape(-1)[place.start : place.stop] for name, place in self.places.items()}
        return unflatten({name: self.back(whole[name], own[name]) for name in self.names})

    def back(self, whole: Array, own: Array) -> Array:
        """The sum where this rank's own gradient is, in its shape."""
        return (whole if self.ranks.direct else self.ranks.back(whole, own)).reshape(own.shape)
