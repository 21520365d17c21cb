"""The `multires-ref` command: a thin shell. Each subcommand is a module of `commands/`, imported only when it is called.

A command module has a docstring (its first line is the help), `add_arguments(parser)` and `run(args) -> int`, the exit status.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from . import __version__
from .checks import check_choice

COMMANDS = {
    "train": "train a network on a task",
    "evaluate": "score a run or checkpoint on a split",
    "sample": "draw samples from an autoregressive run",
    "verify": "check numbers against PyTorch, PyWavelets or finite differences",
    "bench": "measure speed and memory against PyTorch",
    "figures": "draw the figures",
    "info": "describe a task, a run or this machine",
    "data": "fetch or generate a task's data and show what is there",
    "tutorials": "open the tutorials in JupyterLab",
}


def main(argv: list[str] | None = None) -> int:
    """Run `multires-ref ARGV`; returns the exit status (see `commands/status.py`)."""
    from .commands.status import exit_status

    return exit_status(lambda: run_command(sys.argv[1:] if argv is None else argv))


def run_command(argv: list[str]) -> int:
    """Find the command, parse its arguments, run it."""
    if not argv or argv[0].startswith("-"):
        return front_page(argv)
    check_choice("command", argv[0], COMMANDS)
    module = import_module(f".commands.{argv[0]}", __package__)
    parser = argparse.ArgumentParser(
        prog=f"multires-ref {argv[0]}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return module.run(parser.parse_args(argv[1:])) or 0


def front_page(argv: list[str]) -> int:
    """`multires-ref`, `multires-ref --help` and `--version`."""
    parser = argparse.ArgumentParser(
        prog="multires-ref",
        description="MultiresConv in readable NumPy.",
        epilog="commands:\n" + "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="multires-ref COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"multires-ref {__version__}")
    parser.parse_args(argv)
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
