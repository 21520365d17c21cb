"""Runs of lines that stand in the package twice, whatever their names, numbers and texts are."""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from pathlib import Path

RUN = 8  # lines
DIFFERENT = 5  # lines of a run that differ in shape, at least: a table of one-line entries is no repetition
NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def shapes(source: str) -> list[tuple[int, str]]:
    """(line number, shape) of every line of code: names, numbers and texts replaced by one letter each.

    Docstrings, comments, imports and lines of brackets alone are left out.
    """
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, (ast.Import, ast.ImportFrom)):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    lines: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE and token.start[0] not in left_out:
            lines[token.start[0]] = lines.get(token.start[0], "") + shape_of(token) + " "
    return [(number, text) for number, text in lines.items() if any(c.isalnum() for c in text)]


def shape_of(token: tokenize.TokenInfo) -> str:
    """A keyword or an operator as it is; x for a name, 0 for a number, t for a text."""
    if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
        return "x"
    return {tokenize.NUMBER: "0", tokenize.STRING: "t"}.get(token.type, token.string)


def repeats(files: list[Path], run: int = RUN) -> list[str]:
    """ "a.py:10 and b.py:40", for the first line of every run of `run` lines that stands twice."""
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    found = []
    for path in files:
        lines = shapes(path.read_text())
        for n in range(len(lines) - run + 1):
            window = tuple(text for _, text in lines[n : n + run])
            name, number = first.setdefault(window, (path.name, lines[n][0]))
            if (name, number) != (path.name, lines[n][0]) and len(set(window)) >= DIFFERENT:
                found.append(f"{name}:{number} and {path.name}:{lines[n][0]}")
    return found
