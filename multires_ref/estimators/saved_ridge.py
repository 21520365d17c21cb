"""Features and their ridge regression in an estimator's file: the arrays under "ridge.", and a few numbers beside them.

Each array that is read is checked against the others, and the trees against the length of the series that they were drawn for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..base.checks import check_int
from ..tree import depth_for
from .bank import Bank
from .features import MultiresFeatures
from .ridge import RidgeOnFeatures
from .standard import Standard
from .summaries import QUANTILES, SUMMARIES

LONGEST = 2**22  # samples of a series, in a file that is accepted
NUMBERS = ("n_features_in", "n_channels_in", "length", "lengths_differ")


def ridge_tensors(ridge: RidgeOnFeatures) -> dict[str, np.ndarray]:
    """The arrays of fitted features and of their linear map, by name."""
    parts = {"bank": ridge.features.bank_._asdict(), "standard": ridge.features.standard_._asdict()}
    arrays = {f"ridge.{part}.{name}": array for part, fields in parts.items() for name, array in fields.items()}
    arrays |= {"ridge.thresholds": ridge.features.thresholds_, "ridge.coef": ridge.coef, "ridge.intercept": ridge.intercept}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def ridge_numbers(ridge: RidgeOnFeatures) -> dict[str, Any]:
    """What stands beside the arrays, as JSON."""
    return {name: getattr(ridge.features, f"{name}_") for name in NUMBERS}


def read_ridge(path: Path, tensors: dict[str, np.ndarray], about: Any, features: MultiresFeatures) -> RidgeOnFeatures:
    """What `ridge_tensors` and `ridge_numbers` wrote; `features` are not fitted yet and become fitted.

    Raises
    ------
    ValueError
        If an array is missing, has the wrong shape or dtype, or does not fit the others; the message names file and array.
    """
    try:
        features.length_ = check_int("length", about["length"], 1, LONGEST)
        features.n_channels_in_ = check_int("n_channels_in", about["n_channels_in"], 1, LONGEST)
        features.n_features_in_ = check_int("n_features_in", about["n_features_in"], 1, LONGEST)
        features.lengths_differ_ = bool(about["lengths_differ"])
        features.bank_ = Bank(*(tensors[f"ridge.bank.{name}"] for name in Bank._fields))
        features.standard_ = Standard(*(tensors[f"ridge.standard.{name}"] for name in Standard._fields))
        features.thresholds_ = tensors["ridge.thresholds"]
        check_bank(features.bank_, features.length_, features.n_channels_in_)
        rows = sum(1 for _ in features.bank_.rows())
        check_array("standard", np.stack(features.standard_), (len(Standard._fields), features.n_channels_in_), "f")
        check_array("thresholds", features.thresholds_, (rows, QUANTILES), "f")
        check_array("coef", tensors["ridge.coef"], (*tensors["ridge.intercept"].shape, rows * len(SUMMARIES)), "f")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: its features cannot be read: {error}") from None
    return RidgeOnFeatures(features, tensors["ridge.coef"], tensors["ridge.intercept"])


def check_bank(bank: Bank, length: int, channels: int) -> None:
    """Raise a ValueError unless these are trees for series of that length."""
    P, K = bank.h0.shape
    shapes = {"h0": (P, K), "h1": (P, K), "mix": (P, channels)}
    for name, array in bank._asdict().items():
        check_array(f"bank.{name}", array, shapes.get(name, (P,)), "f" if name in shapes else "i")
    for p in range(P):
        check_int(f"bank.taps[{p}]", bank.taps[p], 2, K)
        check_int(f"bank.spacing[{p}]", bank.spacing[p], 1, length + 2)
        deepest = depth_for(length, int((bank.taps[p] - 1) * bank.spacing[p] + 1))
        check_int(f"bank.levels[{p}]", bank.levels[p], 1, deepest)
        for name in ("of_differences", "first_kind"):
            check_int(f"bank.{name}[{p}]", getattr(bank, name)[p], 0, 1)


def check_array(name: str, array: np.ndarray, shape: tuple[int, ...], kind: str) -> None:
    """Raise a ValueError unless the array is finite and has that shape and kind of dtype."""
    if array.shape != shape or array.dtype.kind != kind or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers of kind {kind!r}, shape {shape}; got {array.dtype} {array.shape}")
