"""Files written whole or not at all, and small files read with an error that names them.

A file is written into a temporary file beside the real one, which it then replaces in one step. The temporary name holds the
process id, so two processes that write the same file do not mix their bytes.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

LARGEST_TEXT = 2**28  # bytes of a JSON or text file that is read at once: 256 MiB, far more than any that this package writes


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash at any moment, sees the old file or the new one and never a part.

    Raises
    ------
    OSError
        With the name of the file, also where the disk is full; the temporary file is then removed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Ask the disk to keep the folder's entries too: a rename is lost in a power cut until then. Windows has no such call."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError:  # some network file systems refuse it for folders; the file itself is safe
        pass
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


def write_json(path: str | Path, values: Any) -> None:
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


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; a ValueError that names the file where it is none."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text; a ValueError that begins with `where` if it is damaged or nested too deeply."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{where} is not JSON that can be read: it is nested too deeply") from None
