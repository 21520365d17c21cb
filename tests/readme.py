"""What a text like the README shows to type: code blocks and `multires-ref` command lines, for `test_readme.py`."""

from __future__ import annotations

import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from unittest.mock import patch

from multires_ref.cli import COMMANDS, main

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.M | re.S)
COMMAND = re.compile(r"(?:^|/|&& |^(?:mpirun|srun) .*)multires-ref (.*)")
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
# words that stand for a value; DIR, x.pth and so on are made by the tests
WORDS = {"COMMAND": "info", "TASK": "digits", "N": "1", "SPLIT": "test", "FILE": "heart.csv", "$RESUME": "--resume"}


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks in one language."""
    return [code for name, code in FENCE.findall(text) if name == language]


def inline_code(text: str) -> list[str]:
    """What stands between single backticks, outside code blocks, on one line each."""
    return [" ".join(code.split()) for code in INLINE.findall(FENCE.sub("", text))]


def command_lines(text: str) -> list[str]:
    """Every `multires-ref` command line, without that word, comments and the dots of "and so on"; each once, in order.

    From code blocks (fenced or indented by four spaces) and from inline code, where the first word may be the command itself.
    """
    code = [line for _, block in FENCE.findall(text) for line in block.splitlines()]
    code += [line[4:] for line in FENCE.sub("", text).splitlines() if line.startswith("    ")]
    found = [match[1] for line in code for match in [COMMAND.search(line)] if match]
    for line in inline_code(text):
        first, _, rest = line.partition(" ")
        if first.endswith("multires-ref") and rest and "|" not in rest:
            found.append(rest)
        elif first in COMMANDS and rest and re.fullmatch(r"[\w./ -]+", rest):
            found.append(line)
    return list(dict.fromkeys(re.sub(r"\s+(#.*|\.\.\.)$", "", line).strip() for line in found))


def arguments(line: str) -> list[str]:
    """A command line as words, those that stand for a value replaced by one."""
    return [WORDS.get(word, word) for word in shlex.split(line, comments=True)]


def refusal(argv: list[str]) -> str:
    """What the real command line says against these arguments before it does anything; empty if it takes them."""
    if argv[0] not in COMMANDS:
        return f"no command {argv[0]!r}"
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()):
        try:
            with patch.object(import_module(f"multires_ref.commands.{argv[0]}"), "run", lambda args: 0):
                status = main(argv)
        except SystemExit as stop:  # argparse's way, for --help too
            status = stop.code
    return said.getvalue() if status else ""


def refusals(text: str) -> dict[str, str]:
    """The command lines of a text that the command line refuses, and why."""
    found = {line: refusal(arguments(line)) for line in command_lines(text)}
    return {line: why for line, why in found.items() if why}
