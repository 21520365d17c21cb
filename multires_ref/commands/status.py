"""How a command ends: its exit status, and one line where something was wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable

from ..base.streams import discard_output, flush_output, open_missing_streams, say

BAD_INPUT, READER_GONE, STOPPED = 2, 141, 130  # 128 + the number of the signal: SIGPIPE is 13, SIGINT 2
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EIO)


def exit_status(command: Callable[[], int]) -> int:
    """Run a command and return its exit status.

    A mistake of the user, and every error of the operating system with a file, is one line on standard error and status 2.
    Ctrl-C gives 130. Where the reader of a pipe has gone before the command had finished, as in `multires-ref ... | head -1`, it
    ends quietly with 141, as other programs do then; never with a verdict that it has not reached.

    Examples
    --------
    >>> exit_status(lambda: 0)
    0
    """
    open_missing_streams()
    try:
        return checked(command)
    except SystemExit:  # argparse, after its help or its error
        checked(lambda: 0)
        raise


def checked(command: Callable[[], int]) -> int:
    """The status of a command whose whole output has been written, or of the error that ended it."""
    message = ""
    try:
        status = command()
    except BrokenPipeError:
        discard_output()
        return READER_GONE
    except KeyboardInterrupt:
        status = STOPPED
    except (ValueError, TypeError, ImportError, OSError) as error:
        message, status = in_words(error), BAD_INPUT
    try:
        flush_output()
    except OSError as error:
        message, status = in_words(error), BAD_INPUT
    if message:
        say(f"multires-ref: {message}")
    return status


def in_words(error: BaseException) -> str:
    """The error's message; of an error of the operating system the file and what was wrong with it.

    Examples
    --------
    >>> in_words(OSError(28, "No space left on device", "runs/mine/last.safetensors"))
    'runs/mine/last.safetensors: No space left on device'
    """
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        if error.errno in NO_ROOM:  # a `print` that failed; what this package writes elsewhere is named by `write_whole`
            return f"standard output: {error.strerror}"
    return str(error)
