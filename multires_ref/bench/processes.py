"""What other processes cost: a busy one beside a training step, and starting a new Python."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .timing import alternate, ratio_line, summary, table, threads

STEPS = 20  # of one measurement: some hundred milliseconds, longer than the operating system lets one process run in a row
IDLE, BUSY, ONE, ONE_BUSY = "idle", "one busy neighbour", "idle, one thread", "one busy neighbour, one thread"
STATEMENTS = ("pass", "import numpy", "import autograd.numpy", "import multires_ref", "from multires_ref import multires_conv")


def measure_busy(args: argparse.Namespace) -> dict[str, Any]:
    """A training step beside a busy neighbour: the digits network, with the threads that the package chooses and with one thread.

    The neighbour is a process that does nothing but count. If the threads of a step wait for each other, and one of them
    shares its CPU core with the neighbour, then all of them wait for that one, and two threads can be many times slower than
    one. That is why the package does small work with one thread. The ratios show the effect: they should be near 1 on a
    machine with a free CPU core, and at most 2 where the neighbour and the step share one; and a step with several threads
    should never be slower than with one thread.
    """
    from ..tasks import get_task
    from .training_step import our_step, random_batch

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
    """A `with` block during which another process uses all that it can get of one CPU core."""
    neighbour = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
    try:
        neighbour.stdout.readline()  # it has begun
        yield
    finally:
        neighbour.kill()
        neighbour.communicate()


def busy_lines(result: dict[str, Any]) -> list[str]:
    """The table, and three ratios of medians."""
    rows = result["rows"]
    median = {name: row["median"] for name, row in rows.items()}
    return [
        "busy: a training step of the digits network (batch 50, 64 steps, width 48, 4 layers)",
        table(rows, {"/ idle": IDLE, "/ one thread": ONE}),
        ratio_line("one busy neighbour / idle", median[BUSY] / median[IDLE]),
        ratio_line("idle / one thread", median[IDLE] / median[ONE]),
        ratio_line("one busy neighbour / the same with one thread", median[BUSY] / median[ONE_BUSY]),
    ]


def measure_startup(args: argparse.Namespace) -> dict[str, Any]:
    """A new Python process that imports the package, or its operator, against one that imports NumPy or autograd only.

    `import multires_ref` loads none of its own modules and no NumPy; a public name loads what it needs when it is first used.
    Start and end of the process are included.
    """

    def start(statement: str) -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    calls = {statement: lambda statement=statement: start(statement) for statement in STATEMENTS}
    times = alternate(calls, 3 if args.quick else max(args.repeats, 15))
    return {"rows": {statement: summary(seconds) for statement, seconds in times.items()}}


def startup_lines(result: dict[str, Any]) -> list[str]:
    """The table."""
    return ["startup: a new process each time", table(result["rows"], {"/ nothing": "pass", "/ NumPy": "import numpy"})]
