"""Moving arrays between CPU and GPU: the only place in training where that happens."""

from __future__ import annotations

import numpy as np

from ..base.arrays import Array, family
from ..base.checks import check_choice
from ..base.pytrees import flatten, map_pytree
from ..base.ranks import ALONE, Ranks
from ..distributed.launch import take_gpu
from ..network import Model
from ..network.init import Params
from ..ops.tracing import register_cupy
from .data import Split

DEVICES = ("cpu", "gpu")


def check_device(device: str, ranks: Ranks = ALONE) -> str:
    """`device` if it is there: "cpu", or "gpu" with CuPy and a CUDA GPU. Autograd then knows CuPy's arrays too.

    Of several ranks on a machine, each takes another GPU, as far as there are so many.
    """
    if check_choice("device", device, DEVICES) == "gpu":
        try:
            import cupy
        except ImportError:
            raise ImportError("device='gpu' needs CuPy: pip install 'cupy-cuda13x[ctk]'") from None
        if not cupy.cuda.is_available():
            raise ValueError("device must be 'cpu' here: CuPy finds no CUDA device")
        register_cupy()
        take_gpu(ranks)
    return device


def to_device(array: Array | None, device: str) -> Array | None:
    """The array on "cpu" (NumPy) or "gpu" (CuPy); itself where it is there already. None stays None."""
    if array is None or family(array) == ("cupy" if device == "gpu" else "numpy"):
        return array
    import cupy

    return cupy.asarray(array) if device == "gpu" else cupy.asnumpy(array)


def tree_to_device(tree: Params, device: str) -> Params:
    """`to_device` for every array of a pytree."""
    return map_pytree(lambda array: to_device(array, device), tree)


def model_to_device(model: Model, device: str) -> Model:
    """The same model with its arrays on the device."""
    return Model(model.config, tree_to_device(model.params, device), tree_to_device(model.state, device))


def batch_to_device(batch: Split, device: str) -> Split:
    """`to_device` for a batch."""
    return Split(*(to_device(array, device) for array in (batch.x, batch.y, batch.lengths)))


def device_of(tree: Params) -> str:
    """Where the first array of a pytree lives: "cpu" or "gpu"."""
    return "gpu" if family(next(iter(flatten(tree).values()))) == "cupy" else "cpu"


def to_numpy(array: Array) -> np.ndarray:
    """The array as a NumPy array, on the CPU."""
    return np.asarray(to_device(array, "cpu"))
