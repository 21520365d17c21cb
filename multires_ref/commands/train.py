"""Train a network on a task, and keep everything in a run folder.

multires-ref train digits                        about a minute; no download
multires-ref train digits --d-model 32 --lr 0.005 --seed 2
multires-ref train heart.csv                     a file of your own: .npz, .csv or .ts
multires-ref train ages.csv --regression --label age --test other.csv
multires-ref train digits --out runs/mine        choose the folder
multires-ref train digits --out runs/mine --resume   go on after Ctrl-C, a crash or a power cut
mpirun -n 4 multires-ref train listops           on four processes (extra mpi): the same run

Exit status: 0 after a complete run; 1 where it had to stop (a loss that is not finite, a full
disk) and the last good checkpoint is kept; 2 where it was refused before it began; 130 after
Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.lock import check_free
from ..base.streams import say
from .info import paths_that_begin
from .own_file import add_own_flags, fresh_own, refuse_own_flags, resumed_own
from .settings import add_setting_flags, configs_from, given_settings, task_settings
from .status import STOPPED, in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..base.ranks import Ranks
    from ..network import NetworkConfig
    from ..tasks.task import Task
    from ..training.config import TrainingConfig
    from ..training.data import Split

OPTIONS = ("data_dir", "scale", "device", "length")  # of a run, beside the settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from ..tasks import TASKS
    from ..tasks.task import SCALES
    from ..training.device import DEVICES

    unset: Any = argparse.SUPPRESS  # a resumed run keeps what is not given
    about = f"what to learn: a file of your own (.npz, .csv, .ts), or {', '.join(TASKS)}"
    task = parser.add_argument("task", metavar="TASK", help=about)
    task.completer = lambda prefix, **given: [*TASKS, *paths_that_begin(prefix)]  # for the Tab key: see parser.py
    parser.add_argument("--out", metavar="DIR", help="the run folder; it must be new or empty (default: runs/TASK-TIME)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out, with its settings")
    parser.add_argument("--scale", choices=SCALES, default=unset, help="tiny: a small network on a few examples (default: full)")
    parser.add_argument("--device", choices=DEVICES, default=unset, help="where the arrays live (default: cpu)")
    parser.add_argument(
        "--data-dir", metavar="DIR", default=unset, help="where the task's data are (default: the task's own place)"
    )
    lengths = "; ".join(f"{name}: {task.length.meaning}, {task.length.default}" for name, task in TASKS.items() if task.length)
    parser.add_argument("--length", type=int, default=unset, help=f"of sequences that are generated (default: {lengths})")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    add_own_flags(parser)
    add_setting_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Train, on all ranks where a launcher such as mpirun has started several. Returns the exit status."""
    from ..distributed.launch import start_ranks
    from ..distributed.mpi import MpiRanks
    from ..distributed.together import together

    ranks = start_ranks()
    if isinstance(ranks, MpiRanks):
        return together(ranks, lambda: train(args, ranks), in_words)
    return train(args, ranks)


def train(args: argparse.Namespace, ranks: Ranks) -> int:
    """Train, draw curves.png, and say how it went. Returns the exit status."""
    from ..distributed.waiting import RankLost
    from ..tasks.task import LoadOptions
    from ..training.ahead import compiling_ahead
    from ..training.console import RunInterrupted
    from ..training.loop import fit
    from ..training.run_folder import RanksDiffer, RunStopped
    from ..training.step import NonFiniteLoss

    out = ranks.broadcast(run_folder(args))
    ranks.once(lambda: check_free(out))  # before the data are read, which may take a while
    task, network, training, options, about, beside = prepared(args, out)
    about |= {"task": task.name, "scale": options["scale"], "data_dir": options["data_dir"]}
    about |= {"length": options["length"]} if task.length else {}
    objective = task.scored_by(network)
    keep: dict[str, Any] = {"device": options["device"], "about": about, "beside": beside, "ranks": ranks}
    ahead = compiling_ahead(network, training, objective.name, ranks.first and options["device"] == "cpu")
    try:
        with ahead:
            splits = loaded(lambda: task.load(LoadOptions(options["data_dir"], options["scale"], options["length"])), ranks)
            metrics = fit(network, training, splits, objective, out, resume=args.resume, quiet=args.quiet, **keep)
    except RunInterrupted as stop:
        say(f"{str(stop)[0].upper()}{str(stop)[1:]}. Go on with:\n  {resume_command(args.task, out)}")
        return STOPPED
    except KeyboardInterrupt:
        say(f"Stopped at once. Go on from the last checkpoint with:\n  {resume_command(args.task, out)}")
        return STOPPED
    except RankLost as error:
        raise RankLost(f"{error}. Go on with:\n  {resume_command(args.task, out)}") from None
    except (NonFiniteLoss, RanksDiffer) as error:
        say(f"multires-ref: stopped: {error}")
        return 1
    except RunStopped as error:
        say(f"multires-ref: {error}. When that is put right, go on with:\n  {resume_command(args.task, out)}")
        return 1
    return show(metrics, objective.score_name, task, out) if ranks.first else 0


def loaded(load: Callable[[], dict[str, Split]], ranks: Ranks) -> dict[str, Split]:
    """What `load` gives: rank 0 calls it first, so that the others find what it may have to fetch, generate or keep."""
    splits: dict[str, Split] = {}
    ranks.once(lambda: splits.update(load()))
    return splits or load()


def prepared(
    args: argparse.Namespace, out: Path
) -> tuple[Task, NetworkConfig, TrainingConfig, dict[str, Any], dict[str, Any], dict[str, np.ndarray]]:
    """The task, its settings, the run's options, and what the run keeps of a user's own file: entries and arrays."""
    from ..tasks import TASKS, get_task
    from ..tasks.own_data import is_own_file, run_about

    if not is_own_file(args.task, TASKS):
        refuse_own_flags(args)
        return *settings_of_run(args, get_task(args.task), out), {}, {}
    made = resumed_own(args, out) if args.resume else fresh_own(args)
    task, network, training, options = settings_of_run(args, made.task, out)
    for line in made.lines:
        say(line)
    return task, network, training, options, run_about(made, network, training), made.parts.tensors()


def settings_of_run(
    args: argparse.Namespace, task: Task, out: Path
) -> tuple[Task, NetworkConfig, TrainingConfig, dict[str, Any]]:
    """The task with the settings of a new run, or of the one that is resumed, and the options."""
    return task, *(resumed_settings(args, task, out) if args.resume else fresh_settings(args, task))


def show(metrics: dict[str, Any], score_name: str, task: Task, out: Path) -> int:
    """Draw curves.png and print the last line, which a pipe without a reader does not turn into a failure."""
    status = 0
    try:
        draw_curves(out, score_name, task.title)
    except OSError as error:
        say(f"multires-ref: {in_words(error)}. The run is complete; the same command with --resume draws it again")
        status = 1
    with contextlib.suppress(BrokenPipeError):
        print(summary(metrics, score_name, out, bool(task.target_scale)))
    return status


def run_folder(args: argparse.Namespace) -> Path:
    """--out, or a new folder named after the task, the time and the process: two runs may start in the same second."""
    if args.out is not None:
        return Path(args.out)
    if args.resume:
        raise ValueError(f"--resume needs the folder of the run to go on with: --out runs/{Path(args.task).stem}-...")
    return Path("runs") / f"{Path(args.task).stem}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def fresh_settings(args: argparse.Namespace, task: Task) -> tuple[NetworkConfig, TrainingConfig, dict[str, Any]]:
    """The task's settings at the given scale, with what the command line changes, and the run's options."""
    length = task.length.default if task.length else None
    options = {"data_dir": None, "scale": "full", "device": "cpu", "length": length} | given_options(args)
    return *task_settings(task, args, options["scale"], options["device"], options["length"]), options


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options among OPTIONS that were given."""
    return {name: getattr(args, name) for name in OPTIONS if hasattr(args, name)}


def resumed_settings(args: argparse.Namespace, task: Task, out: Path) -> tuple[NetworkConfig, TrainingConfig, dict[str, Any]]:
    """The run's own settings; one given again must be the same, but for checkpoint_seconds, data_dir and device."""
    from ..training.run_folder import FREE, check_same, read_config

    recorded = read_config(out)
    if recorded.get("task") != task.name:
        raise ValueError(f"cannot resume {out}: it is a run of task {recorded.get('task')!r}, not {task.name!r}")
    network, training = configs_from(recorded)
    options = {name: recorded.get(name) for name in OPTIONS}
    known = network.to_dict() | training.to_dict() | options
    given = given_settings(args) | given_options(args)
    fixed = [name for name in given if name not in ("data_dir", "device")]
    check_same(out, {name: known[name] for name in fixed}, {name: given[name] for name in fixed})
    free = {name: given[name] for name in FREE if name in given}
    return network, replace(training, **free), options | given_options(args)


def resume_command(task: str, out: Path) -> str:
    """The command that goes on with a run, ready for a shell."""
    return shlex.join(["multires-ref", "train", task, "--out", str(out), "--resume"])


def draw_curves(out: Path, score_name: str, title: str) -> None:
    """curves.png from metrics.jsonl."""
    from ..plots.style import save
    from ..plots.training import plot_curves
    from ..training.run_folder import read_lines

    save(plot_curves(read_lines(out), score_name, title), out / "curves.png", dpi=110)


def summary(metrics: dict[str, Any], score_name: str, out: Path, standardised: bool = False) -> str:
    """The last line: what came out, how long it took, where to look.

    Examples
    --------
    >>> metrics = {"test_accuracy": 0.989, "best_epoch": 27, "seconds": 52.3}
    >>> print(summary(metrics, "accuracy", Path("runs/mine")))
    Test accuracy 98.9 % (best epoch 27 by validation) in 52 s. Run folder: runs/mine; look at curves.png;
    `multires-ref evaluate runs/mine` shows the confusion table.
    """
    value = metrics[f"test_{score_name}"]
    shown = {"accuracy": f"accuracy {value:.1%}".replace("%", " %"), "macro_auroc": f"macro AUROC {value:.3f}"}
    shown["bits_per_dim"] = f"score {value:.3f} bits per dimension"
    if score_name in ("r2", "tag_accuracy"):  # where the loss is what others have published
        loss, tags = f"{metrics['test_loss']:.3g}", f"{value:.1%}".replace("%", " %")
        shown |= {
            "r2": f"R^2 {value:.5f}, mean squared error {loss}" if not standardised else f"R^2 {value:.4f}",
            "tag_accuracy": f"accuracy of the tags {tags}, loss {loss}",
        }
    if "test_mae" in metrics:
        shown["r2"] += f", mean absolute error {metrics['test_mae']:.3g}"
    more = {"accuracy": "the confusion table", "macro_auroc": "every label's score"}.get(score_name, "the score of any split")
    score = shown.get(score_name, f"{score_name.replace('_', ' ')} {value:.3f}")
    return (
        f"Test {score} (best epoch {metrics['best_epoch']} by validation) in {metrics['seconds']:.0f} s. "
        f"Run folder: {out}; look at curves.png;\n`multires-ref evaluate {out}` shows {more}."
    )
