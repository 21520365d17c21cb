"""A user's own file as a task: its series in three parts, standardised, with a network and settings that follow from their size.

OwnData     what the user said: the files, and how they are divided. It is kept in the run's config.json
own_task    the `Task` that it makes, and what a run keeps beside the network so that new series can be predicted
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import check_bool, check_choice, check_number, keep, memory_bytes
from ..base.files import regular_file
from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .own_parts import Parts, in_parts, numbers_of
from .series_files import READERS, read_series
from .series_record import SeriesFile
from .task import LoadOptions, Task

TINY = {"d_model": 8, "n_layers": 2, "epochs": 2}
TINY_PART = 64  # series of each part at scale "tiny"


@dataclass(frozen=True)
class OwnData:
    """What a run on a file of the user's own is about.

    Parameters
    ----------
    file : str
        Absolute path of the series to learn from.
    test_file : str or None
        Absolute path of the series to test with; None takes a part of `file`.
    regression : bool
        The labels are numbers to be predicted, and no classes.
    label : str or None
        The column or array that holds the labels; see `read_series`.
    test_fraction, val_fraction : float
        The share of the series that are for the test (where there is no `test_file`), and of the others those for validation.
    sha256, test_sha256 : str
        Of the files, as they were when the run began; empty for a new run.
    """

    file: str
    test_file: str | None = None
    regression: bool = False
    label: str | None = None
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    sha256: str = ""
    test_sha256: str = ""

    def __post_init__(self) -> None:
        keep(self, regression=check_bool("regression", self.regression))
        for name in ("test_fraction", "val_fraction"):
            keep(self, **{name: check_number(name, getattr(self, name), 0.001, 0.9)})

    @classmethod
    def of_run(cls, about: dict[str, Any], data_dir: str | None = None) -> OwnData:
        """What `about_run` says; the files may now be in the folder `data_dir`."""
        values = about["own_data"]
        try:
            own = cls(**values)
            paths = {name: os.path.join(data_dir, Path(getattr(own, name)).name) for name in own.files()} if data_dir else {}
            return replace(own, **paths)
        except TypeError as error:
            raise ValueError(f"the run's own_data must be the settings of a file; got {str(values)[:80]}: {error}") from None

    def files(self) -> dict[str, str]:
        """The paths by name: "file", and "test_file" where there is one."""
        return {"file": self.file} | ({"test_file": self.test_file} if self.test_file is not None else {})

    def with_hashes(self) -> OwnData:
        """The same with the files' SHA-256.

        Raises
        ------
        FileNotFoundError
        ValueError
            If a file is not the one that the run began with.
        """
        found = {name.replace("file", "sha256"): sha256_of(path) for name, path in self.files().items()}
        for path, (name, now) in zip(self.files().values(), found.items(), strict=True):
            if getattr(self, name) not in ("", now):
                raise ValueError(f"{path} has changed since the run began: its SHA-256 was {getattr(self, name)} and is {now}")
        return replace(self, **found)

    def to_dict(self) -> dict[str, Any]:
        """For config.json."""
        return asdict(self)


class OwnTask(NamedTuple):
    """A task made of a file: the record, its parts, what a run keeps, and lines to show.

    Parameters
    ----------
    task : Task
    parts : Parts
    own : OwnData, with the files' hashes
    lines : list of str
        What the data are, how they were divided and what was assumed.
    """

    task: Task
    parts: Parts
    own: OwnData
    lines: list[str]


def is_own_file(name: str, tasks: Any) -> bool:
    """Whether what stands in the place of a task is a file: it is no task's name, and ends as data files do or exists.

    Examples
    --------
    >>> is_own_file("digits", ["digits"]), is_own_file("heart.csv", ["digits"]), is_own_file("digit", ["digits"])
    (False, True, False)
    """
    return name not in tasks and (Path(name).suffix.lower() in READERS or Path(name).exists())


def sha256_of(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with open(regular_file(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def own_task(own: OwnData) -> OwnTask:
    """Read the files and make a task of them.

    Raises
    ------
    FileNotFoundError
    ValueError
        What `read_series` refuses; labels that are missing, do not fit classes or regression, or occur in the test file alone;
        a class with too few series to be divided; a test file with another number of channels.
    """
    own = own.with_hashes()
    data = labelled(read_series(own.file, label=own.label), own)
    test = None if own.test_file is None else labelled(read_series(own.test_file, label=own.label), own)
    check_fits_memory(data)
    parts = in_parts(data, test, own.regression, own.test_fraction, own.val_fraction)
    n, length = len(parts.splits["train"]), max(x.shape[1] for x in data.series)
    task = Task(
        name=Path(own.file).name,
        title=f"{Path(own.file).name}, {'numbers' if own.regression else 'classes'} of your own series",
        network=network_for(n, data.channels, length, parts.outputs),
        training=training_for(n),
        objective="regression" if own.regression else "classification",
        load=lambda options: cut(parts.splits, options),
        tiny=TINY,
        labels=parts.label_names,
        target_scale=tuple(parts.y_scale.tolist()) if own.regression else (),
    )
    return OwnTask(task, parts, own, lines_about(data, test, parts, own))


def labelled(data: SeriesFile, own: OwnData) -> SeriesFile:
    """The file with its labels checked: as numbers [n, targets] for regression, otherwise as classes [n]."""
    if data.labels is None:
        how = "" if data.path.suffix == ".ts" else ": name the column or array that holds them with --label NAME"
        raise ValueError(f"{data.path} has no labels to learn{how}")
    if own.regression:
        return data._replace(labels=numbers_of(data))
    if data.labels.ndim == 2 and data.labels.shape[1] > 1:
        raise ValueError(
            f"{data.path} has {data.labels.shape[1]} labels a series; classes are one a series (numbers: --regression)"
        )
    classes = data.labels.reshape(-1)
    if classes.dtype.kind == "f" and (classes % 1).any():
        row = int(np.flatnonzero(classes % 1)[0])
        raise ValueError(f"{data.path}, series {data.names[row]}: {classes[row]} is no class (to learn numbers: --regression)")
    return data._replace(labels=classes)


def check_fits_memory(data: SeriesFile) -> None:
    """Raise a ValueError if the series, padded to one length, would need more memory than there is."""
    longest = max(x.shape[1] for x in data.series)
    needed = len(data.series) * data.channels * longest * 8
    if needed > memory_bytes():
        raise ValueError(f"{data.path}: padded to {longest:,} time steps, its series need {needed / 2**30:,.0f} GiB of memory")


def network_for(n: int, channels: int, length: int, outputs: int) -> NetworkConfig:
    """The network for n series, as `MultiresClassifier` chooses it."""
    from ..estimators.defaults import network_settings

    return NetworkConfig(d_input=channels, d_output=outputs, max_length=length, **network_settings(n, channels, length))


def training_for(n: int) -> TrainingConfig:
    """The training for n series, as `MultiresClassifier` chooses it."""
    from ..estimators.defaults import training_settings

    return TrainingConfig(**training_settings(n))


def cut(splits: dict[str, Split], options: LoadOptions) -> dict[str, Split]:
    """The parts; at scale "tiny" the first series of each."""
    check_choice("scale", options.scale, ("full", "tiny"))
    if options.scale == "full":
        return splits
    return {name: split.take(np.arange(min(len(split), TINY_PART))) for name, split in splits.items()}


def lines_about(data: SeriesFile, test: SeriesFile | None, parts: Parts, own: OwnData) -> list[str]:
    """What the data are, how they are divided and what was assumed: all that the user should check."""
    lengths = sorted({x.shape[1] for x in data.series})
    steps = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    channels = f"{data.channels} channel{'s' if data.channels > 1 else ''}"
    lines = [f"{data.path}: {len(data.series)} series of {channels}, {steps} time steps; {parts.about_labels()}"]
    sizes = {name: len(split) for name, split in parts.splits.items()}
    how = "at random" + ("" if own.regression else ", each class in the same share")
    what = "validation" if test else "validation and test"
    drawn = f"validation {sizes['val']} (--val-fraction {own.val_fraction:g} of those not for the test)"
    tested = f"test {sizes['test']}: {test.path}" if test else f"test {sizes['test']} (--test-fraction {own.test_fraction:g})"
    lines.append(f"parts: training {sizes['train']}, {drawn}, {tested}; {what} drawn {how}, the same in every run")
    taken = dict.fromkeys([*data.assumed, *(test.assumed if test else ())])
    return lines + ([f"assumed: {'; '.join(taken)}"] if taken else [])


def run_about(made: OwnTask, network: NetworkConfig, training: TrainingConfig) -> dict[str, Any]:
    """What a run's config.json and checkpoints say of its data, so that `MultiresClassifier.load` and the commands read it."""
    from ..estimators.network_estimator import NETWORK, TRAINING
    from ..estimators.saved import run_record

    own, parts = made.own, made.parts
    values = network.to_dict() | training.to_dict()
    settings = {name: values[name] for name in (*NETWORK, *TRAINING)}
    settings |= {"max_epochs": training.epochs, "random_state": training.seed, "validation_fraction": own.val_fraction}
    kind = "MultiresRegressor" if own.regression else "MultiresClassifier"
    estimator = run_record(kind, settings, parts.classes, parts.one_target, parts.n_features_in)
    return {"own_data": own.to_dict(), "estimator": estimator}
