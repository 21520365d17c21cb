"""What a task is: a network, how to train it, what to score, and where the data come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..base.checks import check_choice
from ..base.names import spelled
from ..network.config import NetworkConfig
from ..training.config import TrainingConfig, check_compatible
from ..training.data import Split
from ..training.objectives import OBJECTIVES

SCALES = ("full", "tiny")


@dataclass(frozen=True)
class LoadOptions:
    """What a task's `load` is told.

    Parameters
    ----------
    data_dir : str or None
        Where the data are; None takes the task's own place.
    scale : "full" or "tiny"
        "tiny": a few examples, enough to see that everything runs. It may be made up where the data are not there.
    """

    data_dir: str | None = None
    scale: str = "full"

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)


@dataclass(frozen=True)
class Task:
    """A named job for `multires-ref train`.

    Parameters
    ----------
    name : str, as on the command line;  title : str, one line that says what it is
    network, training : the default settings
    objective : a name of `OBJECTIVES`
    load : function (LoadOptions) -> {"train": Split, "val": Split, "test": Split}
    tiny : dict
        Settings of the network and of the training that change under ``--scale tiny``, by name.
    published : str
        The published result and where it stands; empty where there is none.
    reproduced : str
        What this repository's own code has reached at the task's full setting; empty where nothing has been run.
    labels : tuple of str
        Names of the classes or labels; empty where numbers do.
    read_labels : function (LoadOptions) -> tuple of str, or None
        Where the names stand in the data's own files.
    """

    name: str
    title: str
    network: NetworkConfig
    training: TrainingConfig
    objective: str
    load: Callable[[LoadOptions], dict[str, Split]]
    tiny: dict[str, Any] = field(default_factory=dict)
    published: str = ""
    reproduced: str = ""
    labels: tuple[str, ...] = ()
    read_labels: Callable[[LoadOptions], tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, OBJECTIVES)

    def label_names(self, options: LoadOptions) -> tuple[str, ...]:
        """Names of the classes or labels, from the data's files where they stand there."""
        return self.labels if self.read_labels is None else self.read_labels(options)

    def settings(self, scale: str = "full", **changes: Any) -> tuple[NetworkConfig, TrainingConfig]:
        """The network and the training at that scale, with `changes` of either by name.

        Raises
        ------
        TypeError, ValueError
            For a setting that is wrong by itself, beside the others, or for this task's data; the error names it.

        Examples
        --------
        >>> from multires_ref.tasks import get_task
        >>> network, training = get_task("digits").settings(d_model=16, epochs=2)
        >>> network.d_model, training.epochs
        (16, 2)
        """
        changes = (self.tiny if check_choice("scale", scale, SCALES) == "tiny" else {}) | changes
        if changes.get("kind") == "classifier":  # which has no n_values; the error, if there is one, is about the kind
            changes = {"n_values": None} | changes
        ours, theirs = names_of(NetworkConfig), names_of(TrainingConfig)
        for name in changes:
            check_choice("setting", name, (*ours, *theirs))
        network = replace(self.network, **{name: value for name, value in changes.items() if name in ours})
        training = replace(self.training, **{name: value for name, value in changes.items() if name in theirs})
        check_compatible(network, training, self.objective)
        self.check_fits_data(network)
        return network, training

    def check_fits_data(self, network: NetworkConfig) -> None:
        """Raise a ValueError unless the network takes this task's inputs and gives its outputs, known before they are read."""
        fixed = ["encoder", "d_input", *(["n_values"] if self.objective == "density" else ["d_output"])]
        for name in fixed:
            wanted, got = getattr(self.network, name), getattr(network, name)
            if got != wanted:
                raise ValueError(f"{spelled(name)} must be {wanted!r}, as the data of task {self.name} have it; got {got!r}")


def names_of(config: type) -> list[str]:
    """The names of a dataclass's fields."""
    return [f.name for f in fields(config)]
