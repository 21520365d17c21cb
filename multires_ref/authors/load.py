"""Checkpoints in and out: `load_model` reads the authors' files and ours, `save_model` writes what the authors' code loads.

    a run folder, or our .safetensors         training.checkpoint.load_run
    .safetensors with the authors' names      read here, without PyTorch
    .pth, .pt, .ckpt, .bin                    torch_file.read_torch: a state dict, or {"model": state dict, ...}

No file that is loaded can run code: safetensors files hold numbers only, and of PyTorch's files only tensors and plain values are
read.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import AssumptionWarning
from ..base.tensors import read_tensors, tensor_dtypes, write_tensors
from ..network import Model, NetworkConfig
from .convert import Tensors, check_tensors, not_in_authors_format, params_from_authors, to_authors
from .derive import Derived, assumption_text, config_from, derive
from .torch_file import TORCH_SUFFIXES, read_torch, write_torch

SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
FORMAT = "authors"  # marks the config that `save_model` puts beside the authors' names


def load_model(path: str | os.PathLike, **given: Any) -> Model:
    """A model from a run folder, our .safetensors, or a checkpoint of the authors' code.

    Parameters
    ----------
    path : str or Path
        A run folder, a .safetensors file, or a file of PyTorch (.pth, .pt, .ckpt, .bin; these need PyTorch).
    given : depth, max_length, tree_select, dropout, wavelet, filter_order, indep_res_init, n_values
        Settings that the authors' checkpoints do not hold; see `derive.derive`. A file that holds its config needs none of them.

    Returns
    -------
    model : Model
        ``model(x, lengths=None)`` gives the outputs in evaluation mode; its parts are `.config`, `.params` and `.state`. The
        file's dtype is kept, but parameters of half precision (float16, bfloat16) become float32, exactly.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        There is no such file; it is damaged, or could only be read by running code; arrays do not fit (all of them are listed); a
        setting must be given, or contradicts the config in the file; or it is a PyTorch file and PyTorch is not installed.

    Warns
    -----
    AssumptionWarning
        If neither the file nor the caller says whether the tree is fading, or how many values a density has. The text says what
        was assumed, and how to give it.
    UserWarning
        If parameters of half precision became float32.

    Examples
    --------
    >>> import tempfile
    >>> model = Model.init(NetworkConfig(3, 10, 8, 2, max_length=32), np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.safetensors")
    ...     again = load_model(f"{folder}/model.safetensors")
    >>> again.config == model.config
    True
    """
    path = existing(path)
    if path.is_dir() or is_ours(path):
        from ..training.checkpoint import load_run

        model = load_run(path)
        check_agrees(path, model.config, given)
        return model
    file = read_checkpoint(path)
    warn_of_half(path, file.half)
    if file.config is not None:
        check_agrees(path, file.config, given)
        return Model(file.config, *params_from_authors(file.tensors, file.config))
    items = derive(file.tensors, **given)
    if assumption_text(items):
        warnings.warn(f"{path}: {assumption_text(items)}", AssumptionWarning, stacklevel=2)
    config = config_from(items)
    return Model(config, *params_from_authors(file.tensors, config), assumed=assumptions(items))


def derived_settings(path: str | os.PathLike, **given: Any) -> list[Derived] | None:
    """How each setting of an authors' checkpoint was found (see `derive.describe`); None for a file that holds its config."""
    path = existing(path)
    if path.is_dir() or is_ours(path):
        return None
    file = read_checkpoint(path)
    return derive(file.tensors, **given) if file.config is None else None


def assumptions(items: list[Derived] | None) -> tuple[str, ...]:
    """The settings that are neither in the file nor given by the caller, as "name = value".

    Examples
    --------
    >>> assumptions([Derived("tree_select", "fading", "not in the file", True), Derived("norm", "layer", "no running_mean")])
    ('tree_select = fading',)
    """
    return tuple(f"{item.name} = {item.value}" for item in items or [] if item.assumed)


def save_model(model: Model, path: str | os.PathLike) -> None:
    """Write a state dict that the authors' code loads with ``strict=True``: their names, shapes and order of taps.

    Their format does not hold the settings. These are written into the same file, at a place where the authors' code does not
    look, so that ``load_model(path)`` gives the same network without further settings. Their format cannot hold filters that are
    untied across levels, or a norm that their networks do not have: a .safetensors file is then written in this package's own
    format, which `load_model` reads too.

    Parameters
    ----------
    model : Model
    path : str or Path
        It ends in ``.pth``, ``.pt``, ``.ckpt`` or ``.bin`` (which need PyTorch), or in ``.safetensors`` (which does not). The
        file is written whole or not at all.

    Raises
    ------
    ValueError
        For another suffix, parameters that do not fit the model's config, or a file of PyTorch for a network that theirs is not.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES)}; got {str(path)!r}")
    if not_in_authors_format(model.config) and path.suffix == ".safetensors":
        from ..training.checkpoint import model_tensors, save_checkpoint

        save_checkpoint(path, model_tensors(model.params, model.state), {"network": model.config.to_dict()})
        return
    tensors = to_authors(model)
    check_tensors(tensors, model.config)
    note = json.dumps({"format": FORMAT, "network": model.config.to_dict()})
    if path.suffix == ".safetensors":
        write_tensors(path, tensors, note)
    else:
        write_torch(path, tensors, note)


class CheckpointFile(NamedTuple):
    """The arrays of a checkpoint by the authors' names, its config if it holds one, and its dtypes of half precision."""

    tensors: Tensors
    config: NetworkConfig | None
    half: set[str]


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read a file with the authors' names; parameters of half precision become float32."""
    if path.suffix == ".safetensors":
        tensors, note = read_tensors(path)
        half = {"F16": "float16", "BF16": "bfloat16"}
        found = {half[dtype] for dtype in tensor_dtypes(path).values() if dtype in half}
    elif path.suffix in TORCH_SUFFIXES:
        tensors, note, found = read_torch(path)
    else:
        raise ValueError(f"path must be a run folder or end in {', '.join(SUFFIXES)}; got {str(path)!r}")
    tensors = {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in tensors.items()}
    return CheckpointFile(tensors, config_in(path, note), found)


def config_in(path: Path, note: dict[str, Any]) -> NetworkConfig | None:
    """The config that `save_model` has written into a file, or None; a ValueError names the file."""
    if note.get("format") != FORMAT:
        return None
    if not isinstance(note.get("network"), dict):
        raise ValueError(f"{path}: its settings must hold a network; got {str(note)[:80]}")
    try:
        return NetworkConfig.from_dict(note["network"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its network settings are not valid: {error}") from None


def is_ours(path: Path) -> bool:
    """Whether a .safetensors file has our own names, as training writes them, and not the authors'."""
    if path.suffix != ".safetensors":
        return False
    _, note = read_tensors(path)
    return bool(note) and note.get("format") != FORMAT


def existing(path: str | os.PathLike) -> Path:
    """The path, if there is a file or folder."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no run folder or checkpoint at {str(path)!r}")
    return path


def check_agrees(path: Path, config: NetworkConfig, given: dict[str, Any]) -> None:
    """Raise a ValueError if a setting that is given differs from the config in the file."""
    own = config.to_dict() | {"depth": config.J}
    wrong = [name for name, value in given.items() if value is not None and (name not in own or own[name] != value)]
    if wrong:
        said = ", ".join(f"{name}={given[name]!r} (the file: {own.get(name, 'no such setting')!r})" for name in wrong)
        raise ValueError(f"{path.name} carries its own settings, which differ from what is given: {said}")


def warn_of_half(path: Path, half: set[str]) -> None:
    """Warn if numbers of 16 bits are kept in 32: the outputs are those of float32."""
    if half:
        held = " and ".join(sorted(half))
        warnings.warn(
            f"{path}: its parameters of half precision ({held}) are loaded as float32, exactly; the network computes in float32, "
            "so that its outputs differ from a network's that computes in half precision",
            stacklevel=3,
        )
