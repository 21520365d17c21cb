"""Where a task's files are: a folder, and one sentence where it is not what was expected."""

from __future__ import annotations

from pathlib import Path


def data_folder(task: str, data_dir: str | None, default: str, holds: str) -> Path:
    """`data_dir`, or the task's own place where None is given; it need not exist yet.

    Raises
    ------
    ValueError
        If it is a file; `holds` says what a folder there would hold.
    """
    place = Path(data_dir or default)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{task}: {place} is a file; a folder with {holds} is expected")
    return place


def absent(task: str, name: str, place: Path, advice: str) -> FileNotFoundError:
    """The error for a file that is not in its folder: says whether there is a folder, and what to do."""
    state = "does not exist"
    if place.is_dir():
        state = "holds other files" if any(place.iterdir()) else "is empty"
    return FileNotFoundError(f"{task}: {name} is not in {place}, which {state}. {advice}")
