"""Settings that must go together, checked before data are read or a folder is made.

What a network alone must fulfil stands in `NetworkConfig`; here, what it must fulfil for an objective, and an engine on a device.
An error calls a setting by its argument's name, or on the command line by its flag (see `base/names.py`).
"""

from __future__ import annotations

from ..base.checks import check_choice
from ..base.names import assigned, spelled
from ..engines import ENGINES
from ..network.config import NetworkConfig, mixture_channels
from ..network.init import check_size
from .config import TrainingConfig

PER_SEQUENCE = ("classification", "multilabel")  # objectives that score one output for each sequence


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
    if objective in PER_SEQUENCE and network.kind != "classifier":
        raise ValueError(
            f"{spelled('kind')} must be 'classifier' for {objective}, which scores one output for each sequence; got "
            f"{network.kind!r}. Autoregressive networks learn a density: see the tasks whose names end in -density"
        )
    if objective == "density":
        check_density(network)
    check_engine(training.engine, device)
    check_size(network, itemsize=4 if training.dtype == "float32" else 8)


def check_density(network: NetworkConfig) -> None:
    """A density needs numbers as input, and a whole number of mixture components as output."""
    if network.kind != "autoregressive":
        raise ValueError(
            f"{spelled('kind')} must be 'autoregressive' for a density, which is one distribution for each time step; got "
            f"{network.kind!r}"
        )
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
