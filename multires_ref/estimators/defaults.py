"""The settings of an estimator that its user left open, from the shape and the number of the series."""

from __future__ import annotations

from typing import Any

STEPS = 600  # of training, at least: small data sets are gone through many times
FEW = 1000  # series: below it they are changed at random in training
EPOCHS = 60  # at least: large data sets are gone through so often


def network_settings(n: int, channels: int, length: int) -> dict[str, Any]:
    """Width, number of layers, taps, norm and dropout for n training series [channels, length].

    Examples
    --------
    >>> network_settings(n=100, channels=1, length=50)["d_model"]
    48
    """
    return {"d_model": 48, "n_layers": 4, "kernel_size": 4, "norm": "batch", "dropout": 0.1}


def augments(n: int, objective: str) -> bool:
    """Whether training series are changed at random: for classes, and fewer than 1,000 series.

    Examples
    --------
    >>> augments(100, "classification"), augments(4000, "classification"), augments(100, "regression")
    (True, False, False)
    """
    return objective == "classification" and n < FEW


def training_settings(n: int) -> dict[str, Any]:
    """Batch size, learning rate, weight decay, warm-up and epochs for n training series.

    A batch holds a quarter of the series, at least 8 and at most 50. There are at least 60 epochs, and so many that at least 600
    steps are done.

    Examples
    --------
    >>> training_settings(n=40)
    {'batch_size': 10, 'lr': 0.01, 'weight_decay': 0.01, 'epochs': 150}
    """
    batch = min(max(n // 4, 8), 50)
    per_epoch = -(-n // batch)
    return {"batch_size": batch, "lr": 0.01, "weight_decay": 0.01, "epochs": max(-(-STEPS // per_epoch), EPOCHS)}
