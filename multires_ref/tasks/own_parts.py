"""A file's series in three parts, standardised by the training part, as the network learns from them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from ..training.data import Split
from .series_record import SeriesFile, number

SPLIT_SEED = 0  # of the division into parts: its own, so that every run sees the same parts


class Parts(NamedTuple):
    """The parts, and all that turns a new series into the network's input and its output into labels.

    Parameters
    ----------
    splits : {"train": Split, "val": Split, "test": Split}, float64
    mean, scale : arrays [channels]
        Mean and standard deviation of each channel over the training part.
    y_mean, y_scale : arrays [targets]
        The same of the targets; empty for classes.
    classes : array or None
        The labels, sorted: output c of the network is that of classes[c]. None for regression.
    counts : Counter
        The number of series of each class, of all parts.
    one_target : bool
        The targets were [n] in the file.
    n_features_in : int
        What the estimators call the number of features of these series.
    """

    splits: dict[str, Split]
    mean: np.ndarray
    scale: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray
    classes: np.ndarray | None
    counts: Counter
    one_target: bool
    n_features_in: int

    @property
    def outputs(self) -> int:
        """Of the network: classes or targets."""
        return len(self.y_mean) if self.classes is None else len(self.classes)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes or targets."""
        if self.classes is not None:
            return tuple(str(label) for label in self.classes.tolist())
        return ("target",) if self.outputs == 1 else tuple(f"target {t + 1}" for t in range(self.outputs))

    def about_labels(self) -> str:
        """The classes with their numbers of series, or the mean and the standard deviation of the targets, in words."""
        if self.classes is None:
            pairs = zip(self.label_names, self.y_mean, self.y_scale, strict=True)
            shown = [f"{name} {mean:.4g} +- {scale:.4g}" for name, mean, scale in pairs]
            return f"{', '.join(shown)} (mean and standard deviation of the training part)"
        shown = [f"{label} ({self.counts[label]})" for label in self.classes.tolist()]
        return f"{len(shown)} classes: {', '.join(shown[:12])}{', ...' if len(shown) > 12 else ''}"

    def tensors(self) -> dict[str, np.ndarray]:
        """The standardisation, as a run's checkpoints keep it."""
        arrays = {"mean": self.mean, "scale": self.scale}
        arrays |= {"y_mean": self.y_mean, "y_scale": self.y_scale} if self.classes is None else {}
        return {f"estimator.{name}": array for name, array in arrays.items()}


def in_parts(data: SeriesFile, test: SeriesFile | None, regression: bool, test_fraction: float, val_fraction: float) -> Parts:
    """The parts of a file whose labels are classes [n] or, for regression, numbers [n, targets]."""
    from ..estimators.series import as_series
    from ..estimators.standard import channel_standard, padded

    if test is not None and test.channels != data.channels:
        raise ValueError(f"{test.path} must have {data.channels} channels, as {data.path}; it has {test.channels}")
    classes = None if regression else classes_of(data)
    strata = None if classes is None else codes_of(data, classes, data)
    rest, tested = np.arange(len(data.series)), np.arange(0)
    if test is None:
        rest, tested = divided(data, rest, strata, test_fraction, "--test-fraction")
    train, val = divided(data, rest, strata, val_fraction, "--val-fraction")
    series = as_series([data.series[i] for i in train])
    mean, scale = channel_standard(series)
    y_mean, y_scale = target_standard(data.labels[train]) if regression else (np.empty(0), np.empty(0))

    def split(file: SeriesFile, which: np.ndarray) -> Split:
        x, lengths = padded(as_series([file.series[i] for i in which]), mean, scale, "float64")
        y = (file.labels - y_mean) / y_scale if classes is None else codes_of(file, classes, data)
        return Split(x, y[which], lengths)

    splits = {"train": split(data, train), "val": split(data, val)}
    splits["test"] = split(data, tested) if test is None else split(test, np.arange(len(test.series)))
    one_target = regression and data.labels.shape[1] == 1
    counts = Counter() if regression else Counter(data.labels.tolist())
    return Parts(splits, mean, scale, y_mean, y_scale, classes, counts, one_target, features_in(data))


def features_in(data: SeriesFile) -> int:
    """What the estimators call the number of features: the length for an array [n, L], otherwise the channels."""
    lengths = {x.shape[1] for x in data.series}
    return lengths.pop() if data.channels == len(lengths) == 1 else data.channels


def numbers_of(data: SeriesFile) -> np.ndarray:
    """The labels as numbers [n, targets], for regression; an error names the series whose label is none."""
    labels = data.labels.reshape(len(data.series), -1)
    if labels.dtype.kind == "U":
        labels = np.array([[number(text, where(data, row)) for text in texts] for row, texts in enumerate(labels)])
    return labels.astype(np.float64)


def where(data: SeriesFile, row: int) -> str:
    """The label of a series, for errors."""
    return f"{data.path}, series {data.names[row]}: the label, with --regression,"


def classes_of(data: SeriesFile) -> np.ndarray:
    """The classes, sorted; a ValueError where there is only one."""
    classes = np.unique(data.labels)
    if len(classes) < 2:
        raise ValueError(f"{data.path} must hold series of at least two classes; all are of class {classes[0]}")
    return classes


def codes_of(file: SeriesFile, classes: np.ndarray, data: SeriesFile) -> np.ndarray:
    """The number of each series' class [n]; a ValueError for a class that the training file does not have."""
    number_of = {label: c for c, label in enumerate(classes.tolist())}
    for row, label in enumerate(file.labels.tolist()):
        if label not in number_of:
            raise ValueError(f"{file.path}, series {file.names[row]}: the class {label!r} does not occur in {data.path}")
    return np.array([number_of[label] for label in file.labels.tolist()])


def divided(
    data: SeriesFile, which: np.ndarray, strata: np.ndarray | None, fraction: float, flag: str
) -> tuple[np.ndarray, np.ndarray]:
    """The indices `which` in two: the second is a `fraction` of them, with the classes in the same shares."""
    from sklearn.model_selection import train_test_split

    own = None if strata is None else strata[which]
    if own is not None:
        for code in np.flatnonzero(np.bincount(own) == 1):
            label = data.labels[which][own == code][0]
            raise ValueError(
                f"{data.path}: class {label} has only one series left when {flag} {fraction:g} is drawn; a class needs at least "
                "3, or 2 beside a file given with --test"
            )
    try:
        return train_test_split(which, test_size=fraction, stratify=own, random_state=SPLIT_SEED)
    except ValueError as error:  # too few series for the fraction, or for one of each class
        raise ValueError(f"{data.path}: {len(which)} series cannot be divided by {flag} {fraction:g}: {error}") from None


def target_standard(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each target [n, targets]; 1 for a constant one."""
    scale = targets.std(axis=0)
    return targets.mean(axis=0), np.where(scale > 0, scale, 1.0)
