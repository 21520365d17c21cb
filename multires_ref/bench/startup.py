"""What the package costs a new Python: importing it, and importing the operator, against NumPy and autograd alone.

`import multires_ref` loads none of its own modules and no NumPy; a public name loads what it needs when it is first used.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from .timing import alternate, summary, table

STATEMENTS = ("pass", "import numpy", "import autograd.numpy", "import multires_ref", "from multires_ref import multires_conv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of whole processes, start and end included."""

    def start(statement: str) -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    contestants = {statement: lambda statement=statement: start(statement) for statement in STATEMENTS}
    times = alternate(contestants, 3 if args.quick else max(args.repeats, 15))
    return {"rows": {statement: summary(seconds) for statement, seconds in times.items()}}


def lines(result: dict[str, Any]) -> list[str]:
    """The table."""
    return ["startup: a new process each time", *table(result["rows"], {"/ nothing": "pass", "/ NumPy": "import numpy"})]
