"""How a network is trained, in one frozen record, and which settings must go together.

`NetworkConfig` checks what a network needs by itself. Checked here is what an objective needs of the network, and what an engine
needs of the device. An error calls a setting by its argument's name, or on the command line by its flag (see `base/names.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..base.checks import FLOATS, check_bool, check_choice, check_int, check_number, keep
from ..base.names import assigned, spelled
from ..engines import ENGINES
from ..network.config import NetworkConfig, mixture_channels
from ..network.init import check_size

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
        The highest learning rate; each step has its own: see `optim.learning_rate`.
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
            check_choice("setting", name, TRAINING_SETTINGS)
        return cls(**values)


NETWORK_SETTINGS, TRAINING_SETTINGS = (tuple(f.name for f in fields(config)) for config in (NetworkConfig, TrainingConfig))


KIND_OF_NETWORK = {  # by the objective: the kind of network that it needs, and why
    "classification": ("classifier", "for classification, which scores one output for each sequence"),
    "multilabel": ("classifier", "for multilabel, which scores one output for each sequence"),
    "regression": ("classifier", "for regression, which scores one output for each sequence"),
    "tagging": ("tagger", "for tagging, which scores a class at every time step"),
    "density": ("autoregressive", "for a density, which is one distribution for each time step"),
}
HINTS = {"autoregressive": ". Autoregressive networks learn a density: see the tasks whose names end in -density"}


def check_compatible(network: NetworkConfig, training: TrainingConfig, objective: str, device: str = "cpu") -> None:
    """Raise an error that names the setting if these cannot work together.

    Examples
    --------
    >>> network = NetworkConfig(1, 10, 8, 2, kind="autoregressive")
    >>> check_compatible(network, TrainingConfig(epochs=1, batch_size=50, lr=0.01), "density")
    Traceback (most recent call last):
        ...
    ValueError: d_output must be a multiple of 3 for d_input=1: so many numbers describe one component of a mixture; got 10
    """
    kind, why = KIND_OF_NETWORK[objective]
    if network.kind != kind:
        hint = HINTS.get(network.kind, "")
        raise ValueError(f"{spelled('kind')} must be {kind!r} {why}; got {network.kind!r}{hint}")
    if objective == "density":
        check_density(network)
    check_engine(training.engine, device)
    check_size(network, itemsize=4 if training.dtype == "float32" else 8)


def check_density(network: NetworkConfig) -> None:
    """A density needs numbers as input, and a whole number of mixture components as output."""
    if network.encoder != "linear":
        raise ValueError(f"{spelled('encoder')} must be 'linear' for a density, whose data are numbers; got {network.encoder!r}")
    one = mixture_channels(1, network.d_input)
    if network.d_output % one:
        raise ValueError(
            f"{spelled('d_output')} must be a multiple of {one} for {assigned('d_input', network.d_input)}: so many numbers "
            f"describe one component of a mixture; got {network.d_output}"
        )


def check_engine(engine: str, device: str) -> None:
    """An engine needs its library, and runs on the arrays of its own devices."""
    if engine == "auto":
        return
    families = {"cpu": "numpy", "gpu": "cupy"}
    family = families[check_choice("device", device, families)]
    if family not in ENGINES[engine].runs_on:
        possible = ", ".join(name for name in ENGINES if family in ENGINES[name].runs_on)
        raise ValueError(
            f"{spelled('engine')} must be auto or one of {possible} for {assigned('device', device)}; got {engine!r}, which "
            f"runs on the {'gpu' if device == 'cpu' else 'cpu'} alone"
        )
    if problem := ENGINES[engine].problem():
        raise ImportError(f"{assigned('engine', engine)} needs {ENGINES[engine].needs}: {problem}")
