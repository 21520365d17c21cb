"""Waiting for other ranks without hanging: an MPI request is tested again and again, and the other ranks are looked at meanwhile.

A rank can end in three ways that the others must notice. It says goodbye with an error (`together.py`); it is killed, which the
ranks on its machine see because its process is gone; or nothing is heard of it for a long time.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..base.files import is_alive

SPIN, LOOK = 0.002, 0.05  # seconds of asking without a pause, and between two looks at the other processes
PAUSES = (5e-5, 1e-3)  # seconds of the first pause and of the longest
TIMEOUT = "MULTIRES_MPI_TIMEOUT"  # the environment variable with the seconds after which a wait is given up
PATIENCE = 600.0  # its default


class RankLost(RuntimeError):
    """Another rank has gone, or does not answer any more."""


class RankEnded(RuntimeError):
    """Another rank has ended with an error of its own, which it reports itself."""


@dataclass(frozen=True)
class Process:
    """Where a rank runs.

    Examples
    --------
    >>> here = Process.of_this()
    >>> here.is_gone(here.host)
    False
    """

    host: str
    number: int
    cpus: frozenset[int]

    @classmethod
    def of_this(cls) -> Process:
        """This process."""
        try:
            cpus = frozenset(os.sched_getaffinity(0))
        except AttributeError:  # not on macOS and Windows
            cpus = frozenset(range(os.cpu_count() or 1))
        return cls(socket.gethostname(), os.getpid(), cpus)

    def is_gone(self, host: str) -> bool:
        """Whether the process has ended, as far as that can be seen from `host`."""
        return self.host == host and not is_alive(self.number)

    def __str__(self) -> str:
        return f"process {self.number} on {self.host}"


def patience() -> float:
    """Seconds after which a wait is given up.

    Raises
    ------
    ValueError
        If the environment variable holds no positive number.
    """
    text = os.environ.get(TIMEOUT, str(PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{TIMEOUT} must be a number of seconds above 0; got {text!r}")
    return seconds


def wait(is_over: Callable[[], Any], look: Callable[[], None], seconds: float, what: str) -> None:
    """Ask `is_over` until it says so, and call `look` now and then, which raises an error where another rank has gone.

    Raises
    ------
    RankLost
        After `seconds`.

    Examples
    --------
    >>> wait(lambda: False, lambda: None, 0.01, "the sum of the gradients")
    Traceback (most recent call last):
        ...
    multires_ref.distributed.waiting.RankLost: another rank did not answer for 0.01 s; waited for: the sum of the gradients
    """
    began = looked = time.monotonic()
    pause, longest = PAUSES
    while not is_over():
        now = time.monotonic()
        if now - looked > LOOK:
            looked = now
            look()
        if now - began > seconds:
            raise RankLost(f"another rank did not answer for {seconds:g} s; waited for: {what}")
        if now - began > SPIN:
            time.sleep(pause)
            pause = min(2 * pause, longest)
        else:
            time.sleep(0)  # another rank may be waiting for this CPU
