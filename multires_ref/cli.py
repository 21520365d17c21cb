"""The `multires-ref` command: a thin shell. Each subcommand is a module of `commands/`, imported only when it is called.

A command module has a docstring (what `--help` prints), `add_arguments(parser)` and `run(args) -> int`, the exit status.
"""

# PYTHON_ARGCOMPLETE_OK (argcomplete's global completion looks for this word)

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from . import __version__
from .base.checks import check_choice

if TYPE_CHECKING:
    from .commands.parser import Parser

COMMANDS = {
    "train": "train a network on a task",
    "evaluate": "score a run or checkpoint on a split",
    "predict": "predict the labels of series in a file",
    "sample": "draw samples from an autoregressive run",
    "verify": "check numbers against PyTorch, PyWavelets or finite differences",
    "bench": "measure speed and memory against PyTorch",
    "figures": "draw the figures",
    "explore": "open a page to play with in the browser",
    "info": "describe a task, a run or this machine",
    "data": "fetch or generate a task's data and show what is there",
    "tutorials": "open the tutorials in JupyterLab",
}


def main(argv: list[str] | None = None, prog: str = "multires-ref") -> int:
    """Run `multires-ref ARGV`; returns the exit status (see `commands/status.py`). `prog` is its name in the help."""
    from .commands.status import exit_status

    if "_ARGCOMPLETE" in os.environ:  # the shell asks what may come next
        from .commands.parser import complete

        complete(COMMANDS)
    return exit_status(lambda: run_command(sys.argv[1:] if argv is None else argv, prog))


def run_command(argv: list[str], prog: str) -> int:
    """Find the command, parse its arguments, run it."""
    if not argv or argv[0].startswith("-"):
        return front_page(argv, prog)
    parser = command_parser(check_choice("command", argv[0], COMMANDS), prog)
    args = parser.parse_args(argv[1:])
    return import_module(f".commands.{argv[0]}", __package__).run(args) or 0


def command_parser(name: str, prog: str = "multires-ref") -> Parser:
    """The parser of one command."""
    from .commands.parser import Parser

    module = import_module(f".commands.{name}", __package__)
    parser = Parser(prog=f"{prog} {name}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def front_page(argv: list[str], prog: str) -> int:
    """`multires-ref`, `multires-ref --help` and `--version`."""
    from .commands.parser import Parser

    parser = Parser(
        prog=prog,
        description="MultiresConv in readable NumPy.",
        epilog="commands:\n" + "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()),
        usage=f"{prog} COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"multires-ref {__version__}", help="print the version and exit")
    parser.parse_args(argv)
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
