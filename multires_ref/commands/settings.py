"""Command-line flags made from the fields of `NetworkConfig` and `TrainingConfig`: every setting has one, none is listed here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

from ..base.layer_checks import as_wavelet, wavelet_names
from ..base.names import named_as_flags
from ..network.config import CHOICES as NETWORK_CHOICES
from ..network.config import NetworkConfig
from ..network.norms import NORMS
from ..training.config import CHOICES as TRAINING_CHOICES
from ..training.config import NETWORK_SETTINGS, TRAINING_SETTINGS, TrainingConfig, check_compatible

if TYPE_CHECKING:
    from ..tasks.task import Task

KINDS = {"int": int, "float": float, "str": str}
HELP = {
    "d_input": "channels of the input, or the number of tokens where the encoder is an embedding",
    "d_output": "classes or labels; for a density the numbers that describe one pixel's distribution",
    "d_model": "channels D inside the network",
    "n_layers": "number of blocks",
    "kernel_size": "filter taps K",
    "max_length": "time steps that sequences are padded to; the depth follows from it where none is given",
    "kind": "what the network gives: class scores of a sequence or of every time step, or the distribution of the next sample",
    "encoder": "what takes the input to D channels: a linear map of numbers, or an embedding of tokens",
    "depth": "levels J of the tree; none: as few as see max_length time steps",
    "tree_select": "which coefficients are remembered: the newest of every level, or the newest few, coarse levels first",
    "memory_size": "coefficients m that are remembered; must be given for the uniform tree",
    "norm": ", or ".join(f"{name}: {norm.about}" for name, norm in NORMS.items()),
    "dropout": "share of channels set to 0 in training, from 0 to below 1",
    "wavelet": "start the filters from this wavelet of PyWavelets, such as db2; sets the kernel size too; none: at random",
    "filter_order": "order of a wavelet's taps: PyWavelets' dec_lo, the reverse, or whichever weights new samples more",
    "tied": "one pair of filters for all levels; --no-tied: a pair for every level",
    "indep_res_init": "start the skip weight between -1 and 1, apart from the weights of the memory",
    "n_values": "how many values a pixel can take; for a density only",
    "epochs": "how often the training examples are gone through",
    "batch_size": "examples of one step",
    "lr": "highest learning rate; it falls to 0 along a cosine",
    "optimizer": "Adam with decoupled weight decay, or Adam with the decay added to the gradient",
    "weight_decay": "strength of the weight decay",
    "warmup_epochs": "epochs in which the learning rate rises from 0; may be a fraction",
    "clip": "largest norm of the gradient of all parameters together; none: no clipping",
    "seed": "seed of the initial parameters, the order of the examples and the dropout",
    "dtype": "precision of parameters and data",
    "engine": "algorithm of the convolution; auto: the fastest that is installed and fits",
    "bucket": "put sequences of similar length into one batch (for data with lengths)",
    "checkpoint_seconds": "longest time between two checkpoints, in seconds",
}
CHOICES = NETWORK_CHOICES | TRAINING_CHOICES


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """One flag a setting. What is not given does not appear in the parsed arguments, so that the task's setting stands.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_setting_flags(parser)
    >>> given_settings(parser.parse_args(["--d-model", "16", "--untied", "--depth", "none"]))
    {'d_model': 16, 'depth': None, 'tied': False}
    """
    for title, config in (("network", NetworkConfig), ("training", TrainingConfig)):
        group = parser.add_argument_group(f"settings of the {title} (default: the task's, see multires-ref info TASK)")
        for field in fields(config):
            add_flag(group, field)
        if config is NetworkConfig:
            group.add_argument(
                "--untied", dest="tied", action="store_false", default=argparse.SUPPRESS, help="the same as --no-tied"
            )


def add_flag(group: argparse._ArgumentGroup, field: Field) -> None:
    """The flag of one field: --name VALUE, or --name / --no-name for a switch."""
    flag, kind = "--" + field.name.replace("_", "-"), str(field.type)
    options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": HELP[field.name]}
    if kind == "bool":
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
    elif field.name in CHOICES:
        group.add_argument(flag, choices=CHOICES[field.name], **options)
    else:
        action = group.add_argument(flag, type=value_type(kind), metavar=kind.split(" ")[0].upper(), **options)
        if field.name == "wavelet":
            action.completer = lambda **given: [*wavelet_names(), "none"]  # for the Tab key: see parser.py


def value_type(kind: str) -> Callable[[str], Any]:
    """What turns the text after a flag into a value: for "int | None" an int, or None for the word none."""
    convert, optional = KINDS[kind.split(" ")[0]], "None" in kind

    def value(text: str) -> Any:
        return None if optional and text.lower() == "none" else convert(text)

    value.__name__ = kind  # argparse says "invalid int value"
    return value


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by name; a wavelet brings its length as the kernel size unless one was given too."""
    given = {name: getattr(args, name) for name in (*NETWORK_SETTINGS, *TRAINING_SETTINGS) if hasattr(args, name)}
    if given.get("wavelet") and "kernel_size" not in given:
        given["kernel_size"] = as_wavelet(given["wavelet"]).dec_len
    return given


def task_settings(
    task: Task, args: argparse.Namespace, scale: str, device: str, length: int | None = None
) -> tuple[NetworkConfig, TrainingConfig]:
    """The task's settings at that scale and length with what was given, all checked; an error calls a setting by its flag."""
    from ..training.device import check_device

    with named_as_flags([*NETWORK_SETTINGS, *TRAINING_SETTINGS, "scale", "device", "length"]):
        network, training = task.settings(scale, length, **given_settings(args))
        check_device(device)
        check_compatible(network, training, task.objective, device)
    return network, training


def configs_from(recorded: dict[str, Any]) -> tuple[NetworkConfig, TrainingConfig]:
    """The settings in a run folder's config.json."""
    for part in ("network", "training"):
        if not isinstance(recorded.get(part), dict):
            raise ValueError(f"config.json must hold the settings of the {part}; got {recorded.get(part)!r}")
    return NetworkConfig.from_dict(recorded["network"]), TrainingConfig.from_dict(recorded["training"])
