"""Predict the labels or numbers of series in a file, with a trained estimator.

multires-ref predict runs/heart.csv-... new.csv --out predictions.csv
multires-ref predict model.safetensors new.ts --out predictions.csv

RUN is the folder of a run of `multires-ref train FILE`, or what MultiresClassifier.save or
MultiresRegressor.save wrote: both hold the standardisation of the series and the labels.
predictions.csv has a line for each series: its name, the predicted label and the probability of
each label, or the predicted numbers. Where the file has labels, the score is printed.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..estimators.network_estimator import NetworkEstimator
    from ..tasks.series_record import SeriesFile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run", help="a run folder of `train FILE`, or a .safetensors file that an estimator's save wrote")
    parser.add_argument("file", metavar="FILE", help="the series: .npz, .csv or .ts")
    parser.add_argument("--out", metavar="CSV", required=True, help="where the predictions are written; replaced if it exists")
    parser.add_argument(
        "--label", metavar="NAME", help="the column or array of labels, 'none' if there are none (default: by its usual name)"
    )


def run(args: argparse.Namespace) -> int:
    """Predict, write, and print the score where there are labels."""
    from ..base.files import write_whole
    from ..estimators.describe import load_any
    from ..tasks.series_files import read_series

    if Path(args.out).resolve() == Path(args.file).resolve():
        raise ValueError(f"--out must be another file than the one with the series; got {args.out} for both")
    estimator = load_any(args.run)
    data = read_series(args.file, label=args.label)
    check_channels(estimator, data)
    table, predicted = predictions(estimator, data)
    lines = [*(f"assumed: {text}" for text in data.assumed), *score_lines(estimator, data, predicted)]
    write_whole(args.out, as_csv(table).encode())
    print("\n".join([*lines, f"wrote {len(data.series)} predictions to {args.out}"]))
    return 0


def check_channels(estimator: NetworkEstimator, data: SeriesFile) -> None:
    """Raise a ValueError if the series have other channels than those that were learned from."""
    if data.channels != len(estimator.mean_):
        raise ValueError(f"{data.path} must have {len(estimator.mean_)} channels, as in training; it has {data.channels}")


def predictions(estimator: NetworkEstimator, data: SeriesFile) -> tuple[list[list[Any]], np.ndarray]:
    """The lines of the table, the first holding the columns' names; and the predicted labels or numbers."""
    if not hasattr(estimator, "classes_"):
        numbers = estimator.predict(data.series)
        columns = numbers.reshape(len(numbers), -1)
        names = ["predicted"] if columns.shape[1] == 1 else [f"predicted {t + 1}" for t in range(columns.shape[1])]
        return [["series", *names], *([name, *row] for name, row in zip(data.names, columns.tolist(), strict=True))], numbers
    shares = estimator.predict_proba(data.series)
    labels = estimator.classes_[shares.argmax(axis=1)]
    head = ["series", "predicted", *(f"probability of {label}" for label in estimator.classes_.tolist())]
    rows = zip(data.names, labels.tolist(), shares.tolist(), strict=True)
    return [head, *([name, label, *row] for name, label, row in rows)], labels


def as_csv(table: list[list[Any]]) -> str:
    """Comma-separated lines; cells that hold a comma, a quote or a line break are quoted.

    Examples
    --------
    >>> print(as_csv([["series", "predicted"], ["1", "up, now"]]))
    series,predicted
    1,"up, now"
    <BLANKLINE>
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()


def score_lines(estimator: NetworkEstimator, data: SeriesFile, predicted: np.ndarray) -> list[str]:
    """The accuracy, or R^2 and the mean absolute error; nothing where the file has no labels."""
    from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

    if data.labels is None:
        return []
    if hasattr(estimator, "classes_"):
        right = accuracy_score([str(label) for label in data.labels.tolist()], [str(label) for label in predicted.tolist()])
        return [f"accuracy {right:.1%} on {len(predicted)} series with labels".replace("%", " %")]
    true = true_numbers(data, predicted)
    share = r2_score(true, predicted) if len(true) > 1 else np.nan
    return [f"R^2 {share:.4f}, mean absolute error {mean_absolute_error(true, predicted):.4g} on {len(true)} series with labels"]


def true_numbers(data: SeriesFile, predicted: np.ndarray) -> np.ndarray:
    """The file's labels as numbers of the predictions' shape; a ValueError where they are none."""
    if data.labels.dtype.kind not in "iuf" or data.labels.size != predicted.size:
        raise ValueError(
            f"{data.path}: its labels must be {predicted.size // len(predicted)} numbers for each series to be scored; "
            "give --label none to predict without a score"
        )
    return data.labels.reshape(predicted.shape).astype(float)
