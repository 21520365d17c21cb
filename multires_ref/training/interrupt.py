"""Ctrl-C that lets the step in progress finish."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from ..base.streams import say

POLITE = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a plain kill, and the terminal that closes; Windows has no SIGHUP


class RunInterrupted(KeyboardInterrupt):
    """A run was asked to stop, has saved its checkpoint and can be resumed."""


class StopRequest:
    """A `with` block in which the first Ctrl-C, SIGTERM or SIGHUP only sets `requested`; a Ctrl-C after that stops at once.

    SIGTERM and SIGHUP, when they come again, change nothing: a terminal that closes sends SIGHUP twice. A signal that the process
    ignores, as `nohup` has it, stays ignored. Signals belong to the main thread; elsewhere the block does nothing.

    Examples
    --------
    >>> with StopRequest() as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     stop.requested
    True
    """

    def __init__(self) -> None:
        self.requested = False
        self.before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in POLITE if hasattr(signal, name)):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: a handler that Python could not put back
                    self.before[number] = signal.signal(number, self.request)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def request(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested = True
            say("\nstopping after this step (again: at once, without saving)")
