"""The parser of every command: errors of one line that name what was meant, help of at most 100 columns, no abbreviated flags.

At the end, the completion of commands, flags, tasks and choices with the Tab key, by the library argcomplete. The shell calls
`multires-ref` with the variable _ARGCOMPLETE set whenever Tab is pressed; argcomplete is not imported otherwise. Only the command
that stands on the line gets its arguments: building those of all commands takes longer than a key press should.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ..base.checks import check_choice

COLUMNS = 100  # the widest line of a help text


class UsageError(ValueError):
    """The words after `multires-ref COMMAND` are not what the command takes."""


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are raised, as `UsageError`, and suggest near misses.

    Flags must be written in full: an abbreviation that is unique today need not be unique when a setting is added, and a run
    that is resumed must mean what it meant. Sub-commands are parsers of the same kind.

    Parameters
    ----------
    options
        As for `argparse.ArgumentParser`.

    Attributes
    ----------
    hint : str
        What to say after an unknown flag for which there is no near miss.

    Examples
    --------
    >>> parser = Parser(prog="multires-ref train")
    >>> _ = parser.add_argument("--d-model", type=int)
    >>> parser.parse_args(["--d-modle", "3"])
    Traceback (most recent call last):
        ...
    multires_ref.commands.parser.UsageError: unknown flag --d-modle (did you mean --d-model?)
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": help_formatter, "allow_abbrev": False} | options)
        self.hint = f"see {self.prog} --help"

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's; what is not known is an error, of the innermost sub-command that was given it."""
        self.check_flags(args or [])
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unexpected {' '.join(unknown)}")
        return namespace, unknown

    def check_flags(self, words: Iterable[str]) -> None:
        """Raise a `UsageError` for the first unknown flag: before argparse takes the value of that flag for something else."""
        known = self._option_string_actions
        for word in words:
            if word == "--" or word in self.sub_commands():
                return
            flag = word.split("=")[0]
            if word.startswith("--") and " " not in word and flag not in known:
                near = difflib.get_close_matches(flag, known, n=3, cutoff=0.7)
                raise UsageError(f"unknown flag {flag} ({did_you_mean(near) or self.hint})")

    def sub_commands(self) -> list[str]:
        """The names of the sub-commands, after which the flags are theirs."""
        actions = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return [name for action in actions for name in action.choices]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """What argparse calls to hold a value against the choices: ours suggests near misses."""
        if action.choices is not None:
            check_choice(argument_name(action), value, action.choices)

    def error(self, message: str) -> Any:
        """What argparse calls for everything else that is wrong."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def argument_name(action: argparse.Action) -> str:
    """How an argument is called in a message: by its flag, or by its name where it has none."""
    return action.option_strings[0] if action.option_strings else action.dest


def did_you_mean(near: list[str]) -> str:
    """The suggestion, or an empty string where nothing is near.

    Examples
    --------
    >>> did_you_mean(["--lr", "--clip"])
    'did you mean --lr or --clip?'
    """
    return f"did you mean {' or '.join(near)}?" if near else ""


def help_formatter(prog: str) -> argparse.HelpFormatter:
    """Help texts keep the lines of their docstring, and are as wide as the terminal but not wider than 100 columns."""
    width = min(shutil.get_terminal_size().columns - 2, COLUMNS)
    return argparse.RawDescriptionHelpFormatter(prog, width=width, max_help_position=30)


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
