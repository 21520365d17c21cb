"""Arrays by name in a file: safetensors (checkpoints) and .npz, read without running code and without trusting what they say.

Both formats say how large their arrays are before the arrays come. A damaged or hostile file of a few kilobytes could claim
gigabytes, so that claim is held against the size of the file before any memory is asked for.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .files import parse_json, regular_file, write_whole

METADATA_KEY = "multires_ref"  # where a safetensors file of ours keeps its settings, as JSON
LARGEST_RATIO = 1100  # deflate, the compression of .npz, makes nothing smaller than 1/1032 of itself

UNREADABLE: tuple[type[Exception], ...] = (  # what a damaged .npz file raises, depending on the damaged byte
    *(OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def write_tensors(path: str | Path, tensors: dict[str, np.ndarray], metadata: str) -> None:
    """Write arrays by name and `metadata`, a JSON text under "multires_ref", as one safetensors file, whole or not at all."""
    from safetensors.numpy import save

    # order="C": safetensors writes the memory of an array as it lies, and would silently scramble a transposed one
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    write_whole(path, save(tensors, {METADATA_KEY: metadata}))


def read_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a safetensors file by name, and the settings this package noted in it (an empty dict where there are none).

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is truncated, is no safetensors file, holds a dtype that NumPy does not have, or its settings are no JSON
        object. bfloat16, which NumPy does not have either, becomes float32, exactly; `tensor_dtypes` tells.
    """
    from safetensors import SafetensorError, safe_open

    path = regular_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY, "{}")
            names = list(file.keys())
            rounded = [name for name in names if file.get_slice(name).get_dtype() == "BF16"]
            tensors = {name: file.get_tensor(name) for name in names if name not in rounded}
        if rounded:
            tensors |= read_bfloat16(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or is no safetensors file: {error}") from None
    except (TypeError, AttributeError, KeyError) as error:  # bfloat16 and float8, which NumPy does not have
        raise ValueError(f"{path} holds an array whose dtype NumPy does not have ({error}); convert it to float32") from None
    noted = parse_json(text, f"{path}: what stands under {METADATA_KEY!r}")
    if not isinstance(noted, dict):
        raise ValueError(f"{path}: what stands under {METADATA_KEY!r} must be settings by name; got {text[:80]}")
    return tensors, noted


def tensor_dtypes(path: str | Path) -> dict[str, str]:
    """The dtypes of a safetensors file's arrays by name, in that format's words: "F32", "F16", "BF16", "I64", ..."""
    from safetensors import safe_open

    with safe_open(regular_file(path), framework="numpy") as file:
        return {name: file.get_slice(name).get_dtype() for name in list(file.keys())}


def read_bfloat16(path: Path) -> dict[str, np.ndarray]:
    """The bfloat16 arrays of a safetensors file, as float32: a bfloat16 number is the upper half of a float32 one."""
    from safetensors import deserialize

    found = {name: entry for name, entry in deserialize(path.read_bytes()) if entry["dtype"] == "BF16"}
    halves = {name: np.frombuffer(entry["data"], "<u2").reshape(entry["shape"]) for name, entry in found.items()}
    return {name: (half.astype(np.uint32) << 16).view(np.float32) for name, half in halves.items()}


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is truncated, is no .npz file, holds Python objects, or an array that claims more data than the file has.
    """
    path = regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                check_member(archive, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except UNREADABLE as error:
        raise ValueError(f"{path} must be an .npz file of plain arrays: {error}") from None


def write_npz(path: str | Path, **arrays: np.ndarray) -> None:
    """Write arrays by name as one compressed .npz file, whole or not at all."""
    buffer = io.BytesIO()
    savez: Callable[..., None] = np.savez_compressed  # its type leaves no room for names
    savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise a ValueError if a member claims more data than it can hold."""
    if member.file_size > LARGEST_RATIO * (member.compress_size + 1):
        raise ValueError(f"{member.filename} claims {member.file_size:,} bytes, packed into {member.compress_size:,}")
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} is not an array")
    with archive.open(member) as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    claimed = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if claimed > member.file_size:
        raise ValueError(f"{member.filename} claims {claimed:,} bytes of numbers; it has {member.file_size:,}")
