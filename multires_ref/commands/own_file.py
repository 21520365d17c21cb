"""`multires-ref train FILE`: the flags for a file of the user's own, and the task that a new or a resumed run makes of it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.names import named_as_flags

if TYPE_CHECKING:
    from ..tasks.own_data import OwnData, OwnTask

FLAGS = {"regression": "--regression", "test_file": "--test", "label": "--label"}
FLAGS |= {"test_fraction": "--test-fraction", "val_fraction": "--val-fraction"}


def add_own_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that are for a file alone; what is not given does not appear in the parsed arguments."""
    from ..tasks.own_data import OwnData

    group = parser.add_argument_group("a file of your own in the place of TASK: .npz, .csv or .ts")
    unset: Any = argparse.SUPPRESS
    group.add_argument(
        "--regression", action="store_true", default=unset, help="the labels are numbers to be predicted, not classes"
    )
    group.add_argument(
        "--test", dest="test_file", metavar="FILE", default=unset, help="series to test with (default: a part of FILE)"
    )
    label = "column, or array of an .npz file, of the labels; in a .csv file without names its number, from 1"
    group.add_argument(
        "--label", metavar="NAME", default=unset, help=f"{label} (default: the one called label, class, target or y)"
    )
    for name, of in (("test_fraction", "the series for the test, without --test"), ("val_fraction", "the others for validation")):
        about = f"share of {of}; each class in the same share (default: {getattr(OwnData, name):g})"
        group.add_argument(FLAGS[name], type=float, metavar="FLOAT", default=unset, help=about)


def given_own(args: argparse.Namespace) -> dict[str, Any]:
    """What was given of these flags, by the names of `OwnData`; the test file's path is absolute."""
    given = {name: getattr(args, name) for name in FLAGS if hasattr(args, name)}
    return given | ({"test_file": os.path.abspath(given["test_file"])} if "test_file" in given else {})


def refuse_own_flags(args: argparse.Namespace) -> None:
    """Raise a ValueError if a flag that is for a file was given beside a task."""
    for name in given_own(args):
        raise ValueError(f"{FLAGS[name]} is for a file of your own, as in multires-ref train FILE; {args.task} is a task")


def fresh_own(args: argparse.Namespace) -> OwnTask:
    """The task of a new run."""
    from ..tasks.own_data import OwnData, own_task

    given = given_own(args)
    if hasattr(args, "data_dir"):
        raise ValueError(f"--data-dir is for tasks; the file's own path says where it is, {args.task}")
    if "test_file" in given and "test_fraction" in given:
        raise ValueError(
            "--test-fraction is for a test part drawn from FILE, and --test gives a test file: leave one of them out"
        )
    with named_as_flags(FLAGS):
        own = OwnData(file=os.path.abspath(args.task), **given)
    return own_task(own)


def resumed_own(args: argparse.Namespace, out: Path) -> OwnTask:
    """The task of a run that goes on: its own options, which must be the same where they are given again.

    Raises
    ------
    ValueError
        If the folder is not a run of such a file, an option differs, or a file has changed.
    """
    from ..tasks.own_data import own_task
    from ..training.run_folder import check_same, read_config

    own = own_of(read_config(out), out, args.task)
    given = given_own(args)
    fixed = [name for name in given if name != "test_file"]
    check_same(out, {FLAGS[name]: getattr(own, name) for name in fixed}, {FLAGS[name]: given[name] for name in fixed})
    if "test_file" in given and own.test_file is None:
        raise ValueError(f"cannot resume {out}: the run has no --test; its test part was drawn from {own.file}")
    return own_task(replace(own, file=os.path.abspath(args.task), test_file=given.get("test_file", own.test_file)))


def own_of(recorded: dict[str, Any], out: Path, file: str) -> OwnData:
    """The file and the options that a run's config.json records."""
    from ..tasks.own_data import OwnData

    if "own_data" not in recorded:
        raise ValueError(f"cannot resume {out}: it is a run of task {recorded.get('task')!r}, not of the file {file}")
    return OwnData.of_run(recorded)
