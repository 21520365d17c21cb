"""A training step beside a busy neighbour: the digits network, with the threads the package chooses and with one.

A process that does nothing but count is the neighbour. Where a step's threads wait for each other, and one of them has to share
its CPU, all wait for that one: two threads can then be many times slower than one. So small work is done by one thread
(`base/threads.py`), and the ratios here show what that is worth: near 1 on a machine with a CPU to spare, and at most 2
where the neighbour takes turns with us, and a step never slower than with one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .timing import alternate, summary, table, threads

STEPS = 20  # of one measurement: some hundred milliseconds, longer than a turn of the system's scheduler
IDLE, BUSY, ONE, ONE_BUSY = "idle", "one busy neighbour", "idle, one thread", "one busy neighbour, one thread"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds a step of the digits network: alone and beside a neighbour, with the package's threads and with one."""
    from ..tasks import get_task
    from .paper_step import our_step, random_batch

    task, steps = get_task("digits"), 2 if args.quick else STEPS
    one_step = our_step(task.network, task, random_batch(task.network, task))

    def with_threads(most: int | None) -> Callable[[], None]:
        def several_steps() -> None:
            with threads(most):
                for _ in range(steps):
                    one_step()

        return several_steps

    times = alternate({IDLE: with_threads(args.threads), ONE: with_threads(1)}, args.repeats)
    with busy_neighbour():
        times |= alternate({BUSY: with_threads(args.threads), ONE_BUSY: with_threads(1)}, args.repeats)
    return {"steps": steps, "rows": {name: summary([s / steps for s in seconds]) for name, seconds in times.items()}}


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Inside, another process uses all that it can get of one CPU."""
    neighbour = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        neighbour.stdout.readline()  # it has begun
        yield
    finally:
        neighbour.kill()
        neighbour.communicate()


def ratios(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The three that matter, of medians."""
    median = {name: row["median"] for name, row in rows.items()}
    return {
        "one busy neighbour / idle": median[BUSY] / median[IDLE],
        "idle / one thread": median[IDLE] / median[ONE],
        "one busy neighbour / the same with one thread": median[BUSY] / median[ONE_BUSY],
    }


def lines(result: dict[str, Any]) -> list[str]:
    """The table, and the ratios."""
    rows = result["rows"]
    text = ["busy: a training step of the digits network (batch 50, 64 steps, width 48, 4 layers)"]
    text += table(rows, {"/ idle": IDLE, "/ one thread": ONE})
    return text + [f"  {name}: {ratio:.2f}" for name, ratio in ratios(rows).items()]
