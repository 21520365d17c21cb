"""How a network is trained, in one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..checks import FLOATS, check_choice, check_int, check_number

OPTIMIZERS = ("adamw", "adam")


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
        check_int("epochs", self.epochs, 1)
        check_int("batch_size", self.batch_size, 1)
        check_int("seed", self.seed, 0)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("dtype", self.dtype, FLOATS)
        check_number("lr", self.lr, 0.0, 1e6)
        check_number("weight_decay", self.weight_decay, 0.0, 1e6)
        check_number("warmup_epochs", self.warmup_epochs, 0.0, self.epochs)
        check_number("checkpoint_seconds", self.checkpoint_seconds, 0.0, 1e9)
        if self.clip is not None and check_number("clip", self.clip, 0.0, 1e30) == 0.0:
            raise ValueError("clip must be above 0, or None for no clipping; got 0.0")
        if not isinstance(self.bucket, bool):
            raise TypeError(f"bucket must be True or False; got {self.bucket!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and None, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The config that `to_dict` wrote; unknown names are refused, with the nearest known one."""
        for name in values:
            check_choice("setting", name, [f.name for f in fields(cls)])
        return cls(**values)
