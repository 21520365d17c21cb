"""The kernels of `norms.cu`, launched."""

from __future__ import annotations

from ...base.arrays import Array
from ...engines.cuda import kernel, launch

BLOCK = (32, 8)  # lanes, groups: as in norms.cu
SOURCE = ("ops/cupy/norms.cu",)


def run(name: str, grid: tuple[int, ...], *args: Array | float, block: tuple[int, ...] = BLOCK) -> None:
    """Launch the kernel `name`; floats go to it in the type of its arrays."""
    dtype = args[0].dtype
    args = tuple(dtype.type(a) if isinstance(a, float) else a for a in args)
    launch(kernel(name, SOURCE, str(dtype)), grid, block, args, 256 * dtype.itemsize if block == BLOCK else 0)
