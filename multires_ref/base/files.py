"""Files written whole or not at all, small files read with an error that names them, and the files that come with the package.

A file is written into a temporary file beside the real one, which it then replaces in one step. The temporary name,
`.NAME.PROCESS-N.tmp`, holds the process id and a count, so two processes or threads that write the same file do not mix their
bytes, and `remove_stale` can distinguish the file of a killed process from one that a living process is writing.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST_TEXT = 2**28  # bytes of a JSON or text file that is read at once: 256 MiB, far more than any that this package writes
TEMPORARY = re.compile(r"\..+\.(\d+)-\d+\.tmp", re.DOTALL)
PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "resources"  # a wheel has them there (setup.py); a checkout has them beside the package
_counter = itertools.count()


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash at any moment, sees the old file or the new one and never a part.

    Raises
    ------
    OSError
        With the name of the file, also where the disk is full; the temporary file is then removed.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None  # becomes the subclass of its number
    finally:
        with contextlib.suppress(OSError):  # after a failed `open` there is none; the first error is the one to see
            temporary.unlink()


def temporary_path(path: Path) -> Path:
    """A new name beside `path` for its bytes until they are complete; cut where it would be longer than file systems allow.

    Examples
    --------
    >>> temporary_path(Path("runs/config.json"))  # doctest: +ELLIPSIS
    PosixPath('runs/.config.json....tmp')
    """
    name = path.name.encode(errors="surrogateescape")[:200].decode(errors="ignore")
    return path.with_name(f".{name}.{os.getpid()}-{next(_counter)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that `write_whole` had not finished.

    Examples
    --------
    >>> is_temporary(".config.json.4711-0.tmp"), is_temporary("config.json")
    (True, False)
    """
    return TEMPORARY.fullmatch(name) is not None


def remove_stale(folder: str | Path) -> list[str]:
    """Remove the temporary files that processes left behind which have died; returns their names.

    Only a process that has the folder to itself may call this: it also removes what carries its own process id, because a
    container gives the same id to one process after the other.
    """
    removed = []
    for path in sorted(Path(folder).iterdir()):
        match = TEMPORARY.fullmatch(path.name)
        if match and (int(match[1]) == os.getpid() or not is_alive(int(match[1]))):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


def is_alive(process: int) -> bool:
    """Whether a process of that id runs on this machine; where that cannot be found out, True."""
    if os.name != "posix":  # on Windows os.kill(process, 0) would send it a Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Ask the disk to keep the folder's entries too: a rename is lost in a power cut until then. Windows has no such call."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # a folder that may not be read, or a network file system that refuses: the file is safe
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def regular_file(path: str | Path) -> Path:
    """`path` if it is a regular file.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is a folder, a pipe or a device: opening a pipe could wait for ever.
    """
    path = Path(path)
    mode = path.stat().st_mode  # FileNotFoundError names the path
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise ValueError(f"{path} must be a file; it is {kind}")
    return path


def write_json(path: str | Path, values: object) -> None:
    """`values` as indented JSON, written whole; NaN is refused, because JSON has none."""
    write_whole(path, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file of at most 256 MiB; a ValueError that names the file where it is something else."""
    path = regular_file(path)
    if path.stat().st_size > LARGEST_TEXT:
        raise ValueError(f"{path} is too large: {path.stat().st_size:,} bytes, at most {LARGEST_TEXT:,} were expected")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8: {error}") from None


def read_csv_rows(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The line and the cells of each row of a .csv file, separated by commas, semicolons or tabs, as the first line has them."""
    text = read_text(path).removeprefix("\ufeff")  # spreadsheets put a byte order mark first
    first = text.partition("\n")[0]
    separator = next((mark for mark in ";\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:  # such as a cell of more than 131,072 characters
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; a ValueError that names the file where it is none."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text; a ValueError that begins with `where` if it is damaged or nested too deeply."""
    try:
        return json.loads(text)
    except ValueError as error:  # a JSONDecodeError, or an integer of more digits than Python reads
        raise ValueError(f"{where} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{where} is not JSON that can be read: it is nested too deeply") from None


def resource_folder(name: str) -> Path:
    """The folder "tutorials" or "figures/data".

    Raises
    ------
    FileNotFoundError
        Where neither the installed package nor a checkout around it has the folder.

    Examples
    --------
    >>> (resource_folder("figures/data") / "bench.json").exists()
    True
    """
    for place in (INSTALLED, PACKAGE.parent):
        if (place / name).is_dir():
            return place / name
    raise FileNotFoundError(f"no folder {name!r} came with this installation: it is in the source distribution of multires_ref")
