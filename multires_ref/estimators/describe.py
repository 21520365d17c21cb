"""What a file says of the fitted estimator in it, in words; and the estimator itself, of whichever class it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..base.tables import text_table
from ..training.checkpoint import checkpoint_file, read_checkpoint
from .classifier import MultiresClassifier
from .network_estimator import NetworkEstimator
from .regressor import MultiresRegressor

CLASSES = {cls.__name__: cls for cls in (MultiresClassifier, MultiresRegressor)}
MOST_LABELS, MOST_CHANNELS = 30, 20  # that are listed


def holds_estimator(path: str | os.PathLike) -> bool:
    """Whether a checkpoint, or a run's, says how its network's input is standardised: it is then an estimator."""
    file = checkpoint_file(path)
    return file.suffix == ".safetensors" and isinstance(read_checkpoint(file)[1].get("estimator"), dict)


def load_any(path: str | os.PathLike) -> NetworkEstimator:
    """The estimator that a file or a run's folder holds, of the class that it names.

    Raises
    ------
    FileNotFoundError
    ValueError
        If there is no estimator in it, or it cannot be read.
    """
    file = checkpoint_file(path)
    if not holds_estimator(path):
        raise ValueError(
            f"{file} holds a network alone: how its series are standardised and what its outputs are called is not in it. "
            "`multires-ref train FILE`, or an estimator's save, writes both"
        )
    name = read_checkpoint(file)[1]["estimator"].get("class")
    if name not in CLASSES:
        raise ValueError(f"{file} holds a {str(name)[:40]}; {', '.join(CLASSES)} can be read")
    return CLASSES[name].load(Path(path))


def estimator_lines(estimator: NetworkEstimator) -> list[str]:
    """What an estimator predicts, what it consists of, and its standardisation: a table of lines.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((12, 8)), np.repeat(["down", "up"], 6)
    >>> model = MultiresClassifier(d_model=4, n_layers=1, max_epochs=1, features=False, random_state=0).fit(X, y)
    >>> print("\\n".join(estimator_lines(model)[:4]))
    estimator
      class                    MultiresClassifier
      labels                   'down', 'up'
      networks                 1
    """
    about = {"class": type(estimator).__name__} | predicts(estimator) | {"networks": len(estimator.models_)}
    if estimator.ridge_ is not None:
        a, b = estimator.weights_
        about["features"] = f"{estimator.ridge_.coef.shape[1]:,}"
        about["outputs"] = f"{a:.4g} networks + {b:.4g} features"
    about |= {"epochs": estimator.n_iter_} | changed_settings(estimator)
    lines = ["estimator", *(f"  {name:<24} {value}" for name, value in about.items()), "standardisation"]
    return lines + standardisation(estimator).splitlines()


def predicts(estimator: NetworkEstimator) -> dict[str, str]:
    """The labels, or the number of targets."""
    if not hasattr(estimator, "classes_"):
        return {"targets": str(len(estimator.y_mean_))}
    labels = [repr(label) for label in estimator.classes_.tolist()]
    more = f", ... ({len(labels)})" if len(labels) > MOST_LABELS else ""
    return {"labels": ", ".join(labels[:MOST_LABELS]) + more}


def changed_settings(estimator: NetworkEstimator) -> dict[str, Any]:
    """The parameters that are not the class's defaults, by name."""
    defaults, now = type(estimator)().get_params(deep=False), estimator.get_params(deep=False)
    return {name: value for name, value in now.items() if repr(value) != repr(defaults[name])}


def standardisation(estimator: NetworkEstimator) -> str:
    """Mean and standard deviation of each channel, and of each target."""
    pairs = {"channel": (estimator.mean_, estimator.scale_)}
    if hasattr(estimator, "y_mean_"):
        pairs["target"] = (estimator.y_mean_, estimator.y_scale_)
    rows = [
        [f"{what} {k + 1}", f"{mean:.6g}", f"{scale:.6g}"]
        for what, (means, scales) in pairs.items()
        for k, (mean, scale) in enumerate(zip(means[:MOST_CHANNELS], scales[:MOST_CHANNELS], strict=True))
    ]
    rows += [["...", "", ""]] if max(len(means) for means, _ in pairs.values()) > MOST_CHANNELS else []
    return text_table(["", "mean", "standard deviation"], rows, indent="  ")


def target_units(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale that bring a network's outputs into the targets' own unit: of an estimator, otherwise 0 and 1."""
    file = checkpoint_file(path)
    tensors = read_checkpoint(file)[0] if file.suffix == ".safetensors" else {}
    return tensors.get("estimator.y_mean", np.zeros(1)), tensors.get("estimator.y_scale", np.ones(1))
