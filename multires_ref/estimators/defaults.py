"""The settings of an estimator that its user left open, from the shape and the number of the series.

Width, depth, norm and rate are one set for all data. Measured in training data only: mean accuracy of the network alone over
ArrowHead, PickupGestureWiimoteZ, MNIST-1D (100 series) and made-up cylinder-bell-funnel series, three stratified splits each, 400
steps. The settings below have .798, and .817 with series that are changed at random (`augmentation.py`); layer norm instead of
batch norm .649; dropout .3 instead of .1 .692.

What helps most where there are few series is no setting of the network: over ArrowHead, PickupGestureWiimoteZ, MNIST-1D (100
series), ItalyPowerDemand, GunPoint and the made-up series, two splits each, the three networks had .824, ridge regression on
features .924, and both with learnt weights .908. With 3,600 series of MNIST-1D and 400 others for the score they had .9825, .975
and .985. Hence both stand together, whatever the number of series.
"""

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
    steps are done. A network that learns from a part of the series, beside features, takes the same epochs and so fewer steps.

    Examples
    --------
    >>> training_settings(n=40)
    {'batch_size': 10, 'lr': 0.01, 'weight_decay': 0.01, 'epochs': 150}
    """
    batch = min(max(n // 4, 8), 50)
    per_epoch = -(-n // batch)
    return {"batch_size": batch, "lr": 0.01, "weight_decay": 0.01, "epochs": max(-(-STEPS // per_epoch), EPOCHS)}
