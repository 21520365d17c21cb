"""The data of `bench peers`: MNIST-1D, and sets of the UCR and UEA archives that come with aeon. Nothing is downloaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class About(NamedTuple):
    """Whether numbers are to be predicted, and what the series are."""

    regression: bool
    what: str


DATA = {
    "MNIST-1D": About(False, "made-up digits of 40 samples, 10 classes, 4,000 training series (Greydanus and Kobak)"),
    "GunPoint": About(False, "motions of a hand, 150 samples, 2 classes, 50 training series"),
    "ItalyPowerDemand": About(False, "the hours of a day, 24 samples, 2 classes, 67 training series"),
    "UnitTest": About(False, "the hours of a day, 24 samples, 2 classes, 20 training series"),
    "BasicMotions": About(False, "6 channels of 100 samples, 4 classes, 40 training series"),
    "JapaneseVowels": About(False, "12 channels of 7 to 29 samples, 9 speakers, 270 training series"),
    "Covid3Month": About(True, "daily cases of 84 days, the later death rate, 140 training series"),
    "CardanoSentiment": About(True, "2 channels of 24 hours, the day's sentiment, 74 training series"),
}


@cache
def load(name: str) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Training series and targets, test series and targets: arrays [n, channels, L], or lists where lengths differ."""
    return mnist1d() if name == "MNIST-1D" else from_aeon(name)


def from_aeon(name: str) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """A data set from the files that are installed with aeon."""
    import aeon.datasets
    from aeon.datasets import load_from_ts_file

    folder = Path(aeon.datasets.__file__).parent / "data" / name
    X, y, X_test, y_test = (part for end in ("TRAIN", "TEST") for part in load_from_ts_file(str(folder / f"{name}_{end}.ts")))
    kind = float if DATA[name].regression else str
    return X, y.astype(kind), X_test, y_test.astype(kind)


def mnist1d() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """4,000 training and 1,000 test series, [n, 1, 40]."""
    from ..tasks import get_task
    from ..tasks.task import LoadOptions

    splits = get_task("mnist1d").load(LoadOptions())
    parts = [splits["train"], splits["val"]]
    train = (np.concatenate([getattr(part, name) for part in parts]) for name in "xy")
    return (*train, splits["test"].x, splits["test"].y)
