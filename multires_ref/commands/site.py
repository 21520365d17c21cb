"""The site of `multires-ref tutorials --site DIR`: its sources put together in a temporary folder, and built there by Sphinx.

The few sources of its own lie in `tutorials/site/`; the notebooks, the figures, the changelog and the page to play with
(`explore/export.py`) join them. Links in all of them are written as they hold in the repository, and are turned here into links
between pages of the site.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from ..base.files import resource_folder
from ..base.optional import import_from_extra

LIBRARIES = ("sphinx", "pydata_sphinx_theme", "numpydoc", "myst_nb", "sphinx_design", "sphinx_copybutton", "bokeh")
MOVED = {"tutorials/README.md": "tutorials/index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
INSTEAD = {"README.md": "index.md", "API.md": "reference.md"}  # what is no page of the site, and the page that says the same
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
NOTEBOOKS_FOR_MENU = "\n\n```{toctree}\n:hidden:\n:glob:\n\n[0-9][0-9]*\n```\n"


class SiteError(ValueError):
    """Sphinx could not build the site."""


def build_site(target: Path, tutorials: Path | None = None) -> int:
    """Build the site and put it at `target`, whole or not at all; returns the number of warnings.

    Parameters
    ----------
    target : Path
        A new or an empty folder, or one that holds an earlier site, which is replaced.
    tutorials : Path, optional
        The folder with the notebooks and their map, README.md; without it the one that came with the package.

    Raises
    ------
    ImportError
        If a library of the extra `site` is not installed.
    FileExistsError
        If something else is at `target`.
    SiteError
        If Sphinx fails; nothing is then written at `target`.
    """
    check_target(target)
    for library in LIBRARIES:
        import_from_extra(library, "the site", "site")
    from ..explore.export import export_page

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as place:
        work = Path(place)
        put_together(work / "source", tutorials or resource_folder("tutorials"))
        with ThreadPoolExecutor(1) as pool:  # Sphinx is a process of its own, so the page to play with is made meanwhile
            warnings = pool.submit(call_sphinx, work / "source", work / "site")
            export_page(work / "explore.html")
            number = warnings.result()
        (work / "explore.html").rename(work / "site/explore.html")
        put_at(work / "site", target, work / "old")
    return number


def check_target(target: Path) -> None:
    """Only a new or empty folder, or an earlier site, is written to."""
    if target.is_dir() and ((target / ".buildinfo").is_file() or not any(target.iterdir())):
        return
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"--site must be a new folder, an empty one or an earlier site; {target} holds something else")


def put_at(site: Path, target: Path, old: Path) -> None:
    """Two renames in the folder that holds both, so that no half of a site is ever at `target`."""
    if target.exists():
        target.rename(old)
    try:
        site.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def call_sphinx(source: Path, out: Path) -> int:
    """Build HTML; warnings are printed to the standard error, and their number is returned."""
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-n", "-j", "auto", "-d", str(source.parent / "doctrees")]
    done = subprocess.run([*command, str(source), str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = done.stderr.replace(f"{source}/", "")
    sys.stderr.write(said)
    if done.returncode != 0:
        raise SiteError("Sphinx could not build the site; what it said stands above")
    return len(re.findall(r"\b(?:WARNING|ERROR): ", said))


def put_together(source: Path, tutorials: Path) -> None:
    """All sources, in the places that they have on the site."""
    root = resource_folder("figures").parent
    shutil.copytree(resource_folder("tutorials") / "site", source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "figures", source / "figures", ignore=shutil.ignore_patterns("data"))
    pages = {f"tutorials/site/{path.relative_to(source).as_posix()}": path for path in source.rglob("*.md")}
    pages |= {name: root / name for name in ("CHANGELOG.md", "CONTRIBUTING.md")} | {
        "tutorials/README.md": tutorials / "README.md"
    }
    (source / "tutorials").mkdir()
    for name, path in pages.items():
        more = NOTEBOOKS_FOR_MENU if name == "tutorials/README.md" else ""
        (source / place_on_site(name)).write_text(relinked(path.read_text(), name) + more)
    for path in sorted(tutorials.glob("[0-9][0-9]*.ipynb")):
        write_notebook(path, source)


def place_on_site(name: str) -> str:
    """Where a file of the repository stands among the sources of the site.

    Examples
    --------
    >>> place_on_site("tutorials/site/guide/gpu.md"), place_on_site("tutorials/02_the_tree.ipynb"), place_on_site("CHANGELOG.md")
    ('guide/gpu.md', 'tutorials/02_the_tree.ipynb', 'changelog.md')
    """
    return MOVED.get(name) or INSTEAD.get(name) or name.removeprefix("tutorials/site/")


def relinked(text: str, name: str) -> str:
    """The text of the repository's file `name` with its links as they are between the site's pages.

    Examples
    --------
    >>> relinked("see [2](../../02_the_tree.ipynb) and [the changes](../../../CHANGELOG.md)", "tutorials/site/guide/gpu.md")
    'see [2](../tutorials/02_the_tree.ipynb) and [the changes](../changelog.md)'
    """
    here = PurePosixPath(place_on_site(name)).parent

    def link(match: re.Match[str]) -> str:
        there = place_on_site(posixpath.normpath(PurePosixPath(name).parent / match[2]))
        return f"{match[1]}{posixpath.relpath(there, here)}{match[3] or ''}"

    return LINK.sub(link, text)


def write_notebook(path: Path, source: Path) -> None:
    """A notebook with its links changed, its pictures described, and stored pictures where a knob needs a kernel."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked("".join(cell["source"]), f"tutorials/{path.name}")
            continue
        record = source / f"_static/knobs/{cell['id']}.json"
        if record.exists():
            cell["outputs"].append(as_output(knob(json.loads(record.read_text()), cell["id"])))
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                cell["metadata"]["mystnb"] = {"image": {"alt": "".join(output["data"].get("text/plain", "a figure"))}}
    (source / "tutorials" / path.name).write_text(json.dumps(notebook))


def as_output(code: str) -> dict[str, Any]:
    """HTML as the output of a cell."""
    return {"output_type": "display_data", "data": {"text/html": code}, "metadata": {}}


def knob(record: dict[str, Any], name: str) -> str:
    """A slider for each control and a picture for each setting, which `_static/knobs.js` connects; see `plots/knobs.py`."""
    sliders = [
        f'<label><span>{html.escape(control["name"])}</span><input type="range" min="0" max="{len(control["values"]) - 1}" '
        f"value=\"{control['start']}\" data-values='{html.escape(json.dumps(control['values']))}'><output></output></label>"
        for control in record["controls"]
    ]
    pictures = [
        f'<img src="../_static/knobs/{name}-{n}.png" alt="{html.escape(words)}" hidden>'
        for n, words in enumerate(record["words"])
    ]
    note = "<p>Stored pictures of some settings. In the running notebook the knob takes every value.</p>"
    return f'<div class="knob">{"".join(sliders)}{"".join(pictures)}{note}</div>'
