"""The part `startup`: what starting a new Python and importing the package cost."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from .timing import alternate, summary, table

STATEMENTS = ("pass", "import numpy", "import autograd.numpy", "import multires_ref", "from multires_ref import multires_conv")


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
