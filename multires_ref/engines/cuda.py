"""CUDA sources as kernels: compiled when first asked for, by CuPy's NVRTC, for one setting of their macros."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = Path(__file__).parent.parent
REAL = {"float32": "float", "float64": "double"}
SHARED_BY_DEFAULT = 48 * 1024  # bytes a block may have without asking


def source(files: tuple[str, ...]) -> str:
    """The text of the package's CUDA files, one after the other; names are relative to the package."""
    return "\n".join((PACKAGE / file).read_text() for file in files)


@cache
def kernel(name: str, files: tuple[str, ...], dtype: str, settings: tuple[tuple[str, int], ...] = ()) -> Any:
    """The kernel `name` of `files` with REAL set to `dtype` and the macros of `settings` defined.

    CuPy keeps what it has compiled in its cache on disk, so this is slow once for each setting.
    """
    import cupy

    macros = (f"-DREAL={REAL[dtype]}", *(f"-D{macro}={value}" for macro, value in settings))
    return cupy.RawModule(code=source(files), options=("-std=c++17", *macros)).get_function(name)


def launch(function: Any, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, shared: int = 0) -> None:
    """Start `function` on the current stream; whole numbers go to it as C ints, arrays must be C-contiguous.

    Nothing is waited for.

    Raises
    ------
    ValueError
        If a block cannot have so much shared memory.
    """
    if shared > limits()[0]:
        have = limits()[0]
        raise ValueError(
            f"this layer's filters take {shared} bytes of shared memory and a block may have {have}: use engine='tree'"
        )
    if shared > SHARED_BY_DEFAULT and function.max_dynamic_shared_size_bytes < shared:
        function.max_dynamic_shared_size_bytes = shared
    function(grid, block, tuple(np.int32(a) if isinstance(a, int) else a for a in args), shared_mem=shared)


@cache
def limits() -> tuple[int, int]:
    """Shared memory a block may ask for, in bytes, and the number of multiprocessors of the current device."""
    import cupy

    attributes = cupy.cuda.Device().attributes
    return attributes["MaxSharedMemoryPerBlockOptin"], attributes["MultiProcessorCount"]
