"""ListOps's files, the Long Range Arena's and ours: basic_train.tsv, basic_val.tsv and basic_test.tsv.

Columns Source and Target; an expression is written as nested pairs, `( ( ( [MAX 4 ) 3 ) ] )`. Every line is checked when a file
is first read, its target by the evaluator. That takes some five times as long as reading, so the SHA-256 hash of a file that has
passed is noted beside it, and a file with that hash is not evaluated again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from ..base.files import read_json, regular_file, write_json, write_whole
from .folder import absent
from .listops_data import MAX_LENGTH, Example, evaluate, tokens_of

FILES = {"train": "basic_train.tsv", "val": "basic_val.tsv", "test": "basic_test.tsv"}
HEADER = "Source\tTarget"
NOTE = "multires_ref_checked.json"  # name of a file -> SHA-256 of what has been checked
ADVICE = (
    "Generate the data with `multires-ref data listops --data-dir {0}` (a few minutes), "
    "or put the Long Range Arena's basic_train.tsv, basic_val.tsv and basic_test.tsv there."
)


def require_files(folder: Path) -> None:
    """Raise a FileNotFoundError that says what to do unless the three files are there."""
    for name in FILES.values():
        if not (folder / name).exists():
            raise absent("ListOps", name, folder, ADVICE.format(folder))


def write_file(path: Path, examples: list[Example]) -> None:
    """A tab-separated file with columns Source and Target, written whole."""
    lines = [HEADER, *(f"{source}\t{target}" for source, target in examples)]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def read_file(path: Path, most: int | None = None, again: bool = False) -> list[Example]:
    """The examples of a file in the Long Range Arena's form, ours or theirs, every one checked.

    Parameters
    ----------
    path : Path
    most : int or None
        How many of the first examples to read; None reads all.
    again : bool
        Check also a file that is noted as checked.

    Raises
    ------
    ValueError
        With the file and the line: for text that is not UTF-8, wrong columns, an empty line, an unknown token, brackets that do
        not match, an expression that is too long, and a target that is not the value of its expression.
    """
    data = regular_file(path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    lines = split_lines(data, path)[:most]
    checked = not again and read_note(path.parent).get(path.name) == digest
    examples = [split_line(line, path, n) if checked else check_line(line, path, n) for n, line in enumerate(lines, start=2)]
    if most is None and not checked:
        with contextlib.suppress(OSError):  # where the folder may only be read, the file is checked the next time too
            write_json(path.parent / NOTE, read_note(path.parent) | {path.name: digest})
    return examples


def read_note(folder: Path) -> dict[str, str]:
    """The hashes of the files that have been checked; none where the note is absent or damaged."""
    try:
        note = read_json(folder / NOTE)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def split_lines(data: bytes, path: Path) -> list[str]:
    """The lines after the header."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: text in UTF-8 is expected; got the byte 0x{data[error.start]:02x}") from None
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] != HEADER:
        raise ValueError(f"{path}, line 1: the columns Source and Target, a tab between, are expected; got {lines[0][:60]!r}")
    if not lines[-1]:
        lines.pop()  # the file ends with a line end
    if len(lines) < 2:
        raise ValueError(f"{path} must hold at least one expression; it has the header alone")
    return lines[1:]


def split_line(line: str, path: Path, n: int) -> Example:
    """One example of line n."""
    source, tab, target = line.partition("\t")
    if not tab or target not in "0123456789" or len(target) != 1:
        found = "an empty line" if not line.strip() else repr(line if len(line) <= 60 else f"{line[:25]} ... {line[-25:]}")
        raise ValueError(f"{path}, line {n}: an expression, a tab and its value, one digit, are expected; got {found}")
    return source, int(target)


def check_line(line: str, path: Path, n: int) -> Example:
    """One example of line n, its length and its value checked."""
    source, target = split_line(line, path, n)
    length = len(tokens_of(source)) + 1
    if length > MAX_LENGTH:
        raise ValueError(f"{path}, line {n}: at most {MAX_LENGTH:,} tokens, the end's included, are expected; got {length:,}")
    try:
        value = evaluate(source)
    except ValueError as error:
        raise ValueError(f"{path}, line {n}: {error}") from None
    if value != target:
        raise ValueError(f"{path}, line {n}: the target is {target}, but the value of the expression is {value}")
    if source.count("(") != source.count(")"):
        raise ValueError(f"{path}, line {n}: the parentheses do not match: {source.count('(')} ( and {source.count(')')} )")
    return source, target
