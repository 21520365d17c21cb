"""Operations on CuPy arrays that are bound by memory, each in one pass over its arrays: the kernels that do it.

An `ElementwiseKernel` does in one launch what a definition does by several array operations. Kernels are C++ expressions in the
type T of their arrays. Numbers that come from Python are passed as float64 and turned into T, which is what NumPy does with a
Python float beside a float32 array.

No atomics anywhere: sums are joined in a fixed order, so the same bits come out every time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ...base.arrays import Array
from ..tracing import register_cupy

register_cupy()

KERNELS: dict[str, Kernel] = {}
PREAMBLE = """
template <class T> __device__ T sigmoid(T x) { return T(0.5) * tanh(T(0.5) * x) + T(0.5); }
template <class T> __device__ T normal_cdf(T x) { return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440))); }
template <class T> __device__ T normal_density(T x) { return T(0.39894228040143267794) * exp(T(-0.5) * x * x); }
"""


class Kernel:
    """An elementwise kernel, compiled when it is first called: its inputs, its outputs and its operation in C++."""

    def __init__(self, name: str, inputs: str, outputs: str, operation: str) -> None:
        self.name, self.parts = name, (inputs, outputs, operation)
        KERNELS[name] = self

    def __call__(self, *args: Array | float) -> Any:
        return self.compiled(*args)

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """CuPy's `ElementwiseKernel`."""
        import cupy

        return cupy.ElementwiseKernel(*self.parts, f"multires_{self.name}", preamble=PREAMBLE)


def contiguous(*arrays: Array) -> list[Array]:
    """The arrays in C order."""
    import cupy

    return [cupy.ascontiguousarray(a) for a in arrays]
