"""Long ListOps: the value, 0 to 9, of a nested expression given token by token; and a small version with short expressions.

The files basic_train.tsv, basic_val.tsv and basic_test.tsv are the Long Range Arena's, or made by `multires-ref data listops`.
Their columns are Source and Target, and an expression is written as nested pairs, `( ( ( [MAX 4 ) 3 ) ] )`. When a file is read
for the first time, every line is checked, its target by the evaluator of `listops_data.py`. That takes about five times as long
as reading, so the SHA-256 hash of a file that has passed is noted beside it, and a file with that hash is not evaluated again.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..base.files import read_json, regular_file, write_json, write_whole
from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .listops_data import MAX_LENGTH, Example, Limits, evaluate, generate, tokens_of
from .task import LoadOptions, Task, absent, data_folder

FOLDER = "data/listops"
FILES = {"train": "basic_train.tsv", "val": "basic_val.tsv", "test": "basic_test.tsv"}
HEADER = "Source\tTarget"
NOTE = "multires_ref_checked.json"  # name of a file -> SHA-256 of what has been checked
ADVICE = (
    "Generate the data with `multires-ref data listops --data-dir {0}` (a few minutes), "
    "or put the Long Range Arena's basic_train.tsv, basic_val.tsv and basic_test.tsv there."
)
SIZES = {"train": 96_000, "val": 2_000, "test": 2_000}
TOKENS = ("<pad>", "<unk>", "<eos>", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "X")  # X: the closing bracket
PAD, UNKNOWN, END = 0, 1, 2
SHORT = Limits(min_length=7, max_length=48, max_depth=4, max_args=4)
SHORT_SIZES = {"train": 20_000, "val": 1_000, "test": 1_000}
SHORT_SEED = 5  # of the small version's data, which are the same in every run

LETTERS = {"[MIN": "a", "[MAX": "b", "[MED": "c", "[SM": "d", "]": "X"}  # one letter a token, for the table below
TABLE = bytearray([UNKNOWN] * 256)
for number, token in enumerate(TOKENS[3:], start=3):
    TABLE[ord(LETTERS.get(token, token))] = number


def encode(source: str) -> np.ndarray:
    """The tokens of an expression as numbers (places in TOKENS), the end appended: parentheses dropped, `]` read as X.

    Raises
    ------
    ValueError
        For a token that is not in TOKENS, and for an expression that is too long.

    Examples
    --------
    >>> [TOKENS[n] for n in encode("( ( ( [MAX 4 ) 3 ) ] )")]
    ['[MAX', '4', '3', 'X', '<eos>']
    """
    for token, letter in LETTERS.items():
        source = source.replace(token, letter)
    codes = source.encode().translate(bytes(TABLE), delete=b"() ")
    if UNKNOWN in codes:
        raise ValueError(f"an expression must consist of digits, operators, brackets and parentheses; got {unknown_in(source)!r}")
    if len(codes) >= MAX_LENGTH:
        raise ValueError(f"an expression must have fewer than {MAX_LENGTH:,} tokens; got {len(codes):,}")
    return np.frombuffer(codes + bytes([END]), np.uint8)


def unknown_in(source: str) -> str:
    """The first character of a source with one letter a token that stands for no token."""
    return next(c for c in source if c not in "() " and (ord(c) > 255 or TABLE[ord(c)] == UNKNOWN))


def to_split(examples: list[Example], length: int) -> Split:
    """Tokens [N, length] (one byte each), right-padded, with their true lengths, and the values as classes."""
    rows = [encode(source) for source, _ in examples]
    lengths = np.array([len(row) for row in rows])
    if lengths.max() > length:
        raise ValueError(f"an expression has {lengths.max()} tokens with the end; at most {length} fit")
    x = np.full((len(rows), length), PAD, np.uint8)
    for place, row in zip(x, rows, strict=True):
        place[: len(row)] = row
    return Split(x, np.array([target for _, target in examples]), lengths)


def load(options: LoadOptions) -> dict[str, Split]:
    """The three files of `options.data_dir` (default data/listops).

    Under scale "tiny" the first 200 examples of each; without files, 200 are generated.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message says how to get them.
    ValueError
        If a file is damaged, with its name and the line.
    """
    folder = data_folder("ListOps", options.data_dir, FOLDER, ", ".join(FILES.values()))
    tiny = options.scale == "tiny"
    if tiny and options.data_dir is None and not all((folder / name).exists() for name in FILES.values()):
        return split_examples(generate(300, SHORT_SEED), {"train": 200, "val": 50, "test": 50}, MAX_LENGTH)
    require_files(folder)
    return {part: to_split(read_file(folder / name, 200 if tiny else None), MAX_LENGTH) for part, name in FILES.items()}


def load_short(options: LoadOptions) -> dict[str, Split]:
    """Expressions of 8 to 47 tokens, at most three operators deep with 2 to 4 arguments, generated here.

    Examples
    --------
    >>> load_short(LoadOptions(scale="tiny"))["val"].x.shape
    (50, 48)
    """
    sizes = SHORT_SIZES if options.scale == "full" else {"train": 200, "val": 50, "test": 50}
    return split_examples(generate(sum(sizes.values()), SHORT_SEED, SHORT), sizes, SHORT.max_length)


def split_examples(examples: list[Example], sizes: dict[str, int], length: int) -> dict[str, Split]:
    """The examples in order: the first for training, then validation, then test."""
    parts = part_examples(examples, sizes)
    return {name: to_split(part, length) for name, part in parts.items()}


def part_examples(examples: list[Example], sizes: dict[str, int]) -> dict[str, list[Example]]:
    """Consecutive stretches of the given sizes."""
    ends = np.cumsum(list(sizes.values()))
    return {name: examples[end - size : end] for (name, size), end in zip(sizes.items(), ends, strict=True)}


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


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `multires-ref data listops`."""
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"examples for {name} (default: {size})")
    default, shown = Limits(), "(default: %(default)s)"
    for name, text in (("min", "tokens: every length is above this"), ("max", "tokens: every length is below this")):
        parser.add_argument(f"--{name}-length", type=int, default=getattr(default, f"{name}_length"), help=f"{text} {shown}")
    parser.add_argument("--max-depth", type=int, default=default.max_depth, help=f"levels of nesting, digits included {shown}")
    parser.add_argument("--max-args", type=int, default=default.max_args, help=f"most arguments of an operator {shown}")
    parser.add_argument("--seed", type=int, default=1, help=f"seed of the expressions: it fixes the files {shown}")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="how many processes; the files do not depend on it (default: one for each core)",
    )


def prepare(args: argparse.Namespace) -> list[str]:
    """Generate the files if none is there, check every target, and say what was done."""
    folder = data_folder("ListOps", args.data_dir, FOLDER, ", ".join(FILES.values()))
    lines = []
    if not any((folder / name).exists() for name in FILES.values()):
        limits = Limits(args.min_length, args.max_length, args.max_depth, args.max_args)
        sizes = {name: getattr(args, name) for name in FILES}
        parts = part_examples(generate(sum(sizes.values()), args.seed, limits, args.workers), sizes)
        folder.mkdir(parents=True, exist_ok=True)
        for part, examples in parts.items():
            write_file(folder / FILES[part], examples)
        lines.append(f"generated {sum(sizes.values()):,} expressions with seed {args.seed} in {folder}: {limits}")
    require_files(folder)
    count = sum(len(read_file(folder / name, again=True)) for name in FILES.values())
    return [*lines, f"all {count:,} targets are the values of their expressions, by the independent evaluator"]


def prepare_short(args: argparse.Namespace) -> list[str]:
    """Say how the examples of the small version come about: there are no files."""
    return [f"generated when they are loaded, with seed {SHORT_SEED}, every target checked as it is made: {SHORT}"]


LONG = Task(
    name="listops",
    title="Long ListOps: the value of nested expressions of 500 to 2,000 tokens (Long Range Arena)",
    network=NetworkConfig(
        d_input=len(TOKENS),
        d_output=10,
        d_model=128,
        n_layers=10,
        kernel_size=4,
        max_length=MAX_LENGTH,
        encoder="embedding",
        norm="batch",
        dropout=0.1,
        indep_res_init=True,
    ),
    training=TrainingConfig(epochs=100, batch_size=50, lr=0.003, weight_decay=0.03, warmup_epochs=1),
    objective="classification",
    load=load,
    tiny={"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 20},
    published="62.75 % test accuracy (61.85 % with filters untied across levels)",
    labels=tuple("0123456789"),
    tokens=TOKENS,
    add_data_arguments=add_data_arguments,
    prepare=prepare,
)
SMALL = Task(
    name="listops-short",
    title="short ListOps: expressions of 8 to 47 tokens, generated here; learns on a CPU within minutes",
    network=replace(LONG.network, d_model=48, n_layers=4, max_length=SHORT.max_length, dropout=0.0),
    training=replace(LONG.training, epochs=10),
    objective="classification",
    load=load_short,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
    labels=LONG.labels,
    tokens=TOKENS,
    prepare=prepare_short,
)
TASKS = (LONG, SMALL)
