"""Standard output and standard error, which may be closed or end in a pipe that nobody reads any longer."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO


class Patient:
    """A text stream whose `write` and `flush` never fail: for messages that must not stop the work that they are about.

    Examples
    --------
    >>> import io
    >>> closed = io.StringIO()
    >>> closed.close()
    >>> Patient(closed).write("nobody reads this")
    0
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """The number of characters written; 0 where the stream is closed or broken."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return self.stream.write(text) if self.stream else 0
        return 0

    def flush(self) -> None:
        """Flush, if that is possible."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if self.stream:
                self.stream.flush()

    def isatty(self) -> bool:
        """Whether somebody watches."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return bool(self.stream and self.stream.isatty())
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def say(text: str) -> None:
    """Print a line on standard error; nothing happens where nobody can read it."""
    print(text, file=Patient(sys.stderr), flush=True)


def open_missing_streams() -> None:
    """Open the null device in the place of a standard stream that was closed before this process began (`>&-` in a shell).

    Otherwise the next file that is opened would get the number of that stream, and everything printed, by C libraries too, would
    be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (stays open as long as the process)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def flush_output() -> None:
    """Write what is still in the buffer of standard output. A pipe that nobody reads any longer is no error.

    Raises
    ------
    OSError
        If the output could not be written for another reason, such as a full disk. Its `filename` is "standard output".
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        raise OSError(error.errno, error.strerror, "standard output") from None
    except ValueError:  # closed by this process itself
        pass


def discard_output() -> None:
    """Let the null device take what is still to be printed: the interpreter would complain about it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
