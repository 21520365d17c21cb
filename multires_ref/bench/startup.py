"""What `import multires_ref` costs a new Python, against `import numpy`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from .timing import alternate, summary, table, verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of whole processes, start and end included."""

    def start(module: str) -> None:
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    contestants = {name: lambda name=name: start(name) for name in ("numpy", "multires_ref")}
    times = alternate(contestants, 3 if args.quick else max(args.repeats, 15))
    return {"rows": {f"import {name}": summary(seconds) for name, seconds in times.items()}}


def lines(result: dict[str, Any]) -> list[str]:
    """The table, and the target."""
    rows = result["rows"]
    ratio = rows["import multires_ref"]["median"] / rows["import numpy"]["median"]
    return [
        "startup: a new process each time",
        *table(rows, {"/ import numpy": "import numpy"}),
        verdict("import multires_ref over import numpy", ratio, 1.5, at_least=False),
    ]
