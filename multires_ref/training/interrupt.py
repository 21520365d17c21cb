"""Ctrl-C that lets the step in progress finish."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


class RunInterrupted(KeyboardInterrupt):
    """A run was asked to stop, has saved its checkpoint and can be resumed."""


class StopRequest:
    """A `with` block in which the first Ctrl-C (or a polite kill, SIGTERM) only sets `requested`; the second one stops at once.

    Signals belong to the main thread; elsewhere the block does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self.before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.request) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def request(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nstopping after this step (again: at once, without saving)", file=sys.stderr, flush=True)
