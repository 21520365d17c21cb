"""The kernels of `norms.cu`, launched."""

from __future__ import annotations

from ...base.arrays import Array
from ...engines.cuda import kernel, launch

BLOCK = (32, 8)  # lanes, groups: as in norms.cu
SOURCE = ("ops/cupy/norms.cu",)


def run(name: str, grid: tuple[int, ...], first: Array, *more: Array | float, block: tuple[int, ...] = BLOCK) -> None:
    """Launch the kernel `name` with these arguments; floats go to it in the type of its arrays."""
    dtype = first.dtype
    numbers = [dtype.type(a) if isinstance(a, float) else a for a in more]
    launch(kernel(name, SOURCE, str(dtype)), grid, block, (first, *numbers), 256 * dtype.itemsize if block == BLOCK else 0)
