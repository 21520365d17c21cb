"""A run's folder: who may start in it, who may go on in it, and its small files.

config.json         what the run is            metrics.jsonl     one line an epoch
last.safetensors    to resume from             metrics.json      the result, at the end
best.safetensors    the best epoch's model     curves.png        drawn by `multires-ref train`
.lock               while a process trains     .NAME.PROCESS-N.tmp   a file that is being written
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import __version__
from ..base.files import is_temporary, parse_json, read_json, read_text, write_whole
from ..base.lock import LOCK_NAME
from ..network import NetworkConfig
from .config import TrainingConfig
from .data import Split, fingerprint

FREE = ("checkpoint_seconds",)  # settings that may change on resuming: they do not touch the result


class RunStopped(OSError):
    """A file of a run could not be written. The run's last good checkpoint stands, and it can go on from there."""


class RanksDiffer(RuntimeError):
    """The ranks of a run do not hold the same numbers any more: a machine, or what is installed on it, is not as the others."""


def identity(
    network: NetworkConfig,
    training: TrainingConfig,
    splits: dict[str, Split],
    objective: str,
    device: str,
    about: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the run is, as it stands in config.json and in every checkpoint; `about` adds names such as the task's."""
    return {
        "multires_ref": __version__,
        **(about or {}),
        "objective": objective,
        "device": device,
        "network": network.to_dict(),
        "training": training.to_dict(),
        "data": fingerprint(splits),
    }


def make_folder(out: Path) -> None:
    """Make the folder of a new run, if it is not there.

    Raises
    ------
    FileExistsError
        If there is a file in its place.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file, and a run needs a folder: choose another name")
    out.mkdir(parents=True, exist_ok=True)


def holds_no_run(out: Path) -> bool:
    """Whether the folder is empty, or holds at most the config.json of a run that was stopped before its first checkpoint."""
    names = {path.name for path in out.iterdir() if path.name != LOCK_NAME and not is_temporary(path.name)}
    return names <= {"config.json"}


def check_free_for(out: Path, config: dict[str, Any]) -> None:
    """Raise a FileExistsError unless a run with this config.json may start in the folder.

    It may where nothing is there, or no more than the same run left that was stopped before its first checkpoint. Nothing of an
    older run is ever overwritten.
    """
    if not holds_no_run(out):
        hint = "; --resume continues that run" if (out / "last.safetensors").exists() else ""
        raise FileExistsError(f"{out} exists and is not empty: choose another folder{hint}")
    if (out / "config.json").exists() and (changed := changes(settings_of(read_config(out)), settings_of(config))):
        raise FileExistsError(
            f"{out} belongs to another run, which was stopped before its first checkpoint: choose another folder, or remove "
            f"this one. These settings differ: {changed}"
        )


def check_same(where: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a ValueError that names every setting in which a resumed run differs from the one in the folder."""
    if changed := changes(before, now):
        raise ValueError(f"cannot resume {where}: these settings differ: {changed}")


def changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The settings that differ and must not, in words."""
    rows = [(name, before.get(name), now.get(name)) for name in {**before, **now} if name.split(".")[-1] not in FREE]
    return "; ".join(f"{name} (the run: {old}; now: {new})" for name, old, new in rows if old != new)


def settings_of(config: dict[str, Any]) -> dict[str, Any]:
    """What must stay the same in a run, by name: task, scale, objective, and all of network, training and data.

    The device may change: a checkpoint holds NumPy arrays, and the run goes on on the device that is given.
    """
    settings = {part: config.get(part) for part in ("task", "scale", "objective")}
    for part in ("network", "training", "data"):
        values = config.get(part)
        if isinstance(values, dict):
            settings |= {f"{part}.{name}": value for name, value in values.items()}
    return settings


def read_lines(out: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, one an epoch, in order; none where there is no file.

    Raises
    ------
    ValueError
        If a line is no JSON, or is not that of the next epoch.
    """
    path = out / "metrics.jsonl"
    if not path.exists():
        return []
    lines = []
    for n, text in enumerate(read_text(path).splitlines(), 1):
        line = parse_json(text, f"{path}, line {n}")
        if not isinstance(line, dict) or line.get("epoch") != n or isinstance(line["epoch"], bool):
            raise ValueError(f"{path}, line {n}: expected the numbers of epoch {n} by name; got {text[:80]}")
        lines.append(line)
    return lines


def write_lines(out: Path, lines: list[dict[str, Any]]) -> None:
    """Write metrics.jsonl as a whole, so that a crash leaves no half line."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    write_whole(out / "metrics.jsonl", text.encode())


def read_config(out: Path) -> dict[str, Any]:
    """A run folder's config.json; a clear error where the folder holds none."""
    if not (out / "config.json").exists():
        raise FileNotFoundError(f"{out} is not a run folder: it has no config.json. A new run starts without --resume")
    config = read_json(out / "config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{out / 'config.json'} must hold settings by name; got {str(config)[:80]}")
    return config


def read_result(out: Path, score_name: str) -> dict[str, Any] | None:
    """A finished run's metrics.json; None where it is missing or does not hold a result, which is then computed again."""
    try:
        result = read_json(out / "metrics.json")
    except (FileNotFoundError, ValueError):
        return None
    names = (f"test_{score_name}", "test_loss", f"val_{score_name}", "best_epoch", "epochs", "steps", "parameters", "seconds")
    return result if isinstance(result, dict) and all(isinstance(result.get(name), (int, float)) for name in names) else None
