"""PTB-XL: the diagnostic statements of 12-lead electrocardiograms at 100 Hz, in six label sets.

Folds 1 to 8 are for training, 9 for validation, 10 for test. Signals are standardised with one mean and one standard
deviation, of all leads and samples of the training part. Recordings without a label of the set are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from ..training.objectives import absent_classes
from .ptbxl_data import (
    DATABASE,
    LABEL_COUNTS,
    LEADS,
    SAMPLES,
    STATEMENTS,
    URL,
    label_map,
    label_matrix,
    read_recordings,
    read_records,
    read_signals,
)
from .task import LoadOptions, Task, absent, data_folder

FOLDER = "data/ptbxl"
FOLDS = {"train": range(1, 9), "val": (9,), "test": (10,)}
PUBLISHED = {"all": 0.938, "diagnostic": 0.939, "subdiagnostic": 0.934, "superdiagnostic": 0.934, "form": 0.897, "rhythm": 0.975}


def find_folder(data_dir: str | None) -> Path:
    """The folder with the two tables.

    Raises
    ------
    FileNotFoundError
        With what to fetch and where to put it.
    """
    folder = data_folder("PTB-XL", data_dir, FOLDER, f"{DATABASE}, {STATEMENTS} and records100")
    for name in (DATABASE, STATEMENTS):
        if not (folder / name).exists():
            advice = f"Download PTB-XL ({URL}) and unpack it so that {folder / DATABASE}, {folder / STATEMENTS} and "
            raise absent("PTB-XL", name, folder, f"{advice}{folder / 'records100'} exist, or say with --data-dir where they are.")
    return folder


def load_label_set(options: LoadOptions, label_set: str) -> dict[str, Split]:
    """Standardised signals [N, 12, 1000] and labels [N, C] of the three parts."""
    folder = find_folder(options.data_dir)
    records = read_records(folder)
    mapping = label_map(folder, label_set)
    y, names = label_matrix(records, mapping)
    if len(names) != LABEL_COUNTS[label_set]:
        raise ValueError(f"{folder / STATEMENTS} gives {len(names)} labels for {label_set!r}; {LABEL_COUNTS[label_set]} expected")
    chosen = choose_parts(np.array([record.fold for record in records]), y, options.scale)
    if options.scale == "tiny":  # read only what is used, and leave the cache alone
        signals = {part: read_recordings(folder, [records[n] for n in index]) for part, index in chosen.items()}
    else:
        everything = read_signals(folder, records)
        signals = {part: everything[index] for part, index in chosen.items()}
    mean, std = signals["train"].mean(dtype=np.float64), signals["train"].std(dtype=np.float64)
    for x in signals.values():
        x -= np.float32(mean)
        x /= np.float32(std)
    return {part: Split(x, y[chosen[part]]) for part, x in signals.items()}


def choose_parts(folds: np.ndarray, y: np.ndarray, scale: str) -> dict[str, np.ndarray]:
    """The rows of each part: its folds, at least one label; under scale "tiny" the first 64."""
    labelled = y.any(axis=1)
    parts = {part: np.flatnonzero(np.isin(folds, list(numbers)) & labelled) for part, numbers in FOLDS.items()}
    for part, rows in parts.items():
        if not len(rows):
            raise ValueError(f"PTB-XL: no recording with a label of this set in the folds of {part!r}")
    return parts if scale == "full" else {part: rows[:64] for part, rows in parts.items()}


def label_names(options: LoadOptions, label_set: str) -> tuple[str, ...]:
    """The labels of the set, in the order of the columns of y."""
    return tuple(sorted(set(label_map(find_folder(options.data_dir), label_set).values())))


def prepare(args: argparse.Namespace, label_set: str) -> list[str]:
    """Read every recording (and cache them), and name the labels that a part does not have."""
    folder = find_folder(args.data_dir)
    records = read_records(folder)
    signals = read_signals(folder, records)
    lines = [f"{len(records):,} recordings in {folder}, {signals.shape[1]} leads of {signals.shape[2]} samples"]
    y, names = label_matrix(records, label_map(folder, label_set))
    lines.append(
        f"label set {label_set}: {len(names)} labels; {int((~y.any(axis=1)).sum()):,} recordings without one are left out"
    )
    for part, rows in choose_parts(np.array([record.fold for record in records]), y, "full").items():
        absent = [names[c] for c in absent_classes(y[rows])]
        if absent:
            lines.append(
                f"{part}: no ROC curve for {', '.join(absent)} (all their labels are equal); macro AUROC leaves them out"
            )
    return lines


def make_task(label_set: str) -> Task:
    """The task of one label set; they differ in the number of outputs alone."""
    return Task(
        name="ptbxl" if label_set == "all" else f"ptbxl-{label_set}",
        title=f"PTB-XL electrocardiograms at 100 Hz, label set {label_set} ({LABEL_COUNTS[label_set]} labels)",
        network=NetworkConfig(
            d_input=LEADS,
            d_output=LABEL_COUNTS[label_set],
            d_model=128,
            n_layers=6,
            kernel_size=2,
            max_length=SAMPLES,
            dropout=0.2,
        ),
        training=TrainingConfig(epochs=100, batch_size=50, lr=0.0045, weight_decay=0.06, warmup_epochs=5),
        objective="multilabel",
        load=lambda options: load_label_set(options, label_set),
        tiny={"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 16, "warmup_epochs": 0},
        read_labels=lambda options: label_names(options, label_set),
        prepare=lambda args: prepare(args, label_set),
        published=f"macro AUROC {PUBLISHED[label_set]:.3f} on fold 10",
    )


TASKS = tuple(map(make_task, LABEL_COUNTS))
