"""A run and its terminal: Ctrl-C that lets the step in progress finish, and the progress bar."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..base.compiled import listeners
from ..base.streams import Patient, say

# Ctrl-C, a plain kill, the terminal that closes, and what mpirun passes on and Slurm sends ahead; Windows has not all of them
POLITE = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


COMPILING = "compiling the loops for this machine (once, 3 to 20 s)"


class RunInterrupted(KeyboardInterrupt):
    """A run was asked to stop, has saved its checkpoint and can be resumed."""


class StopRequest:
    """A `with` block in which the first signal of `POLITE` only sets `requested`; a Ctrl-C after that stops at once.

    The other signals, when they come again, change nothing: a terminal that closes sends SIGHUP twice. A signal that the process
    ignores, as `nohup` has it, stays ignored. Signals belong to the main thread; elsewhere the block does nothing. Where `speaks`
    is False, nothing is printed. `look` is called at every signal, and may raise an error that ends the run at once.

    Examples
    --------
    >>> with StopRequest() as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     stop.requested
    True
    """

    def __init__(self, speaks: bool = True, look: Callable[[], None] = lambda: None) -> None:
        self.requested, self.speaks, self.look = False, speaks, look
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
        self.look()
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested = True
            if self.speaks:
                say("\nstopping after this step (again: at once, without saving)")


class Progress:
    """A tqdm bar over all steps of a run, on standard error; nothing is shown if `quiet`.

    Where standard error is a file, the bar is written every 15 seconds only. Where it is closed or broken, the run goes on.

    While Numba compiles a loop, the bar says which one. In a file, one line says that it compiles.
    """

    def __init__(self, steps: int, done: int, quiet: bool) -> None:
        from tqdm import tqdm

        stream = Patient(sys.stderr)
        seconds = 0.5 if stream.isatty() else 15.0
        options = {"disable": quiet or sys.stderr is None, "mininterval": seconds, "dynamic_ncols": True}
        self.bar = tqdm(total=steps, initial=done, file=stream, unit="step", **options)
        self.shown: dict[str, Any] = {}
        self.watched, self.compiled = stream.isatty(), 0  # whether somebody watches; loops compiled so far

    def show(self, **numbers: Any) -> None:
        """Show these numbers beside the bar, from the next time that it is drawn."""
        self.shown |= numbers
        self.bar.set_postfix(self.shown, refresh=False)

    def compiling(self, what: str) -> None:
        """Say that this loop is compiled now, until the next step is done."""
        if self.bar.disable:
            return
        if self.watched:
            self.bar.set_description_str(f"{COMPILING}: {what}")
        elif not self.compiled:
            self.bar.write(f"{COMPILING}: {what} and others", file=self.bar.fp)
        self.compiled += 1

    def step(self) -> None:
        """Count one more step."""
        if self.watched and self.compiled:
            self.compiled = 0
            self.bar.set_description_str("", refresh=False)
        self.bar.update()

    def __enter__(self) -> Progress:
        listeners.append(self.compiling)
        return self

    def __exit__(self, *exception: object) -> None:
        listeners.remove(self.compiling)
        self.bar.close()
