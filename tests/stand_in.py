"""Small tasks in the place of real ones, whose data depend on folder and scale, and run folders that no training has made.

The parts of a task hold different numbers of different examples, so a command that takes the wrong part, folder or scale prints
other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from multires_ref import Model, NetworkConfig
from multires_ref.tasks.task import LoadOptions, Task
from multires_ref.training.checkpoint import model_tensors, save_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split

SIZES = {"train": 11, "val": 6, "test": 8}
L = 16
NETWORKS = {
    "classes": NetworkConfig(2, 3, d_model=4, n_layers=1, max_length=L),
    "tokens": NetworkConfig(5, 3, d_model=4, n_layers=1, max_length=L, encoder="embedding"),
    "labels": NetworkConfig(2, 3, d_model=4, n_layers=1, max_length=L),
    "density": NetworkConfig(1, 6, d_model=4, n_layers=1, max_length=L, kind="autoregressive", n_values=5),
}
OBJECTIVES = {"classes": "classification", "tokens": "classification", "labels": "multilabel", "density": "density"}
NAMES = ("cat", "dog", "owl")


def data(kind: str, folder: str | None, scale: str) -> dict[str, Split]:
    """The three parts as they are in that folder at that scale."""
    parts = {}
    for n, (name, size) in enumerate(SIZES.items()):
        size -= scale == "tiny"
        rng = np.random.default_rng([n, *str(folder).encode(), scale == "tiny"])
        y = rng.permuted(np.append(rng.integers(0, 3, size - 4), [0, 1, 2, 2]))
        x = rng.standard_normal((size, 2, L)).astype("float32")
        if kind == "classes":
            parts[name] = Split(x, y)
        elif kind == "tokens":
            lengths = rng.integers(3, L, size)
            tokens = rng.integers(1, 5, (size, L)) * (np.arange(L) < lengths[:, None])
            parts[name] = Split(tokens, y, lengths)
        elif kind == "labels":
            labels = (rng.random((size, 3)) < 0.5).astype("float32")
            labels[:2, :2], labels[:, 2] = np.eye(2), name == "val"  # the last label is the same for all
            parts[name] = Split(x, labels)
        else:
            values = (rng.integers(0, 5, (size, 1, L)) / 2 - 1).astype("float32")
            parts[name] = Split(values, values)
    return parts


@dataclass
class StandIn:
    """A task of one of the kinds, and the options with which its data were loaded."""

    kind: str
    name: str = "digits"
    more: dict = field(default_factory=dict)  # of the Task's fields
    seen: list[LoadOptions] = field(default_factory=list)

    def load(self, options: LoadOptions) -> dict[str, Split]:
        self.seen.append(options)
        return data(self.kind, options.data_dir, options.scale)

    @property
    def task(self) -> Task:
        training = TrainingConfig(epochs=2, batch_size=4, lr=0.01, weight_decay=0.03, warmup_epochs=0.5)
        named = lambda options: tuple(f"{name} {options.data_dir or ''}".strip() for name in NAMES)  # noqa: E731
        return Task(
            self.name, f"a stand-in of {self.kind}", NETWORKS[self.kind], training, OBJECTIVES[self.kind], self.load,
            read_labels=None if self.kind == "tokens" else named, published="12.5 % in Table 9",
            reproduced="nothing yet", tiny={"n_layers": 2}, tokens=tuple("pqrst") if self.kind == "tokens" else (), **self.more,
        )  # fmt: skip

    def labels(self, folder: str | None = None) -> tuple[str, ...]:
        """The names of its classes, which stand in the folder, or their numbers."""
        return tuple("012") if self.kind == "tokens" else self.task.label_names(LoadOptions(folder))


def put_in_place(monkeypatch, kind: str, *others: StandIn) -> StandIn:
    """Let the task "digits" be a stand-in of that kind; others take the places of their names."""
    import multires_ref.tasks

    tasks, real = {task.name: task for task in (StandIn(kind), *others)}, multires_ref.tasks.get_task
    monkeypatch.setattr(multires_ref.tasks, "get_task", lambda name: tasks[name].task if name in tasks else real(name))
    return tasks["digits"]


def untrained_run(folder: Path, kind: str, seed: int = 0, dtype: str = "float32", **about) -> Path:
    """A run folder whose best and last models are two different networks with large random weights."""
    config = NETWORKS[kind]
    training = TrainingConfig(epochs=1, batch_size=4, lr=0.01, seed=seed, dtype=dtype)
    folder.mkdir(parents=True)
    for n, name in enumerate(("best", "last")):
        model = Model.init(config, np.random.default_rng([seed, n]), dtype)
        model.params["decoder"]["weight"] *= 3
        settings = {"network": config.to_dict(), "training": training.to_dict(), **about}
        save_checkpoint(folder / f"{name}.safetensors", model_tensors(model.params, model.state), settings)
    return folder
