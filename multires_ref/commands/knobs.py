"""The stored pictures of the notebooks' knobs: files in `tutorials/site/_static/knobs`, named after the cells' ids.

A cell's id is computed from its text, so the pictures stay with the cell when it moves to another notebook.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ..base.files import write_json, write_whole

AT_START = "import ipywidgets, multires_ref.plots.knobs as k; ipywidgets.interact = k.recording(ipywidgets.interact); del k"
KNOBS = "site/_static/knobs"  # in the folder of the tutorials


def store_knobs(notebook: Any, folder: Path) -> None:
    """Take the records of knobs out of an executed notebook, and write them where the folder of the tutorials has a site."""
    from ..plots.knobs import MIME

    for cell in notebook.cells:
        records = [output["data"][MIME] for output in cell.get("outputs", []) if MIME in output.get("data", {})]
        if not records:
            continue
        cell.outputs = [output for output in cell.outputs if MIME not in output.get("data", {})]
        if (folder / "site").is_dir():
            write_knob(records[0], folder / KNOBS / cell.id)


def write_knob(record: dict[str, Any], path: Path) -> None:
    """PATH-0.png, PATH-1.png, ..., and PATH.json with the rest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for n, picture in enumerate(record["pictures"]):
        write_whole(path.with_name(f"{path.name}-{n}.png"), base64.b64decode(picture))
    write_json(path.with_name(f"{path.name}.json"), {"controls": record["controls"], "words": record["words"]})


def remove_unused_knobs(folder: Path) -> None:
    """Remove the pictures of cells that no notebook in the folder has any more."""
    notebooks = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("[0-9][0-9]*.ipynb")]
    used = {cell.get("id") for notebook in notebooks for cell in notebook["cells"]}
    for path in (folder / KNOBS).glob("*.*"):
        if path.stem.split("-")[0] not in used and path.stem not in used:
            path.unlink()
