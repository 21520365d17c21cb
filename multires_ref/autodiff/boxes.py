"""CuPy arrays for autograd: a box (what a traced array can do) and a vector space (zeros, sums, inner products).

autograd knows NumPy's arrays only. A traced CuPy array gets the same box as a NumPy one, whose operators are ufuncs, and these
dispatch to CuPy; its vector space is written here, since autograd's own calls `np.asarray`, which CuPy refuses.
"""

from __future__ import annotations

import sys
from typing import Any

from autograd.extend import VSpace
from autograd.numpy.numpy_boxes import ArrayBox


class CupyVSpace(VSpace):
    """Arrays of one shape and dtype on the GPU; all results stay there."""

    def __init__(self, value: Any) -> None:
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self) -> int:
        """How many numbers."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    def zeros(self) -> Any:
        """0 everywhere."""
        return sys.modules["cupy"].zeros(self.shape, dtype=self.dtype)

    def ones(self) -> Any:
        """1 everywhere: where a backward pass starts."""
        return sys.modules["cupy"].ones(self.shape, dtype=self.dtype)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return sys.modules["cupy"].sum(x * y)


def register_cupy() -> None:
    """Let autograd trace CuPy arrays. Runs by itself if CuPy was imported before this package, or at the first operation on such
    an array; call it where neither holds."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and cupy.ndarray not in VSpace.mappings:
        ArrayBox.register(cupy.ndarray)
        VSpace.register(cupy.ndarray, CupyVSpace)


register_cupy()
