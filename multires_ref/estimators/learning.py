"""Training in memory: what an estimator does in `fit`, with early stopping and a limit of time, and without a run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..base.buffers import Buffers
from ..base.pytrees import map_pytree
from ..network import Model, NetworkConfig, init_params, init_state
from ..training.config import TrainingConfig
from ..training.console import Progress
from ..training.data import Split, batch_slices
from ..training.device import batch_to_device, tree_to_device
from ..training.evaluate import evaluate
from ..training.objectives import Objective
from ..training.optim import adam_init, learning_rate
from ..training.step import train_step
from .augmentation import augment

History = list[dict[str, float]]  # one entry for each epoch


@dataclass
class Plan:
    """What is learned, and when it ends.

    Parameters
    ----------
    network, training, objective : as for `multires_ref.training.loop.fit`
    train : Split
    val : Split or None
        The part that decides which epoch is kept; None keeps the last one.
    patience : int
        With `val`, training ends after this many epochs without a better score.
    max_time : float
        Seconds after which no further step begins.
    weights : array [N] or None
        How often each training series is drawn, relative to the others; None draws each series once in an epoch.
    device : "cpu" or "gpu"
    quiet : bool
    augment : bool
        Whether the series of each step are changed a little at random, see `augmentation.py`.
    """

    network: NetworkConfig
    training: TrainingConfig
    objective: Objective
    train: Split
    val: Split | None = None
    patience: int = 20
    max_time: float = math.inf
    weights: np.ndarray | None = None
    device: str = "cpu"
    quiet: bool = True
    augment: bool = False

    def of(self, train: np.ndarray, val: np.ndarray | None, max_time: float) -> Plan:
        """This plan for some of its training series, by their indices."""
        data, weights = self.train, None if self.weights is None else self.weights[train]
        part = None if val is None else data.take(val)
        return replace(self, train=data.take(train), val=part, weights=weights, max_time=max_time)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch."""
        return -(-len(self.train) // self.training.batch_size)


@dataclass
class Learner:
    """A network while it learns: its parameters, and the best ones so far."""

    plan: Plan
    rng: np.random.Generator
    history: History = field(default_factory=list)

    def __post_init__(self) -> None:
        network, dtype = self.plan.network, self.plan.training.dtype
        self.params = tree_to_device(init_params(network, self.rng, dtype), self.plan.device)
        self.norm_state = tree_to_device(init_state(network, dtype), self.plan.device)
        self.optimizer_state = adam_init(self.params)
        self.best: Model | None = None
        self.buffers = Buffers()
        self.best_epoch = 0

    @property
    def model(self) -> Model:
        """The network as it is now."""
        return Model(self.plan.network, self.params, self.norm_state)

    def epoch(self, end: float, progress: Progress) -> bool:
        """One epoch of steps; False where the time was over before its end."""
        plan, total, count = self.plan, 0.0, 0
        for index in self.batches():
            if self.optimizer_state["step"] and time.monotonic() > end:
                return False
            batch = plan.train.take(index)
            batch = batch_to_device(augment(batch, self.rng) if plan.augment else batch, plan.device)
            with self.buffers:
                loss, self.norm_state = train_step(
                    plan.network, self.params, self.norm_state, self.optimizer_state, batch, self.rate(), self.rng,
                    plan.objective, plan.training,
                )  # fmt: skip
            total, count = total + float(loss) * len(index), count + len(index)
            progress.step()
        self.history.append({"epoch": len(self.history) + 1, "train_loss": total / count})
        return True

    def batches(self) -> Iterator[np.ndarray]:
        """The indices of each batch of an epoch."""
        n, weights = len(self.plan.train), self.plan.weights
        order = self.rng.permutation(n) if weights is None else self.rng.choice(n, n, p=weights / weights.sum())
        return (order[part] for part in batch_slices(n, self.plan.training.batch_size))

    def rate(self) -> float:
        """The learning rate of the next step."""
        training, per_epoch = self.plan.training, self.plan.steps_per_epoch
        steps, warmup = training.epochs * per_epoch, round(training.warmup_epochs * per_epoch)
        return learning_rate(self.optimizer_state["step"], steps, training.lr, warmup)

    def validate(self) -> bool:
        """Note the validation score, keep the best network; whether training goes on."""
        objective, val = self.plan.objective, self.plan.val
        if val is None:
            return True
        scores = evaluate(self.model, val, objective, self.plan.training.batch_size, self.plan.training.engine)
        self.history[-1] |= {f"val_{name}": value for name, value in scores.items()}
        if self.best is None or self.better(scores):
            copied = [map_pytree(lambda a: a.copy(), tree) for tree in (self.params, self.norm_state)]
            self.best, self.best_epoch = Model(self.plan.network, *copied), len(self.history)
        return len(self.history) - self.best_epoch < self.plan.patience

    def better(self, scores: dict[str, float]) -> bool:
        """Whether these scores beat those of the best epoch; of two equal scores the one with the lower loss wins."""
        name, best = self.plan.objective.score_name, self.history[self.best_epoch - 1]
        if scores[name] == best[f"val_{name}"]:
            return scores["loss"] < best["val_loss"]
        return self.plan.objective.better(scores[name], best[f"val_{name}"])


def learn(plan: Plan, rng: np.random.Generator) -> tuple[Model, History]:
    """Train a network; returns the model (of the best validation epoch, where there is one), and an entry for each epoch.

    Raises
    ------
    NonFiniteLoss
        The loss became NaN or infinite.
    """
    learner, end = Learner(plan, rng), time.monotonic() + plan.max_time
    steps = plan.training.epochs * plan.steps_per_epoch
    with np.errstate(all="ignore"), Progress(steps, 0, plan.quiet) as progress:
        for _ in range(plan.training.epochs):
            finished = learner.epoch(end, progress)
            if not finished or not learner.validate():
                break
            progress.show(**learner.history[-1])
    best: Any = learner.best or learner.model
    return Model(best.config, *(tree_to_device(tree, "cpu") for tree in (best.params, best.state))), learner.history
