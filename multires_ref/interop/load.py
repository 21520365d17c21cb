"""Checkpoints in and out: `load_model` reads the authors' files and ours, `save_model` writes what the authors' code loads.

    a run folder, or our .safetensors       training.checkpoint.load_run
    .safetensors with the authors' names    read here, without PyTorch
    .pth, .pt                               torch.load(weights_only=True): a state dict, or {"model": state dict, ...}

Nothing that is loaded can run code: safetensors holds numbers only, and `weights_only` refuses everything else.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..base.files import write_whole
from ..base.optional import import_torch
from ..base.tensors import read_tensors as read_tensor_file
from ..base.tensors import write_tensors
from ..network import Model, NetworkConfig
from .authors import Tensors, from_authors, to_authors
from .derive import Derived, derive

TORCH_SUFFIXES = (".pth", ".pt")
SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
FORMAT = "authors"  # marks the config that `save_model` puts beside the authors' names


def load_model(path: str | os.PathLike, **told: Any) -> Model:
    """A model from a run folder, our .safetensors, or a checkpoint of the authors' code.

    Parameters
    ----------
    path : str or Path
        A run folder, a .safetensors file, or a .pth file (which needs PyTorch).
    told : depth, max_length, tree_select, dropout, wavelet, filter_order, indep_res_init, levels
        What the authors' checkpoints do not hold; see `derive.derive`. A file that carries its config needs nothing.

    Returns
    -------
    model : Model
        ``model(x, lengths=None)`` gives the outputs in evaluation mode; `.config`, `.params`, `.state`; the file's dtype is kept.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        No such file; keys that do not fit (all listed) or something that must be told; a .pth without PyTorch.

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

        refuse_told(path, told)
        return load_run(path)
    tensors, config = read_tensors(path)
    if config is None:
        return Model(*from_authors(tensors, **told), assumed=assumptions(derive(tensors, **told)))
    refuse_told(path, told)
    _, params, state = from_authors(tensors, tree_select=config.tree_select, depth=config.J, max_length=config.max_length)
    return Model(config, params, state)


def derived_settings(path: str | os.PathLike, **told: Any) -> list[Derived] | None:
    """How each setting of an authors' checkpoint was found (see `derive.describe`); None for a file that carries its config."""
    path = existing(path)
    if path.is_dir() or is_ours(path):
        return None
    tensors, config = read_tensors(path)
    return derive(tensors, **told) if config is None else None


def assumptions(items: list[Derived] | None) -> tuple[str, ...]:
    """What is neither in the file nor given by the caller, as "name = value".

    Examples
    --------
    >>> assumptions([Derived("tree_select", "fading", "not in the file", True), Derived("norm", "layer", "no running_mean")])
    ('tree_select = fading',)
    """
    return tuple(f"{item.name} = {item.value}" for item in items or [] if item.assumed)


def save_model(model: Model, path: str | os.PathLike) -> None:
    """Write a state dict that the authors' code loads with ``strict=True``: their names, shapes, packing and tap order.

    Parameters
    ----------
    model : Model
    path : str or Path
        ``.pth`` or ``.pt`` (needs PyTorch), or ``.safetensors`` (does not; it carries the config too, so that `load_model` needs
        to be told nothing). The file is written whole or not at all.

    Raises
    ------
    ValueError
        For another suffix, or a model with filters untied across levels.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES)}; got {str(path)!r}")
    tensors = to_authors(model)
    if path.suffix == ".safetensors":
        write_tensors(path, tensors, json.dumps({"format": FORMAT, "network": model.config.to_dict()}))
        return
    torch = import_torch(f"writing {path.name}")
    state_dict = {name: torch.from_numpy(array) for name, array in tensors.items()}
    buffer = io.BytesIO()
    torch.save(state_dict, buffer)
    write_whole(path, buffer.getvalue())


def read_tensors(path: Path) -> tuple[Tensors, NetworkConfig | None]:
    """The arrays of a checkpoint by the authors' names, and the config if the file carries one."""
    if path.suffix == ".safetensors":
        tensors, note = read_tensor_file(path)
        return tensors, NetworkConfig.from_dict(note["network"]) if note.get("format") == FORMAT else None
    if path.suffix in TORCH_SUFFIXES:
        return read_pth(path), None
    raise ValueError(f"path must be a run folder or end in {', '.join(SUFFIXES)}; got {str(path)!r}")


def read_pth(path: Path) -> Tensors:
    """The state dict of a PyTorch file, as NumPy arrays."""
    torch = import_torch(f"reading {path.name}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises pickle, zip, runtime and key errors for broken files
        raise ValueError(f"{path} is not a PyTorch checkpoint that can be read without running code: {error}") from None
    for name in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a state dict or {{'model': state dict}}; got {type(content).__name__}")
    others = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise ValueError(f"{path} must hold tensors only, in the state dict; got something else under {', '.join(others[:8])}")
    return {name: as_numpy(tensor) for name, tensor in content.items()}


def as_numpy(tensor: Any) -> np.ndarray:
    """A CPU array; bfloat16, which NumPy does not have, becomes float32 exactly."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def is_ours(path: Path) -> bool:
    """Whether a .safetensors file has our own names, as training writes it (otherwise: the authors')."""
    if path.suffix != ".safetensors":
        return False
    tensors, note = read_tensor_file(path)
    return bool(note) and note.get("format") != FORMAT


def existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no run folder or checkpoint at {str(path)!r}")
    return path


def refuse_told(path: Path, told: dict[str, Any]) -> None:
    """A file that carries its config is not to be contradicted."""
    given = [name for name, value in told.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: not to be given for {path.name}, which carries its own config")
