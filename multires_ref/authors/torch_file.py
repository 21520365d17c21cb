"""Reading and writing PyTorch's files, .pth, .pt, .ckpt (Lightning) and .bin, as NumPy arrays by name, without running code.

`torch.load(weights_only=True)` builds tensors and plain containers and refuses everything else. Training checkpoints may also
hold NumPy's numbers, such as a loss. They are not needed here: they are read as `Ignored`, and no function of NumPy is called.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.files import parse_json, regular_file, write_whole
from ..base.optional import import_torch
from ..base.tensors import METADATA_KEY

if TYPE_CHECKING:
    from torch import Tensor

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")
NESTED = ("model", "state_dict", "model_state_dict")  # under which a training checkpoint keeps the network's tensors
IN_NUMPY = ("core.multiarray.scalar", "core.multiarray._reconstruct", "dtype", "ndarray")
DTYPES = ("Bool", *(f"{sign}Int{n}" for sign in ("", "U") for n in (8, 16, 32, 64)), *(f"Float{n}" for n in (16, 32, 64)))


class Ignored:
    """Takes the place of a number, dtype or array of NumPy in a checkpoint; it keeps no data."""

    def __init__(self, *data: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def ignored_names() -> list[str]:
    """The full names of everything that is read as `Ignored`, in NumPy 1 (numpy.core) and NumPy 2 (numpy._core)."""
    names = [f"numpy.{name}" for name in IN_NUMPY]
    names += [f"numpy._{name}" for name in IN_NUMPY if name.startswith("core")]
    return names + [f"numpy.dtypes.{name}DType" for name in DTYPES] + [f"numpy.dtype[{name.lower()}]" for name in DTYPES]


def read_torch(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], set[str]]:
    """The arrays, the settings and the dtypes of half precision ("float16", "bfloat16") of a PyTorch file.

    The settings are those that `write_torch` has written, or {}.

    Raises
    ------
    ImportError
        Without PyTorch.
    ValueError
        For a file that is empty or truncated, that is no PyTorch file, that holds no state dict, or that could only be read by
        running code.
    """
    content = state_dict_in(path, load_torch(path))
    settings = getattr(content, "_metadata", None) or {}
    text = settings.get(METADATA_KEY, {}).get("settings", "{}") if isinstance(settings, dict) else "{}"
    noted = parse_json(text, f"{path}: its settings") if isinstance(text, str) else None
    if not isinstance(noted, dict):
        raise ValueError(f"{path}: its settings must be a JSON text of values by name; got {str(text)[:80]}")
    half = {str(tensor.dtype).removeprefix("torch.") for tensor in content.values()} & {"float16", "bfloat16"}
    return {str(name): array_of(path, str(name), tensor) for name, tensor in content.items()}, noted, half


def load_torch(path: Path) -> Any:
    """The content of a PyTorch file, read without running code."""
    torch = import_torch(f"reading {path.name}")
    size = regular_file(path).stat().st_size
    if size == 0:
        raise ValueError(f"{path} is empty (0 bytes): copy or download it again")
    allow = getattr(torch.serialization, "safe_globals", None)
    try:
        with allow([(Ignored, name) for name in ignored_names()]) if allow else nullcontext():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path) or "GLOBAL " in str(error):
            raise ValueError(refusal(path, str(error))) from None
        raise ValueError(damaged(path, size, error)) from None
    except Exception as error:  # PyTorch raises runtime, end-of-file, key, index and other errors for broken files
        raise ValueError(damaged(path, size, error)) from None


def refusal(path: Path, error: str) -> str:
    """The message about a file that holds more than tensors and plain values."""
    found = error.split("GLOBAL ", 1)[1].split()[0] if "GLOBAL " in error else "an object that is no tensor or plain value"
    return (
        f"{path} is not read, because it cannot be read without running code: it holds {found}. If you trust its source, load it "
        "with the program that made it, and save the tensors alone: torch.save(module.state_dict(), 'x.pth')"
    )


def damaged(path: Path, size: int, error: Exception) -> str:
    """The message about a file that is no whole PyTorch file, with the first line of PyTorch's own error if that has words."""
    text = (str(error).splitlines() or [""])[0].strip()
    reason = f" ({type(error).__name__}: {text[:120]})" if any(letter.isalpha() for letter in text) else ""
    return f"{path} ({size:,} bytes) is truncated or is no PyTorch file{reason}: copy or download it again"


def state_dict_in(path: Path, content: Any) -> dict[str, Tensor]:
    """The dictionary of tensors of a checkpoint, also of a training checkpoint {"model": ..., "optimizer": ..., ...}."""
    torch = import_torch(f"reading {path.name}")
    for name in NESTED:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a state dict or {{'model': state dict}}; got {type(content).__name__}")
    others = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise ValueError(f"{path} must hold tensors only, in the state dict; got something else under {', '.join(others[:8])}")
    return content


def array_of(path: Path, name: str, tensor: Tensor) -> np.ndarray:
    """The tensor as a NumPy array (see `as_numpy`), if the file holds as many numbers as it claims."""
    torch = import_torch(f"reading {path.name}")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu" or tensor.is_complex():
        raise ValueError(f"{path}: {name} must be an ordinary tensor of real numbers; got {tensor.layout}, {tensor.dtype}")
    held = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
    if tensor.numel() > held:
        raise ValueError(f"{path}: {name} claims {tensor.numel():,} numbers; the file holds {held:,}")
    try:
        return as_numpy(tensor)
    except TypeError as error:  # float8 and other types that NumPy does not have
        raise ValueError(f"{path}: {name} has dtype {tensor.dtype}, which NumPy does not have: save it as float32") from error


def as_numpy(tensor: Tensor) -> np.ndarray:
    """A CPU array; bfloat16, which NumPy does not have, becomes float32 exactly."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def write_torch(path: Path, tensors: dict[str, np.ndarray], settings: str) -> None:
    """Write a state dict, whole or not at all, and with it the `settings` (JSON).

    The settings are in the state dict's attribute `_metadata`, in which PyTorch keeps the versions of modules. `torch.save` keeps
    this attribute, `load_state_dict(strict=True)` looks only for the names of submodules in it, and
    `torch.load(weights_only=True)` allows it.
    """
    torch = import_torch(f"writing {path.name}")
    state_dict = OrderedDict((name, torch.from_numpy(array)) for name, array in tensors.items())
    modules = sorted({name.rpartition(".")[0] for name in tensors})
    state_dict._metadata = OrderedDict({"": {"version": 1}} | {name: {"version": 1} for name in modules})  # type: ignore[attr-defined]
    for name in modules:
        if f"{name}.num_batches_tracked" in tensors:
            state_dict._metadata[name] = {"version": 2}  # type: ignore[attr-defined]  # of BatchNorm, with its count
    state_dict._metadata[METADATA_KEY] = {"settings": settings}  # type: ignore[attr-defined]
    buffer = io.BytesIO()
    torch.save(state_dict, buffer)
    write_whole(path, buffer.getvalue())
