"""Checkpoints: safetensors files, which hold no code that could run. They are written whole, with their settings as JSON inside.

tensors      "params.blocks.0.conv.h0", "state.blocks.0.mean", and in last.safetensors also "optimizer.m.<...>",
             "optimizer.v.<...>" and "order"
metadata     under "multires_ref": {"format": 1, "network": {...}, and what `run_state.py` adds}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..base.checks import FLOATS
from ..base.pytrees import flatten, unflatten
from ..base.tensors import METADATA_KEY, read_tensors, write_tensors
from ..network import Model, NetworkConfig, init_state, parameter_shapes
from ..network.init import Params, state_shapes

FORMAT = 1


def save_checkpoint(path: str | Path, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
    """Write arrays by name, and `metadata` (anything that JSON can hold), as one safetensors file.

    Raises
    ------
    ValueError
        If a tensor holds NaN or infinity: such parameters never replace good ones.
    """
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite; {path} is not written")
    write_tensors(path, tensors, json.dumps({"format": FORMAT} | metadata, allow_nan=False))


def read_checkpoint(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata that `save_checkpoint` wrote.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is truncated, is no safetensors file, or was written by another program.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    tensors, metadata = read_tensors(path)
    if not metadata:
        raise ValueError(f"{path} was not written by multires_ref: it has no settings under {METADATA_KEY!r}")
    if metadata.get("format") != FORMAT or not isinstance(metadata.get("network"), dict):
        raise ValueError(f"{path}: expected settings of format {FORMAT} with a network; got {str(metadata)[:80]}")
    return tensors, metadata


def model_tensors(params: Params, norm_state: Params) -> dict[str, np.ndarray]:
    """A model's parameters and norm state under the names of a checkpoint."""
    return flatten({"params": params, "state": norm_state})


def model_from(path: str | Path, tensors: dict[str, np.ndarray], network: NetworkConfig) -> Model:
    """The model of that network from a checkpoint's tensors, every one of them checked.

    The parameters stand in the order in which `init_params` makes them, whatever their order in the file: clipping adds up the
    gradient's squares in that order, and sums in another order differ in their last bits.

    Raises
    ------
    ValueError
        If a tensor is missing, too many, or of the wrong shape or dtype. Nothing is built from settings that claim more than
        the file holds.
    """
    blocks = {name.split(".")[2] for name in tensors if name.startswith("params.blocks.")}
    if len(blocks) != network.n_layers:
        raise ValueError(f"{path}: its settings say {network.n_layers} blocks; it holds {len(blocks)}")
    try:
        shapes = {f"params.{name}": shape for name, shape in parameter_shapes(network).items()}
        shapes |= {f"state.{name}": shape for name, shape in state_shapes(network).items()}
    except ValueError as error:  # more parameters than this machine has memory for
        raise ValueError(f"{path}: {error}") from None
    found = {name: array for name, array in tensors.items() if name.startswith(("params.", "state."))}
    for name in sorted(shapes.keys() ^ found.keys()):
        raise ValueError(f"{path}: tensor {name} {'is missing' if name in shapes else 'does not belong to this network'}")
    dtype = found["params.decoder.weight"].dtype
    for name, array in found.items():
        expected = np.dtype("int64") if name.endswith(".count") else dtype
        if array.shape != shapes[name] or array.dtype != expected or str(dtype) not in FLOATS:
            raise ValueError(f"{path}: {name} must be {expected} {shapes[name]}; got {array.dtype} {array.shape}")
    tree = unflatten({name: found[name] for name in shapes})
    return Model(network, tree["params"], tree.get("state", init_state(network)))


def load_run(path: str | Path) -> Model:
    """The model in a run folder (its best epoch by validation) or in one of our .safetensors files.

    Parameters
    ----------
    path : str or Path
        A run folder, `best.safetensors`, `last.safetensors`, or what `save_model` wrote.

    Returns
    -------
    model : Model, on the CPU, in the dtype it was trained in

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the run has no finished epoch yet.
    ValueError
        If the file is truncated, foreign, or does not fit its own settings.
    """
    file = checkpoint_file(path)
    if not file.exists() and (Path(path) / "config.json").exists():
        raise FileNotFoundError(f"{path} has no best.safetensors yet: the first epoch of that run has not finished")
    tensors, metadata = read_checkpoint(file)
    return model_from(file, tensors, network_from(file, metadata))


def checkpoint_file(path: str | Path) -> Path:
    """The best epoch's file for a run folder; any other path as it is."""
    path = Path(path)
    return path / "best.safetensors" if path.is_dir() else path


def about_run(path: str | Path) -> dict[str, Any]:
    """What a run wrote into its checkpoint, such as task, scale and data_dir; nothing for a file that no run wrote."""
    try:
        return read_checkpoint(checkpoint_file(path))[1]
    except ValueError:
        return {}


def network_from(path: str | Path, metadata: dict[str, Any]) -> NetworkConfig:
    """The network of a checkpoint's metadata; an error names the file."""
    try:
        return NetworkConfig.from_dict(metadata["network"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its network settings are not valid: {error}") from None
