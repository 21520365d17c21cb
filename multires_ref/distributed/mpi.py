"""The ranks of MPI: what `base/ranks.py` says, by mpi4py.

Everything is sent by MPI's requests that do not block, so that a rank which waits can notice that another one has gone
(`waiting.py`). Arrays are gathered to all ranks and added there in the order of the ranks: MPI's own reductions may add in an
order that depends on the number of ranks and on the length of the array. Gradients, which are long, are summed by `buckets.py`.

Each purpose has a communicator of its own: the order of what the ranks do for one of them need not fit that of the others.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from typing import Any, NoReturn, TypeVar

import numpy as np

from ..base.arrays import Array, family
from ..base.pytrees import Params
from ..base.ranks import GradientSum, Ranks
from .buckets import BUCKET, Buckets, Plan, plan_of
from .waiting import PATIENCE, Process, RankEnded, RankLost, wait

T = TypeVar("T")
PIECE = 2**24  # bytes that each rank sends at once; MPI counts in 32 bits
GOODBYE = 1  # the tag of the message with which a rank ends


class MpiRanks(Ranks):
    """The processes that `mpirun` or `srun` has started.

    Parameters
    ----------
    world : mpi4py.MPI.Comm
    seconds : float
        How long a rank waits for another one.
    direct : bool
        Whether MPI takes the arrays of a GPU as they are (CUDA-aware MPI); otherwise they go through the host's memory.
    """

    def __init__(self, world: Any, seconds: float = PATIENCE, direct: bool = False) -> None:
        from mpi4py import MPI

        self.mpi, self.seconds, self.direct = MPI, seconds, direct
        self.rank, self.size = world.rank, world.size
        self.world, self.small, self.scattered, self.gathered, self.ends = world, *(world.Dup() for _ in range(4))
        self.processes: list[Process] = []
        self.goodbyes: dict[int, Any] = {}  # of other ranks: how they came to their end
        self.bucket = BUCKET
        self.buckets: dict[Plan, Buckets] = {}
        self.processes = self.gather_objects(Process.of_this())

    def wait(self, *requests: Any, what: str = "numbers of all ranks", seconds: float | None = None) -> None:
        """Wait until all requests are done."""
        wait(lambda: self.mpi.Request.Testall(requests), self.look, self.seconds if seconds is None else seconds, what)

    def look(self) -> None:
        """Raise an error if another rank has ended with an error or is gone."""
        self.check_alive()
        self.hear_goodbyes()
        if failed := [rank for rank, end in self.goodbyes.items() if end.status]:
            raise RankEnded(f"rank {min(failed)} has ended")

    def check_alive(self) -> None:
        """Raise a RankLost that names the ranks of this machine whose processes are gone."""
        if gone := self.gone():
            raise RankLost(", ".join(f"rank {rank} ({self.processes[rank]})" for rank in gone) + " has ended")

    def witnesses(self) -> list[int]:
        """The ranks that see what this one sees: those of its machine, without those that are gone."""
        host, gone = self.processes[self.rank].host, self.gone()
        return [rank for rank, process in enumerate(self.processes) if process.host == host and rank not in gone]

    def gone(self) -> list[int]:
        """The ranks of this machine that ended without a goodbye."""
        here = Process.of_this().host
        return [k for k, process in enumerate(self.processes) if k not in self.goodbyes and process.is_gone(here)]

    def gather(self, array: Array) -> Array:
        own = np.array(self.to_host(array), order="C")
        parts = np.empty((self.size, *own.shape), own.dtype)
        self.wait(self.small.Iallgather(own, parts))
        return self.back(parts, array)

    def to_host(self, array: Any) -> np.ndarray:
        """The array in the host's memory."""
        return array.get() if family(array) == "cupy" else np.asarray(array)

    def back(self, array: np.ndarray, like: Array) -> Array:
        """The array where `like` is."""
        if family(like) != "cupy":
            return array
        import cupy

        return cupy.asarray(array)

    def gather_objects(self, value: T) -> list[T]:
        own = np.frombuffer(pickle.dumps(value), np.uint8)
        lengths = self.gather(np.array(len(own)))
        parts = [np.empty(n, np.uint8) for n in lengths]
        for start in range(0, int(lengths.max()), PIECE):
            counts = np.clip(lengths - start, 0, PIECE)
            received = np.empty(counts.sum(), np.uint8)
            self.wait(self.small.Iallgatherv(own[start : start + PIECE], [received, counts]))
            for part, piece in zip(parts, np.split(received, np.cumsum(counts)[:-1]), strict=True):
                part[start : start + PIECE] = piece
        return [value if rank == self.rank else pickle.loads(part.data) for rank, part in enumerate(parts)]

    def broadcast(self, value: T) -> T:
        own = np.frombuffer(picklable(value) if self.first else b"", np.uint8)
        length = np.array(len(own))
        self.wait(self.small.Ibcast(length), seconds=math.inf)  # rank 0 may have to fetch or to generate data
        data = own.copy() if self.first else np.empty(length, np.uint8)
        for start in range(0, int(length), PIECE):
            self.wait(self.small.Ibcast(data[start : start + PIECE]))
        return value if self.first else pickle.loads(data.data)

    def gradient_sum(self, params: Params) -> GradientSum:
        plan = plan_of(params, self.size, self.bucket)
        if plan not in self.buckets:
            self.buckets[plan] = Buckets(self, plan, params)
        return self.buckets[plan].start()

    # How ranks end

    def say_goodbye(self, end: Any) -> None:
        """Tell all other ranks that this one has come to its end, and how: an `End` of `together.py`."""
        self.farewell = [self.ends.isend(end, rank, GOODBYE) for rank in range(self.size) if rank != self.rank]

    def hear_goodbyes(self) -> None:
        """Note who has said goodbye."""
        for rank in set(range(self.size)) - {self.rank} - self.goodbyes.keys():
            if message := self.ends.improbe(rank, GOODBYE):
                self.goodbyes[rank] = message.recv()

    def all_ended(self, seconds: float) -> bool:
        """Wait until all other ranks have said goodbye, or, if one ended with an error, so many seconds."""
        end = time.monotonic() + seconds
        while len(self.goodbyes) < self.size - 1:
            self.hear_goodbyes()
            if time.monotonic() > end or self.gone():
                return False
            time.sleep(0.01)
        return True

    def abort(self, status: int) -> NoReturn:
        """End all ranks at once."""
        self.world.Abort(status)
        os._exit(status)


def picklable(value: Any) -> bytes:
    """A result and a failure as bytes; a failure that cannot be sent becomes a RuntimeError with its message."""
    try:
        data = pickle.dumps(value)
        pickle.loads(data)
        return data
    except Exception:
        result, failure = value
        return pickle.dumps((None, RuntimeError(str(failure)))) if failure is not None else pickle.dumps((result, None))
