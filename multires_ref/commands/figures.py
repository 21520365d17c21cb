"""Draw the figures of the README and the tutorials, or those of a model of your own.

multires-ref figures                         all, into figures/; they are the same bytes each time
multires-ref figures --only tree memory      some of them
multires-ref figures --run runs/digits-...   of a trained model, into RUN/figures
multires-ref figures --run runs/digits-... --signal heart.wav   its memory of your signal

The figures of a model show the responses of its scales, its filters, how much each scale weighs,
its kernels, the nearest wavelet of each pair of filters (also as a table, in filter_report.txt and
filter_report.json), and for a signal the memory of it and what can be recovered from it. Without
--signal the signal is the first test example of the task that the model was trained on. A .npy
file holds [L] or [channels, L]; a .csv file has a line for every time step and a column for every
channel; a .wav file contains its sampling rate. The signal is given to the network as it is:
normalise it as the training data were normalised.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ..base.checks import check_choice
from ..base.files import resource_folder

Drawings = dict[str, tuple[str, Callable[[], Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: figures, or RUN/figures with --run)")
    only = parser.add_argument("--only", nargs="+", metavar="NAME", help="draw these only (default: all)")
    only.completer = lambda **given: names()  # for the Tab key: see parser.py
    parser.add_argument("--run", type=Path, help="run folder or checkpoint whose figures are drawn (default: the package's)")
    parser.add_argument("--signal", metavar="FILE", help="with --run: .npy, .csv or .wav (default: an example of the run's task)")
    parser.add_argument("--rate", type=float, help="samples per second of a .npy or .csv signal (default: not known)")
    parser.add_argument("--data", type=Path, help="folder of stored runs and measurements (default: the package's)")


def names() -> list[str]:
    """The names of all figures, of the package and of a run."""
    from ..plots.gallery import FIGURES
    from ..plots.model import OF_A_MODEL
    from ..plots.stored import STORED

    return sorted({*FIGURES, *STORED, *OF_A_MODEL})


def run(args: argparse.Namespace) -> int:
    """Draw, save, and name each file written."""
    from ..plots.style import save

    if args.signal is not None and args.run is None:
        raise ValueError("--signal is drawn for a model: give --run RUN too, a run folder or a checkpoint")
    if args.rate is not None and args.signal is None:
        raise ValueError("--rate belongs to a signal: give --signal FILE too")
    report: Callable[[], Any] | None = None
    if args.run:
        drawings, report = of_run(args.run, args.signal, args.rate)
    else:
        drawings = of_package(args.data or resource_folder("figures/data"), args.only)
    for name in args.only or []:
        check_choice("--only", name, drawings)
    folder = args.out or (beside(args.run) if args.run else Path("figures"))
    for name, (kind, draw) in drawings.items():
        if args.only is None or name in args.only:
            print(save(draw(), folder / f"{name}.{kind}"))
    if report and (args.only is None or "nearest" in args.only):
        write_report(report(), folder)
    return 0


def write_report(report: Any, folder: Path) -> None:
    """The report on the filters, as text and as JSON."""
    from ..base.files import write_json, write_whole

    text, numbers = (folder / f"filter_report.{ending}" for ending in ("txt", "json"))
    write_whole(text, f"{report}\n\nall pairs\n{report.table()}\n".encode())
    write_json(numbers, report.to_dict())
    print(f"{text}\n{numbers}")


def of_package(data: Path, only: list[str] | None = None) -> Drawings:
    """The package's own figures; one whose data file is missing is left out, with a message, unless it was asked for."""
    from ..plots.gallery import FIGURES
    from ..plots.stored import STORED

    drawings: Drawings = dict(FIGURES)
    for name, figure in STORED.items():
        path = data / figure.needs
        if path.exists():
            drawings[name] = (figure.kind, lambda figure=figure, path=path: figure.draw(path))
        elif only and name in only:
            raise FileNotFoundError(f"the figure {name!r} is drawn from {path}, which does not exist (--data gives the folder)")
        elif not only:
            print(f"left out: {name}, which needs {path}")
    return drawings


def of_run(path: Path, signal: str | None = None, rate: float | None = None) -> tuple[Drawings, Callable[[], Any]]:
    """The figures of a user's own model, for a signal in a file or for the first test example of the run's task; and a function
    that makes the report on its filters, once."""
    from ..authors.load import load_model
    from ..diagnose.filters import filter_report
    from ..plots.model import figures_of_model
    from ..plots.nearest import nearest_of_report
    from ..plots.of_run import start_of
    from ..plots.signal import signal_in

    model = load_model(path)
    report = cache(lambda: filter_report(model))
    shown = signal_in(signal, rate, model.config) if signal else signal_of(path, model.config)
    drawings = figures_of_model(model, shown, start_of(path))
    return drawings | {"nearest": ("svg", lambda: nearest_of_report(report()))}, report


def signal_of(path: Path, config: Any) -> Any:
    """The first test example of the run's own task; if there is none, a stand-in, with a message that says so."""
    from ..plots.of_run import examples_of_run
    from ..plots.signal import stand_in
    from ..training.checkpoint import about_run

    try:
        return examples_of_run(path, about_run(path), config).signal(0)
    except (ValueError, FileNotFoundError, ImportError) as error:
        shown = stand_in(config)
        print(f"{error}. The signal drawn is a {shown.title} (--signal FILE draws yours)")
        return shown


def beside(path: Path) -> Path:
    """Where a run's figures go: into its folder, or beside the checkpoint."""
    return (path if path.is_dir() else path.parent) / "figures"
