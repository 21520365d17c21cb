"""Fitted estimators in files: a checkpoint of the network, with labels and standardisation beside it. Nothing in it can run code.

tensors      those of `training/checkpoint.py`, which `load_model` reads; "estimator.mean", "estimator.scale", ...; the further
             networks' under "network2.", "network3."; and the features', see `saved_ridge.py`
metadata     {"format": 1, "network": {...}, "estimator": {"class": ..., "settings": {...}, "labels": [...], "history": [...],
             "networks": 3, "features": {...}}}

The best.safetensors of a run of `multires-ref train FILE` has the same entries and so is a fitted estimator too: `run_record`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from ..network import Model, NetworkConfig
from ..training.checkpoint import checkpoint_file, model_from, model_tensors, network_from, read_checkpoint, save_checkpoint
from ..training.run_folder import read_lines
from .features import MultiresFeatures
from .ridge import RidgeOnFeatures
from .saved_ridge import read_ridge, ridge_numbers, ridge_tensors

ARRAYS = ("mean", "scale", "y_mean", "y_scale")  # fitted attributes, without the underscore at their ends
NUMBERS = ("n_features_in", "n_iter")
KINDS_OF_LABELS = "biufU"
MOST_NETWORKS = 100


def save_estimator(estimator: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator; see `NetworkEstimator.save`."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors; got {str(path)!r}")
    tensors = network_tensors(estimator.models_)
    tensors |= {f"estimator.{name}": getattr(estimator, f"{name}_") for name in ARRAYS if hasattr(estimator, f"{name}_")}
    about = {"class": type(estimator).__name__, "settings": plain_settings(estimator), "history": estimator.history_}
    about |= {name: getattr(estimator, f"{name}_") for name in NUMBERS} | {"networks": len(estimator.models_)}
    if estimator.ridge_ is not None:
        tensors |= ridge_tensors(estimator.ridge_) | {"ridge.weights": estimator.weights_}
        about["features"] = ridge_numbers(estimator.ridge_)
    if hasattr(estimator, "classes_"):
        about |= labels_to_json(estimator.classes_)
    else:
        about["one_target"] = estimator.one_target_
    save_checkpoint(path, tensors, {"network": estimator.model_.config.to_dict(), "estimator": about})


def run_record(
    kind: str, settings: dict[str, Any], classes: np.ndarray | None, one_target: bool, n_features_in: int
) -> dict[str, Any]:
    """What a run writes under "estimator", for the class `kind` with these settings; its history is the run's metrics.jsonl."""
    plain = {name: value for name, value in settings.items() if isinstance(value, (bool, int, float, str))}
    about = {"class": kind, "settings": plain | {"features": False}, "history": [], "networks": 1}
    about |= {"n_features_in": n_features_in, "n_iter": None}
    return about | (labels_to_json(classes) if classes is not None else {"one_target": one_target})


def network_tensors(models: list[Model]) -> dict[str, np.ndarray]:
    """The first network under the names of a checkpoint, the others' names behind "network2.", "network3." ..."""
    tensors = model_tensors(models[0].params, models[0].state)
    for k, model in enumerate(models[1:], start=2):
        tensors |= {f"network{k}.{name}": array for name, array in model_tensors(model.params, model.state).items()}
    return tensors


def plain_settings(estimator: Any) -> dict[str, Any]:
    """The estimator's parameters that JSON can hold; a RandomState and weights by label are left out."""
    settings = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in estimator.get_params(deep=False).items()
        if isinstance(value, (bool, int, float, str, np.generic))
    }
    if isinstance(estimator.features, MultiresFeatures):
        settings["features"] = plain_settings_of_features(estimator.features)
    return settings


def plain_settings_of_features(features: MultiresFeatures) -> dict[str, Any]:
    """The same of features; filters that are arrays are left out, since the trees that were made of them are in the file."""
    return {name: value for name, value in features.get_params().items() if isinstance(value, (int, str))}


def labels_to_json(classes: np.ndarray) -> dict[str, Any]:
    """The labels and their dtype; a TypeError for labels that are neither numbers nor texts."""
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        return {"labels": classes.tolist(), "labels_dtype": "object"}
    if classes.dtype.kind not in KINDS_OF_LABELS:
        raise TypeError(f"only labels that are numbers, True and False or texts can be saved; these are {classes.dtype}")
    return {"labels": classes.tolist(), "labels_dtype": classes.dtype.str}


def labels_from_json(path: Path, about: dict[str, Any]) -> np.ndarray:
    """What `labels_to_json` wrote."""
    labels, name = about.get("labels"), about.get("labels_dtype")
    try:
        dtype = np.dtype(name)
        if not isinstance(labels, list) or (dtype.kind not in KINDS_OF_LABELS + "O"):
            raise TypeError(f"got {name!r}")
        if dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
            raise TypeError("labels of dtype object must be texts")
        return np.array(labels, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: its labels cannot be read: {error}") from None


def load_estimator(cls: type, path: str | os.PathLike) -> Any:
    """Read an estimator of class `cls`, from a file or from the folder of a run; see `NetworkEstimator.load`."""
    folder, path = Path(path), checkpoint_file(path)
    tensors, metadata = read_checkpoint(path)
    about = metadata.get("estimator")
    if not isinstance(about, dict):
        raise ValueError(f"{path} holds a network and no estimator: load_model reads it")
    if about.get("class") != cls.__name__:
        raise ValueError(f"{path} holds a {about.get('class')}; {cls.__name__}.load cannot read it")
    network = network_from(path, metadata)
    estimator = estimator_of(cls, path, about)
    estimator.models_, estimator.history_ = networks_from(path, tensors, network, about.get("networks", 1)), about.get("history")
    estimator.model_ = estimator.models_[0]
    estimator.ridge_ = None
    if folder.is_dir():
        estimator.history_ = read_lines(folder)
    if "features" in about:
        features = estimator.features if isinstance(estimator.features, MultiresFeatures) else MultiresFeatures()
        estimator.ridge_ = read_ridge(path, tensors, about["features"], clone(features))
        estimator.weights_ = tensors.get("ridge.weights", np.empty(0))
        check_ridge(path, estimator.ridge_, estimator.weights_, network)
    for name in NUMBERS:
        setattr(estimator, f"{name}_", about.get(name))
    for name in ARRAYS:
        if f"estimator.{name}" in tensors:
            size = network.d_output if name.startswith("y") else network.d_input
            setattr(estimator, f"{name}_", checked(path, name, tensors[f"estimator.{name}"], size))
    if hasattr(estimator, "classes_") and len(estimator.classes_) != network.d_output:
        raise ValueError(f"{path} holds {len(estimator.classes_)} labels; its network has {network.d_output} outputs")
    if isinstance(best := metadata.get("best"), dict):  # of a run: the file holds the network of its best epoch
        estimator.n_iter_ = best.get("epoch")
    if not hasattr(estimator, "mean_") or not hasattr(estimator, "scale_"):
        raise ValueError(f"{path}: estimator.mean or estimator.scale is missing")
    return estimator


def networks_from(path: Path, tensors: dict[str, np.ndarray], network: NetworkConfig, count: Any) -> list[Model]:
    """All networks of the file, which have the same settings."""
    if count not in range(1, MOST_NETWORKS + 1):
        raise ValueError(f"{path} must hold 1 to {MOST_NETWORKS} networks; it says {count!r}")
    models = [model_from(path, tensors, network)]
    for k in range(2, count + 1):
        start = f"network{k}."
        own = {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}
        models.append(model_from(path, own, network))
    return models


def check_ridge(path: Path, ridge: RidgeOnFeatures, weights: np.ndarray, network: NetworkConfig) -> None:
    """Raise a ValueError unless the features' outputs and channels are those of the network, and there are two weights."""
    found = (len(ridge.intercept), ridge.features.n_channels_in_)
    if found != (network.d_output, network.d_input):
        wanted = (network.d_output, network.d_input)
        raise ValueError(f"{path}: its features must have the network's outputs and channels, {wanted}; got {found}")
    if weights.shape != (2,) or not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(f"{path}: ridge.weights must hold two numbers of at least 0; got {weights}")


def estimator_of(cls: type, path: Path, about: dict[str, Any]) -> Any:
    """An estimator with the settings in the file, and its labels or the shape of its targets."""
    try:
        settings = dict(about.get("settings", {}))
        if isinstance(settings.get("features"), dict):
            settings["features"] = MultiresFeatures(**settings["features"])
        estimator = cls(**settings)
    except TypeError as error:
        raise ValueError(f"{path}: its settings are not those of a {cls.__name__}: {error}") from None
    if "labels" in about:
        estimator.classes_ = labels_from_json(path, about)
    else:
        estimator.one_target_ = bool(about.get("one_target"))
    return estimator


def checked(path: Path, name: str, array: np.ndarray, size: int) -> np.ndarray:
    """The standardisation's array `name`: finite, of the right size, and positive where it is divided by."""
    if array.shape != (size,) or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError(f"{path}: estimator.{name} must hold {size} finite numbers; got {array.dtype} {array.shape}")
    if name.endswith("scale") and array.min() <= 0:
        raise ValueError(f"{path}: estimator.{name} must be above 0; got {array.min()}")
    return array
