"""Draw the figures of the README and the tutorials, or those of a model of your own.

multires-ref figures                         all of them, into figures/, bit by bit as they are committed
multires-ref figures --only tree memory      some of them
multires-ref figures --run runs/digits-...   a trained model's responses, filters, scales, memory and kernels, into RUN/figures
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base.resources import resource_folder
from ..checks import check_choice

Drawings = dict[str, tuple[str, Callable[[], Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--out", type=Path, help="folder to write to (default: figures, or RUN/figures with --run)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="draw these only")
    parser.add_argument("--run", type=Path, help="a run folder or checkpoint: draw figures of that model")
    parser.add_argument("--data", type=Path, help="folder of stored runs and measurements (default: the package's)")


def run(args: argparse.Namespace) -> int:
    """Draw, save, and name each file written."""
    from ..plots.style import save

    drawings = of_run(args.run) if args.run else of_package(args.data or resource_folder("figures/data"), args.only)
    for name in args.only or []:
        check_choice("--only", name, drawings)
    folder = args.out or (beside(args.run) if args.run else Path("figures"))
    for name, (kind, draw) in drawings.items():
        if args.only is None or name in args.only:
            print(save(draw(), folder / f"{name}.{kind}"))
    return 0


def of_package(data: Path, only: list[str] | None = None) -> Drawings:
    """The package's own figures; one that needs a file which is not there is left out, with a line, unless it was asked for."""
    from ..plots.gallery import FIGURES
    from ..plots.stored import STORED

    drawings: Drawings = dict(FIGURES)
    for name, figure in STORED.items():
        path = data / figure.needs
        if path.exists():
            drawings[name] = (figure.kind, lambda figure=figure, path=path: figure.draw(path))
        elif only and name in only:
            raise FileNotFoundError(f"the figure {name!r} is drawn from {path}, which does not exist (--data tells the folder)")
        elif not only:
            print(f"left out: {name}, which needs {path}")
    return drawings


def of_run(path: Path) -> Drawings:
    """The figures of a user's own model."""
    from ..interop.load import load_model
    from ..plots.gallery import ecg
    from ..plots.model import figures_of_model

    x = ecg()
    return figures_of_model(load_model(path), x / x.std(), "an ECG / its deviation", start_of(path))


def start_of(path: Path) -> Any:
    """The run's layers before training, or None where the file does not say how it began (another program's checkpoint)."""
    from ..plots.model import initial_layers
    from ..training.checkpoint import network_from, read_checkpoint

    file = path / "best.safetensors" if path.is_dir() else path
    try:
        metadata = read_checkpoint(file)[1]
        training = metadata["training"]
    except (ValueError, KeyError):
        return None
    return initial_layers(network_from(file, metadata), training["seed"], training["dtype"])


def beside(path: Path) -> Path:
    """Where a run's figures go: into its folder, or beside the checkpoint."""
    return (path if path.is_dir() else path.parent) / "figures"
