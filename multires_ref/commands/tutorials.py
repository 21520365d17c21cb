"""Open the tutorials in JupyterLab, or rebuild the notebooks from their sources.

multires-ref tutorials                               open JupyterLab on the folder tutorials/
multires-ref tutorials -- --no-browser --port 9999   what follows -- is passed to JupyterLab
multires-ref tutorials --build                       execute every NN_name.py into its .ipynb
multires-ref tutorials --build 03 05                 only these
multires-ref tutorials --site DIR                    tutorials, guide and reference as a web site

JupyterLab ends when this command ends: by Ctrl-C, by SIGTERM, or because its terminal is closed.
Notebooks are built from the .py files (jupytext's py:percent format). A rebuilt notebook differs
only where its cells or their outputs differ: ids of cells are computed from their text, and no
times, versions or states of widgets are stored. For pages without a kernel, pictures of a few
settings of every knob are stored in the folder site/_static/knobs beside the notebooks.

The site is a folder of web pages that need no server and no network. They show the notebooks with
their stored outputs. Sphinx and what else builds it come with the extra site.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from ..base.files import resource_folder, write_whole
from .knobs import AT_START, remove_unused_knobs, store_knobs

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
INSTALL = "pip install jupyterlab jupytext ipywidgets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.hint = "options for JupyterLab go after --: multires-ref tutorials -- --no-browser"
    parser.add_argument(
        "--folder", type=Path, help="folder of the tutorials (default: tutorials; if there is none, it is made as a copy)"
    )
    parser.add_argument(
        "--build",
        nargs="*",
        metavar="NN",
        help="rebuild the notebooks whose names begin with NN, or all if no NN is given (default: none)",
    )
    parser.add_argument(
        "--site",
        type=Path,
        metavar="DIR",
        help="build the site for web browsers in this folder: a new or empty one, or an earlier site (default: none)",
    )
    parser.add_argument("--timeout", type=int, default=120, help="seconds that a cell may take while building (default: 120)")
    parser.add_argument(
        "options", nargs="*", metavar="-- OPTIONS", help="after --: options for JupyterLab, as in jupyter lab --help"
    )


def run(args: argparse.Namespace) -> int:
    """Open, or build."""
    if args.site is not None:
        return make_site(args)
    folder = own_folder() if args.folder is None else args.folder
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}; without --folder the tutorials that came with the package are used"
        )
    if args.build is None:
        return open_lab(folder, args.options)
    if args.options:
        raise ValueError(f"--build does not open JupyterLab, so it takes no options for it; got {' '.join(args.options)}")
    for source in sources(folder, args.build):
        print(build(source, args.timeout))
    remove_unused_knobs(folder)
    return 0


def make_site(args: argparse.Namespace) -> int:
    """Build the site from the folder that is given, or from the tutorials that came with the package."""
    from .site import build_site

    if args.options or args.build is not None:
        raise ValueError("--site is a task of its own: it takes neither --build nor options for JupyterLab")
    warnings = build_site(args.site, args.folder)
    print(f"{args.site / 'index.html'}" + (f", with {warnings} warnings" if warnings else ""))
    return 0


def own_folder() -> Path:
    """The folder `tutorials` here; where there is none, a copy of the package's, so that notebooks can be changed and run."""
    folder = Path("tutorials")
    if not folder.exists():
        shutil.copytree(resource_folder("tutorials"), folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "site"))
        print(f"copied the tutorials into the new folder {folder.absolute()}")
    return folder


def open_lab(folder: Path, options: Sequence[str] = ()) -> int:
    """Run JupyterLab on the folder until it is closed or this process is asked to end; returns its exit status.

    Raises
    ------
    ImportError
        If JupyterLab is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("jupyterlab") is None:
        raise ImportError(f"JupyterLab is not installed: {INSTALL}")
    with ending_signals():
        return run_to_the_end([sys.executable, "-m", "jupyterlab", str(folder), *options])


@contextmanager
def ending_signals() -> Iterator[None]:
    """A `with` block in which SIGTERM and a closed terminal (SIGHUP) end the process by an exception, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_to_the_end(command: list[str], patience: float = 10.0) -> int:
    """Run a command and return its exit status; whatever ends this process meanwhile ends the command first.

    The command gets a session of its own, so that Ctrl-C reaches this process alone: JupyterLab would ask in the terminal whether
    it should really stop. It is asked to end by SIGTERM, and killed with what is left of its session after `patience` seconds.

    Examples
    --------
    >>> run_to_the_end([sys.executable, "-c", "raise SystemExit(3)"])
    3
    """
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(patience)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                kill_session(child)
                child.wait()


def kill_session(child: subprocess.Popen) -> None:
    """Kill the process and what else runs in its session (where the system knows sessions)."""
    if hasattr(os, "killpg"):
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()


def sources(folder: Path, beginnings: list[str]) -> list[Path]:
    """The tutorials' sources in order, NN_name.py; with `beginnings` only those whose names begin with one of them."""
    found = sorted(folder.glob("[0-9][0-9]_*.py"))
    chosen = [path for path in found if not beginnings or path.name.startswith(tuple(beginnings))]
    if not chosen:
        raise FileNotFoundError(
            f"no tutorial {' or '.join(beginnings)} in {folder}: there are {', '.join(p.stem for p in found)}"
        )
    return chosen


def build(source: Path, timeout: int = 120) -> Path:
    """Execute a source and write the notebook beside it, completely or not at all; returns the notebook's path."""
    import nbformat

    notebook = execute(read_source(source), source.parent, timeout)
    store_knobs(notebook, source.parent)
    path = source.with_suffix(".ipynb")
    write_whole(path, (nbformat.writes(notebook) + "\n").encode())
    return path


def read_source(source: Path) -> Any:
    """The notebook in a py:percent file, not executed, with cell ids made from the cells' text."""
    try:
        import jupytext
    except ImportError:
        raise ImportError(f"jupytext is not installed: {INSTALL}") from None
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = dict(METADATA)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        cell["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return notebook


def execute(notebook: Any, folder: Path, timeout: int = 120) -> Any:
    """Run all cells in a kernel of their own, in `folder`; an error in a cell is raised with the cell's text."""
    try:
        from nbclient import NotebookClient
    except ImportError:
        raise ImportError(f"nbclient is not installed: {INSTALL}") from None
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", record_timing=False,
        extra_arguments=[f"--IPKernelApp.exec_lines={AT_START}"],  # so that knobs give pictures too
        coalesce_streams=True,  # whether a print arrives in one piece or in two depends on how busy the machine is
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute()
    notebook.metadata = dict(METADATA)  # without the widgets' states, which are different each time
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            cell.metadata.pop("execution", None)
    return notebook
