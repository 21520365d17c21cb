"""What stays the same during a run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..network import NetworkConfig
from .config import TrainingConfig
from .data import Split
from .objectives import Objective
from .schedule import learning_rate


@dataclass
class Job:
    """Settings, data and place of a run, and two clocks.

    Parameters
    ----------
    network, training, splits, objective, out, device : as given to `fit`
    config : dict
        What stands in config.json and in every checkpoint: see `run_folder.identity`.
    """

    network: NetworkConfig
    training: TrainingConfig
    splits: dict[str, Split]
    objective: Objective
    out: Path
    device: str
    config: dict[str, Any]
    saved: float = field(default_factory=time.monotonic)  # when the last checkpoint was written
    started: float = field(default_factory=time.monotonic)  # when the run began, less the time it stood still

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch; the last may be shorter."""
        return -(-len(self.splits["train"]) // self.training.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.training.epochs * self.steps_per_epoch

    def lr(self, step: int) -> float:
        """The learning rate of step number `step`, counted from 0."""
        warmup = round(self.training.warmup_epochs * self.steps_per_epoch)
        return learning_rate(step, self.steps, self.training.lr, warmup)
