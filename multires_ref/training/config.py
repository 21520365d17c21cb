"""How a network is trained, in one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..base.checks import FLOATS, check_bool, check_choice, check_int, check_number, keep
from ..base.names import spelled
from ..engines import ENGINES

OPTIMIZERS = ("adamw", "adam")
LOWEST = {"epochs": 1, "batch_size": 1, "seed": 0}
CHOICES = {"optimizer": OPTIMIZERS, "dtype": FLOATS, "engine": (*ENGINES, "auto")}


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run.

    Parameters
    ----------
    epochs, batch_size : int
    lr : float
        The highest learning rate; every step has its own, see `schedule.learning_rate`.
    optimizer : "adamw" (decoupled weight decay) or "adam" (decay added to the gradient, as PyTorch's Adam does)
    weight_decay : float
    warmup_epochs : float
        Epochs of linear rise from 0 before the cosine; may be a fraction, at most `epochs`.
    clip : float or None
        Largest global norm of the gradient; None leaves it alone.
    seed : int
        Seeds the run's only generator: initial parameters, order of the data, dropout.
    dtype : "float32" or "float64"
    engine : str
        Algorithm of the convolution, or "auto".
    bucket : bool
        Put sequences of similar length in one batch (needs lengths), and with LayerNorm cut off the padding they share. This
        changes the order of the examples and nothing else: the network is causal, and BatchNorm, which sees padding, keeps it.
    checkpoint_seconds : float
        Longest time between two checkpoints in mid-epoch.

    Examples
    --------
    >>> TrainingConfig(epochs=30, batch_size=50, lr=0.003).optimizer
    'adamw'
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    warmup_epochs: float = 0.0
    clip: float | None = None
    seed: int = 1
    dtype: str = "float32"
    engine: str = "auto"
    bucket: bool = False
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        keep(self, **{name: check_int(name, getattr(self, name), low) for name, low in LOWEST.items()})
        keep(self, **{name: str(check_choice(name, getattr(self, name), choices)) for name, choices in CHOICES.items()})
        highest = {"lr": 1e6, "weight_decay": 1e6, "warmup_epochs": float(self.epochs), "checkpoint_seconds": 1e9}
        keep(self, **{name: check_number(name, getattr(self, name), 0.0, high) for name, high in highest.items()})
        keep(self, bucket=check_bool("bucket", self.bucket))
        if self.clip is not None:
            keep(self, clip=check_number("clip", self.clip, 0.0, 1e30))
        if self.clip == 0.0:
            raise ValueError(f"{spelled('clip')} must be above 0, or None for no clipping; got 0.0")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and None, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The config that `to_dict` wrote; unknown names are refused, with the nearest known one."""
        for name in values:
            check_choice("setting", name, [f.name for f in fields(cls)])
        return cls(**values)
