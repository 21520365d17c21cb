"""A run's folder: who may start in it, who may go on in it, and its small files.

config.json         what the run is            metrics.jsonl     one line an epoch
last.safetensors    to resume from             metrics.json      the result, at the end
best.safetensors    the best epoch's model     curves.png        drawn by `multires-ref train`
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import __version__
from ..base.files import read_json, write_json, write_whole
from ..network import NetworkConfig
from .config import TrainingConfig
from .data import Split, fingerprint

FREE = ("checkpoint_seconds",)  # settings that may change on resuming: they do not touch the result


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


def start_folder(out: Path, config: dict[str, Any]) -> None:
    """Make the folder of a new run and write config.json.

    Raises
    ------
    FileExistsError
        If the folder is there and not empty: nothing of an older run is ever overwritten.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        hint = "; --resume continues that run" if (out / "last.safetensors").exists() else ""
        raise FileExistsError(f"{out} exists and is not empty: choose another folder{hint}")
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "config.json", config)


def check_same(where: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a ValueError that names every setting in which a resumed run differs from the one in the folder."""
    changed = [
        f"{name} (the run: {old}; now: {new})" for name, old, new in differences(before, now) if name.split(".")[-1] not in FREE
    ]
    if changed:
        raise ValueError(f"cannot resume {where}: these settings differ: {'; '.join(changed)}")


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, value before, value now) wherever both say something about network, training, data or objective.

    The device may change: a checkpoint holds NumPy arrays, and the run goes on wherever it is told to.
    """
    rows = []
    for part in ("task", "scale", "objective"):
        if before.get(part) != now.get(part):
            rows.append((part, before.get(part), now.get(part)))
    for part in ("network", "training", "data"):
        old, new = before.get(part) or {}, now[part]
        rows += [(f"{part}.{name}", old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)]
    return rows


def read_lines(out: Path) -> list[dict[str, Any]]:
    """The epochs in metrics.jsonl, in order; none where there is no file."""
    path = out / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def write_lines(out: Path, lines: list[dict[str, Any]]) -> None:
    """metrics.jsonl, whole: so that a crash leaves no half line."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    write_whole(out / "metrics.jsonl", text.encode())


def read_config(out: Path) -> dict[str, Any]:
    """A run folder's config.json; a clear error where the folder holds none."""
    if not (out / "config.json").exists():
        raise FileNotFoundError(f"{out} is not a run folder: it has no config.json")
    config = read_json(out / "config.json")
    if not isinstance(config, dict):
        raise ValueError(f"{out / 'config.json'} must hold settings by name; got {str(config)[:80]}")
    return config
