"""Files written whole: into a temporary file beside the real one, which it then replaces in one step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash at any moment, sees the old file or the new one and never a part."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: str | Path, values: Any) -> None:
    """`values` as indented JSON, written whole; NaN is refused, because JSON has none."""
    write_whole(path, (json.dumps(values, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """What a JSON file holds; a ValueError that names the file where it is none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
