"""Completion of commands, flags, tasks and choices with the Tab key, by the library argcomplete.

The shell calls `multires-ref` with the variable _ARGCOMPLETE set whenever Tab is pressed; nothing here is imported otherwise.
Only the command that stands on the line gets its arguments: building those of all commands takes longer than a key press should.
"""

from __future__ import annotations

import os
from importlib import import_module

from .parser import Parser


def complete(commands: dict[str, str]) -> None:
    """Write what may come next for the shell, and end the process; nothing where argcomplete is not installed."""
    try:
        import argcomplete
    except ImportError:
        raise SystemExit(1) from None
    argcomplete.autocomplete(whole_parser(commands, os.environ.get("COMP_LINE", "").split()))


def whole_parser(commands: dict[str, str], words: list[str]) -> Parser:
    """One parser with every command; those that are among `words` have their arguments.

    Parameters
    ----------
    commands : {name: help}
    words : list of str, the words on the line

    Examples
    --------
    >>> parser = whole_parser({"info": "describe", "train": "train a network"}, ["multires-ref", "info", "--dev"])
    >>> parser.parse_args(["info", "digits"]).target
    'digits'
    """
    parser = Parser(prog="multires-ref")
    parser.add_argument("--version", action="store_true", help="the version")
    subs = parser.add_subparsers(metavar="COMMAND")
    for name, text in commands.items():
        sub = subs.add_parser(name, help=text)
        if name in words:
            import_module(f"{__package__}.{name}").add_arguments(sub)
    return parser
