"""Small runs that one process and several ranks must do alike: every objective with every norm. And ranks that are threads."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multires_ref import NetworkConfig
from multires_ref.base.ranks import ALONE, Ranks
from multires_ref.network.norms import NORMS
from multires_ref.training import loop
from multires_ref.training.checkpoint import read_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import OBJECTIVES, get_objective

L, SIZES = 12, {"train": 23, "val": 9, "test": 5}  # batches of 7, 7, 7 and 2: unequal shares, and on 3 ranks one is empty
KINDS = {"tagging": "tagger", "density": "autoregressive"}
CASES = [(objective, norm) for objective in OBJECTIVES for norm in NORMS]
TOLERANCE = 1e-12  # of losses and parameters after 20 steps in float64


def network(objective: str, norm: str, **options: Any) -> NetworkConfig:
    """Two blocks with dropout; classification has tokens of unequal lengths."""
    settings = {
        "d_model": 6,
        "n_layers": 2,
        "max_length": L,
        "norm": norm,
        "dropout": 0.2,
        "kind": KINDS.get(objective, "classifier"),
    }
    if objective == "classification":
        settings |= {"encoder": "embedding", "d_input": 9, "d_output": 3}
    elif objective == "density":
        settings |= {"d_input": 1, "d_output": 6, "n_values": 5}
    else:
        settings |= {"d_input": 2, "d_output": 3}
    return NetworkConfig(**settings | options)


def training(objective: str, **options: Any) -> TrainingConfig:
    """20 steps in float64, with clipping; classification with sequences of similar lengths together."""
    settings = {
        "epochs": 5,
        "batch_size": 7,
        "lr": 0.01,
        "clip": 0.5,
        "dtype": "float64",
        "bucket": objective == "classification",
    }
    return TrainingConfig(**settings | options)


def splits(objective: str) -> dict[str, Split]:
    """Random data of the objective's kind."""
    rng = np.random.default_rng(7)
    return {name: random_split(objective, N, rng) for name, N in SIZES.items()}


def random_split(objective: str, N: int, rng: np.random.Generator) -> Split:
    x = rng.standard_normal((N, 2, L))
    if objective == "classification":
        lengths = rng.integers(3, L + 1, N)
        return Split(rng.integers(1, 9, (N, L)) * (np.arange(L) < lengths[:, None]), rng.integers(0, 3, N), lengths)
    if objective == "tagging":
        return Split(x, rng.integers(0, 3, (N, L)))
    if objective == "multilabel":
        return Split(x, np.concatenate([np.eye(3)[:2], rng.integers(0, 2, (N - 2, 3)).astype(float)]))
    if objective == "regression":
        return Split(x, rng.standard_normal((N, 3)))
    values = rng.integers(0, 5, (N, 1, L)) / 2 - 1
    return Split(values, values)


def train(objective: str, norm: str, out: Path, ranks: Ranks = ALONE, **options: Any) -> dict[str, Any]:
    """The run of one case; `options` are settings, or what `fit` takes."""
    names, of_fit = NetworkConfig.__dataclass_fields__, ("resume", "device")
    config = network(objective, norm, **{k: v for k, v in options.items() if k in names})
    settings = training(objective, **{k: v for k, v in options.items() if k not in (*names, *of_fit)})
    keep = {k: v for k, v in options.items() if k in of_fit} | {"ranks": ranks, "quiet": True}
    return loop.fit(config, settings, splits(objective), get_objective(objective, config), out, **keep)


def recorded(out: Path) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
    """A run's lines without their times, and the arrays of its last checkpoint."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines], read_checkpoint(out / "last.safetensors")[0]


def is_exempt(name: str, objective: str, norm: str) -> bool:
    """The bias in front of BatchNorm, whose exact gradient is zero, so that Adam makes steps of its rounding errors; what is
    computed from it alone, its moments and the running mean; and the scores in evaluation, which see both."""
    if (objective, norm) != ("density", "batch"):
        return False
    return "mix2.bias" in name or name.endswith(".mean") or name.startswith("val_")


def largest_difference(one: Path, other: Path, objective: str, norm: str) -> float:
    """Between two runs' losses, scores and parameters, relative to 1 where they are larger."""
    (lines, tensors), (other_lines, other_tensors) = recorded(one), recorded(other)
    assert len(lines) == len(other_lines)
    assert tensors.keys() == other_tensors.keys()
    pairs = [(k, np.asarray(line[k]), np.asarray(o[k])) for line, o in zip(lines, other_lines, strict=True) for k in line]
    pairs += [(k, tensors[k], other_tensors[k]) for k in tensors]
    pairs = [(a, b) for name, a, b in pairs if not is_exempt(name, objective, norm)]
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0)) for a, b in pairs)


def assert_same_bits(one: Path, other: Path) -> None:
    """The two runs are equal in every number."""
    (lines, tensors), (other_lines, other_tensors) = recorded(one), recorded(other)
    assert lines == other_lines
    assert all(np.array_equal(tensors[name], other_tensors[name]) for name in tensors)


class ThreadRanks(Ranks):
    """Ranks that are threads of one process: what needs no MPI is tested with them."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, table: list[Any]) -> None:
        self.rank, self.size, self.barrier, self.table = rank, size, barrier, table

    def gather_objects(self, value: Any) -> list[Any]:
        self.table[self.rank] = value
        self.barrier.wait(60)
        values = list(self.table)
        self.barrier.wait(60)
        return values

    def gather(self, array: np.ndarray) -> np.ndarray:
        return np.stack(self.gather_objects(np.asarray(array)))

    def broadcast(self, value: Any) -> Any:
        data = self.gather_objects(pickle.dumps(value) if self.first else b"")[0]
        return value if self.first else pickle.loads(data)


def in_threads(size: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` gives on each of several ranks; the first exception of a rank is raised."""
    barrier, table, results, errors = threading.Barrier(size), [None] * size, [None] * size, []

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadRanks(rank, size, barrier, table))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return results
