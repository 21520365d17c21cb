"""A command on all ranks at once: rank 0 speaks, and where one rank fails, all end, with one line that says why.

Most failures are the same on all ranks, such as a loss that is not finite: then all come to their end by themselves, and rank 0
says why. Where a rank fails alone, the others wait for it in vain. They notice (`waiting.py`), the one that failed says why, and
MPI ends them all.
"""

from __future__ import annotations

import io
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import NamedTuple, NoReturn

from ..base.streams import say
from .mpi import MpiRanks
from .waiting import RankEnded, RankLost

FAILED, REFUSED, STOPPED = 1, 2, 130  # exit status
PATIENCE = 5.0  # seconds for the other ranks to end too


class End(NamedTuple):
    """How a rank came to its end: what it tells the others.

    Parameters
    ----------
    status : int, the exit status
    message : str, what is still to be said
    alone : bool
        Whether the rank gave up because another one had failed.
    """

    status: int
    message: str = ""
    alone: bool = False


def together(ranks: MpiRanks, command: Callable[[], int], in_words: Callable[[BaseException], str]) -> int:
    """Run `command` on this rank, as the other ranks do; returns the exit status, which is the same for all.

    `in_words` makes a line of an error.
    """
    end, lost = run(ranks, command, in_words)
    ranks.say_goodbye(end)
    all_ended = not lost and ranks.all_ended(PATIENCE if end.status else ranks.seconds)
    ends = ranks.goodbyes | {ranks.rank: end}
    failed = sorted(rank for rank, other in ends.items() if other.status and not other.alone)
    if lost:  # all that see it come to this place, and the first of them speaks
        failed = ranks.witnesses()
    if not all_ended or any(other.alone for other in ends.values()):
        give_up(ranks, end, speaks=ranks.rank == (failed or [0])[0])
    if ranks.first and failed:
        say_end(failed[0], ends[failed[0]])
    return max(other.status for other in ends.values())


def run(ranks: MpiRanks, command: Callable[[], int], in_words: Callable[[BaseException], str]) -> tuple[End, bool]:
    """The command's end on this rank, and whether that was the loss of another one. What rank 0 prints is seen at once; what
    another rank prints is its message where it fails."""
    said = io.StringIO()
    try:
        with ExitStack() as stack:
            if not ranks.first:
                stack.enter_context(redirect_stdout(said))
                stack.enter_context(redirect_stderr(said))
            status = command()
        return End(status, said.getvalue().strip() if status else ""), False
    except RankEnded:
        return End(FAILED, alone=True), False
    except RankLost as error:
        return End(FAILED, f"multires-ref: stopped: {error}"), True
    except KeyboardInterrupt:
        return End(STOPPED), False
    except (ValueError, TypeError, ImportError, OSError) as error:
        return End(REFUSED, f"multires-ref: {in_words(error)}"), False
    except BaseException:
        return End(FAILED, traceback.format_exc().strip()), False


def say_end(rank: int, end: End) -> None:
    """Print a rank's message."""
    if end.message:
        say(f"rank {rank}: {end.message}" if rank else end.message)


def give_up(ranks: MpiRanks, end: End, speaks: bool) -> NoReturn:
    """End this process and all others; the one that speaks says why, and does it at once."""
    if not speaks:  # MPI ends this process meanwhile, unless the one that should speak is not able to
        time.sleep(PATIENCE + min(ranks.rank, 60))
    say_end(ranks.rank, end)
    sys.stdout.flush()
    ranks.abort(end.status or FAILED)
