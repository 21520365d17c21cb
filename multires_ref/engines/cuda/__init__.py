"""Compiling and launching CUDA kernels by CuPy's NVRTC. A kernel is compiled when it is first asked for, for one setting of its
macros. The sources of the tree's kernels are the `.cu` files beside this one, and `plan.py` holds what fixes a launch of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...base.arrays import Array

PACKAGE = Path(__file__).parents[2]
Kernel = Any  # CuPy's RawKernel
REAL = {"float32": "float", "float64": "double"}
SHARED_BY_DEFAULT = 48 * 1024  # bytes of shared memory that a block may have without asking


def source(files: tuple[str, ...]) -> str:
    """The text of the package's CUDA files, one after the other; names are relative to the package."""
    return "\n".join((PACKAGE / file).read_text() for file in files)


@cache
def kernel(name: str, files: tuple[str, ...], dtype: str, settings: tuple[tuple[str, int], ...] = ()) -> Kernel:
    """The kernel `name` of `files`, with REAL set to `dtype` and the macros of `settings` defined.

    CuPy keeps what it has compiled in its cache on disk, so each setting is slow only once.
    """
    import cupy

    macros = (f"-DREAL={REAL[dtype]}", *(f"-D{macro}={value}" for macro, value in settings))
    return cupy.RawModule(code=source(files), options=("-std=c++17", *macros)).get_function(name)


def launch(function: Kernel, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, shared: int = 0) -> None:
    """Start `function` on the current stream, without waiting for it. It gets integers as C ints; arrays must be C-contiguous.

    Raises
    ------
    ValueError
        If a block cannot have so much shared memory.
    """
    have = limits()[0]
    if shared > have:
        raise ValueError(
            f"this layer's filters take {shared} bytes of shared memory and a block may have {have}: use engine='tree'"
        )
    if shared > SHARED_BY_DEFAULT and function.max_dynamic_shared_size_bytes < shared:
        function.max_dynamic_shared_size_bytes = shared
    function(grid, block, tuple(np.int32(a) if isinstance(a, int) else a for a in args), shared_mem=shared)


@cache
def limits() -> tuple[int, int]:
    """Shared memory that a block may ask for, in bytes, and the number of multiprocessors of the current GPU."""
    import cupy

    attributes = cupy.cuda.Device().attributes
    return attributes["MaxSharedMemoryPerBlockOptin"], attributes["MultiProcessorCount"]


def contiguous(*arrays: Array) -> list[Array]:
    """The arrays in C order, because kernels read memory in the order in which it lies."""
    import cupy

    return [cupy.ascontiguousarray(a) for a in arrays]
