"""What a run says of itself for pictures: its layers before training, and the test examples of the task it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..network import NetworkConfig
from ..training.data import Split
from .model import Conv, initial_layers
from .signal import Signal


class Examples(NamedTuple):
    """The test part of a task: its name, its objective, the data, and the names of classes or labels (none: they are numbers)."""

    task: str
    objective: str
    test: Split
    labels: tuple[str, ...]

    def signal(self, n: int) -> Signal:
        """Example n without padding; the title says its class, where examples have one."""
        title = f"{self.task}, test example {n}"
        if self.objective == "classification":
            title += f", a {self.name_of(self.test.y[n])}"
        return Signal(self.test.example(n), title)

    def name_of(self, c: int) -> str:
        """The name of class or label c; its number where it has none."""
        return self.labels[c] if self.labels else str(c)

    def truth(self, n: int) -> str:
        """The true class of example n, or the labels that it has; empty where examples have neither.

        Examples
        --------
        >>> test = Split(np.zeros((2, 1, 4)), np.array([[0, 0], [1, 1]]))
        >>> both = Examples("two", "multilabel", test, ("loud", "fast"))
        >>> both.truth(0), both.truth(1)
        ('none of the labels', 'loud, fast')
        """
        y = self.test.y[n]
        if self.objective == "classification":
            return self.name_of(y)
        if self.objective == "multilabel":
            return ", ".join(self.name_of(int(c)) for c in np.flatnonzero(y)) or "none of the labels"
        return ""

    def check_fit(self, config: NetworkConfig) -> None:
        """Raise a ValueError unless the network takes these examples."""
        x = self.test.x
        fits = x.ndim == 2 if config.encoder == "embedding" else x.ndim == 3 and x.shape[1] == config.d_input
        if not fits:
            raise ValueError(f"examples of the task {self.task} have other channels than this network")


def examples_of_run(path: Path, about: dict[str, Any], config: NetworkConfig) -> Examples:
    """The test examples of the task that a run names in its checkpoint.

    Parameters
    ----------
    path : Path, for the message;  about : what `about_run` says;  config : of the network that will see them

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        If the checkpoint names no task; the data are not there, cannot be read, or have other channels than the network.
    """
    from ..tasks import task_of_run
    from ..tasks.task import LoadOptions

    if "own_data" not in about and "task" not in about:
        raise ValueError(f"{path} does not say on which task it was trained")
    task = task_of_run(about)
    options = LoadOptions.of_run(about)
    examples = Examples(task.name, task.objective, task.load(options)["test"], task.label_names(options))
    examples.check_fit(config)
    return examples


def start_of(path: Path) -> list[Conv] | None:
    """The run's layers before training, or None if the checkpoint, being of another program, does not say how training began."""
    from ..training.checkpoint import about_run, network_from

    about = about_run(path)
    if "training" not in about:
        return None
    return initial_layers(network_from(path, about), about["training"]["seed"], about["training"]["dtype"])
