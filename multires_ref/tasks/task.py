"""What a task is: a network, how to train it, what to score, and where the data come from.

A new task is one file in this folder with a tuple `TASKS` of `Task` records: every command finds it there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import check_choice, check_int, memory_bytes
from ..base.names import spelled
from ..network.config import NetworkConfig, mixture_channels
from ..training.config import NETWORK_SETTINGS, TRAINING_SETTINGS, TrainingConfig, check_compatible
from ..training.data import Split
from ..training.objectives import OBJECTIVES, Objective, get_objective, mean_absolute_error

SCALES = ("full", "tiny")
Generate = Callable[[int, int, np.random.Generator], Split]  # (N, length, rng) -> N examples
TINY_SIZES = {"train": 64, "val": 32, "test": 32}  # of examples that are made up or generated at scale "tiny"


@dataclass(frozen=True)
class LoadOptions:
    """What a task's `load` is given.

    Parameters
    ----------
    data_dir : str or None
        Where the data are; None takes the task's own place.
    scale : "full" or "tiny"
        "tiny": a few examples, enough to see that everything runs. It may be made up where the data are not there.
    length : int or None
        Of the sequences, for a task that generates them at any length; None takes the task's own.
    """

    data_dir: str | None = None
    scale: str = "full"
    length: int | None = None

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, SCALES)
        if self.length is not None:
            check_int("length", self.length, 1)

    @classmethod
    def of_run(cls, about: dict[str, Any], data_dir: str | None = None) -> LoadOptions:
        """The options with which a run loaded its data, by what `about_run` says; `data_dir` overrides the folder."""
        return cls(data_dir or about.get("data_dir"), about.get("scale", "full"), about.get("length"))


class Length(NamedTuple):
    """The length of sequences that are generated at any length.

    Parameters
    ----------
    default : int
        The length that the task's own settings are for.
    steps : function (length) -> int
        The time steps L that a sequence of this length has: they become the network's max_length.
    meaning : str
        What the length counts, for the help of ``--length``.
    bytes_per_step : int
        The size of one time step of one example: data that do not fit into memory are refused.
    lowest : int
        The shortest length with which there is such a task.
    """

    default: int
    steps: Callable[[int], int]
    meaning: str
    bytes_per_step: int
    lowest: int = 1

    def check(self, length: int | None, N: int) -> int:
        """The length, or the default for None; an error if it is too small, or N examples need more memory than there is."""
        length = self.default if length is None else check_int("length", length, self.lowest)
        needed, memory = N * self.steps(length) * self.bytes_per_step, memory_bytes()
        if needed > memory:
            raise ValueError(
                f"{spelled('length')} {length:,} is too large: {N:,} sequences need {needed / 2**30:,.0f} GiB, and this machine "
                f"has {memory / 2**30:,.1f} GiB of memory"
            )
        return length


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
        Reads the names where they stand in the data's own files.
    tokens : tuple of str
        Names of the input's tokens by their numbers, for pictures; empty where the input is numbers.
    target_scale : tuple of float
        What one unit of each standardised target is in the data's own unit; empty where targets are not standardised.
    length : Length or None
        The length of the sequences, where they are generated at any length: ``multires-ref train NAME --length 300``.
    add_data_arguments : function (argparse.ArgumentParser) -> None, or None
        Adds the flags of ``multires-ref data NAME`` that this task alone has.
    prepare : function (argparse.Namespace) -> list of str, or None
        What ``multires-ref data NAME`` does before it loads the data: fetches, generates or checks them. It is given the parsed
        arguments (`data_dir`, and what `add_data_arguments` added), and returns the lines to print.
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
    tokens: tuple[str, ...] = ()
    target_scale: tuple[float, ...] = ()
    length: Length | None = None
    add_data_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    prepare: Callable[[argparse.Namespace], list[str]] | None = None

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, OBJECTIVES)

    def label_names(self, options: LoadOptions) -> tuple[str, ...]:
        """Names of the classes or labels, from the data's files where they stand there."""
        return self.labels if self.read_labels is None else self.read_labels(options)

    def scored_by(self, network: NetworkConfig) -> Objective:
        """The objective, with absolute errors in the unit of the data where the targets are standardised."""
        objective = get_objective(self.objective, network)
        if self.target_scale:
            return replace(objective, also={"mae": partial(mean_absolute_error, scale=self.target_scale)})
        return objective

    def settings(self, scale: str = "full", length: int | None = None, **changes: Any) -> tuple[NetworkConfig, TrainingConfig]:
        """The network and the training at that scale, for sequences of that length, with `changes` of either by name.

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
        changes = self.for_length(length) | (self.tiny if check_choice("scale", scale, SCALES) == "tiny" else {}) | changes
        if changes.get("kind", "autoregressive") != "autoregressive":  # it has no n_values; an error then is about the kind
            changes = {"n_values": None} | changes
        for name in changes:
            check_choice("setting", name, (*NETWORK_SETTINGS, *TRAINING_SETTINGS))
        network = replace(self.network, **{name: value for name, value in changes.items() if name in NETWORK_SETTINGS})
        training = replace(self.training, **{name: value for name, value in changes.items() if name in TRAINING_SETTINGS})
        check_compatible(network, training, self.objective)
        self.check_fits_data(network)
        return network, training

    def for_length(self, length: int | None) -> dict[str, Any]:
        """The settings that follow from the length of the sequences; none where the task's own length is taken.

        Raises
        ------
        ValueError
            If the length is too small, or the sequences of this task have the length that they have.
        """
        if length is None:
            return {}
        if self.length is None:
            raise ValueError(
                f"{spelled('length')} is for tasks that generate their sequences at any length; those of task {self.name} have "
                f"theirs; got {length}"
            )
        return {"max_length": self.length.steps(self.length.check(length, 1))}

    def check_fits_data(self, network: NetworkConfig) -> None:
        """Raise a ValueError unless the network takes this task's inputs and gives its outputs, known before they are read."""
        fixed = ["encoder", "d_input", *(["n_values"] if self.objective == "density" else ["d_output"])]
        for name in fixed:
            wanted, got = getattr(self.network, name), getattr(network, name)
            if got != wanted:
                raise ValueError(f"{spelled(name)} must be {wanted!r}, as the data of task {self.name} have it; got {got!r}")


def density_network(d_input: int, n_mix: int, **settings: Any) -> NetworkConfig:
    """A network for a density: a mixture of `n_mix` components, the paper's settings for CIFAR-10, and `settings` beside them."""
    d_output = mixture_channels(n_mix, d_input)
    fixed = {"kernel_size": 4, "kind": "autoregressive", "indep_res_init": True, "dropout": 0.1}
    return NetworkConfig(d_input=d_input, d_output=d_output, **fixed, **settings)


def generated_parts(
    generate: Generate, options: LoadOptions, length: Length, sizes: dict[str, int], seed: int
) -> dict[str, Split]:
    """The parts of a task that generates its data: the same for the same length and scale, in every run.

    Parameters
    ----------
    generate : function (N, length, rng) -> Split of N examples of that length
    options : LoadOptions
    length : Length of the task
    sizes : {"train": N, "val": N, "test": N}
        At scale "full"; `TINY_SIZES` at scale "tiny".
    seed : int, of the data
    """
    sizes = sizes if options.scale == "full" else TINY_SIZES
    L, rng = length.check(options.length, sum(sizes.values())), np.random.default_rng(seed)
    return {name: generate(N, L, rng) for name, N in sizes.items()}


def data_folder(task: str, data_dir: str | None, default: str, holds: str) -> Path:
    """`data_dir`, or the task's own place where None is given; it need not exist yet.

    Raises
    ------
    ValueError
        If it is a file; `holds` says what a folder there would hold.
    """
    place = Path(data_dir or default)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{task}: {place} is a file; a folder with {holds} is expected")
    return place


def absent(task: str, name: str, place: Path, advice: str) -> FileNotFoundError:
    """The error for a file that is not in its folder: says whether there is a folder, and what to do."""
    state = "does not exist"
    if place.is_dir():
        state = "holds other files" if any(place.iterdir()) else "is empty"
    return FileNotFoundError(f"{task}: {name} is not in {place}, which {state}. {advice}")
