"""Moving arrays between the processor and the graphics card: the only place in training where that happens."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base.arrays import family
from ..base.checks import check_choice
from ..base.pytrees import map_pytree
from ..ops.tracing import register_cupy
from .data import Split

DEVICES = ("cpu", "gpu")


def check_device(device: str) -> str:
    """`device` if it is there: "cpu", or "gpu" with CuPy, a CUDA device, and autograd told of CuPy's arrays."""
    if check_choice("device", device, DEVICES) == "gpu":
        try:
            import cupy
        except ImportError:
            raise ImportError("device='gpu' needs CuPy: pip install 'cupy-cuda13x[ctk]'") from None
        if not cupy.cuda.is_available():
            raise ValueError("device must be 'cpu' here: CuPy finds no CUDA device")
        register_cupy()
    return device


def to_device(array: Any, device: str) -> Any:
    """The array on "cpu" (NumPy) or "gpu" (CuPy); itself where it is there already. None stays None."""
    if array is None or family(array) == ("cupy" if device == "gpu" else "numpy"):
        return array
    import cupy

    return cupy.asarray(array) if device == "gpu" else cupy.asnumpy(array)


def tree_to_device(tree: Any, device: str) -> Any:
    """`to_device` for every array of a nest."""
    return map_pytree(lambda array: to_device(array, device), tree)


def batch_to_device(batch: Split, device: str) -> Split:
    """`to_device` for a batch."""
    return Split(*(to_device(array, device) for array in (batch.x, batch.y, batch.lengths)))


def device_of(tree: Any) -> str:
    """Where the first array of a nest lives."""
    while isinstance(tree, (dict, list)):
        tree = next(iter(tree.values() if isinstance(tree, dict) else tree))
    return "gpu" if family(tree) == "cupy" else "cpu"


def to_numpy(array: Any) -> np.ndarray:
    """The array on the processor."""
    return np.asarray(to_device(array, "cpu"))
