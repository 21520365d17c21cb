"""Command-line flags made from the fields of `NetworkConfig` and `TrainingConfig`: every setting has one, none is listed here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

from ..base.names import named_as_flags
from ..filters import check_wavelet, wavelet_length
from ..network.config import NetworkConfig
from ..training.config import TrainingConfig

KINDS = {"int": int, "float": float, "str": str}
HELP = {
    "d_model": "channels",
    "n_layers": "number of blocks",
    "kernel_size": "filter taps K",
    "depth": "levels of the tree; none: as many as cover max_length",
    "memory_size": "m, for the uniform tree",
    "wavelet": "start the filters from this wavelet; sets the kernel size too",
    "tied": "one pair of filters for all levels, or one a level",
    "lr": "highest learning rate",
    "clip": "largest global norm of the gradient; none: no clipping",
    "engine": "algorithm of the convolution",
    "bucket": "batches of similar length",
    "checkpoint_seconds": "longest time between two checkpoints",
}


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
        group = parser.add_argument_group(f"settings of the {title} (default: the task's)")
        for field in fields(config):
            add_flag(group, field)
        if config is NetworkConfig:
            group.add_argument("--untied", dest="tied", action="store_false", default=argparse.SUPPRESS, help="same as --no-tied")


def add_flag(group: Any, field: Field) -> None:
    """The flag of one field: --name VALUE, or --name / --no-name for a switch."""
    flag, kind = "--" + field.name.replace("_", "-"), str(field.type)
    options: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": HELP.get(field.name)}
    if kind == "bool":
        group.add_argument(flag, action=argparse.BooleanOptionalAction, **options)
    else:
        group.add_argument(flag, type=value_type(kind), metavar=kind.split(" ")[0].upper(), **options)


def value_type(kind: str) -> Callable[[str], Any]:
    """What turns the text after a flag into a value: for "int | None" an int, or None for the word none."""
    convert, optional = KINDS[kind.split(" ")[0]], "None" in kind

    def value(text: str) -> Any:
        return None if optional and text.lower() == "none" else convert(text)

    value.__name__ = kind  # argparse says "invalid int value"
    return value


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by name; a wavelet brings its length as the kernel size unless one was given too."""
    names = [f.name for config in (NetworkConfig, TrainingConfig) for f in fields(config)]
    given = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if given.get("wavelet") and "kernel_size" not in given:
        given["kernel_size"] = wavelet_length(check_wavelet(given["wavelet"]))
    return given


def task_settings(task: Any, args: argparse.Namespace, scale: str, device: str) -> tuple[NetworkConfig, TrainingConfig]:
    """The task's settings at that scale with what was given, all checked; an error calls a setting by its flag."""
    from ..training.compatible import check_compatible
    from ..training.device import check_device

    names = [f.name for config in (NetworkConfig, TrainingConfig) for f in fields(config)]
    with named_as_flags([*names, "scale", "device"]):
        network, training = task.settings(scale, **given_settings(args))
        check_device(device)
        check_compatible(network, training, task.objective, device)
    return network, training


def configs_from(recorded: dict[str, Any]) -> tuple[NetworkConfig, TrainingConfig]:
    """The settings in a run folder's config.json."""
    for part in ("network", "training"):
        if not isinstance(recorded.get(part), dict):
            raise ValueError(f"config.json must hold the settings of the {part}; got {recorded.get(part)!r}")
    return NetworkConfig.from_dict(recorded["network"]), TrainingConfig.from_dict(recorded["training"])
