"""Matrix products on CuPy arrays, by cuBLAS: batched products that read their arguments where they lie.

`cupy.matmul` would copy a transposed argument, and repeat a matrix that all sequences share through lists of pointers; cuBLAS's
strided product needs neither: it transposes while reading, and a shared matrix has the stride 0.

float32 is multiplied in float32. With the environment variable CUPY_TF32=1, CuPy's own switch, the tensor cores take float32
arguments rounded to TF32 (10 bits of fraction): several times faster, with errors of about 1e-3. It is off unless asked for.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...base.arrays import Array

CupyArray = Any
TF32_MATH, DEFAULT_MATH = 3, 0  # cublasMath_t


def product(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """out[n] = A[n] B[n], [N, R, C], for a and b of 3 axes, or of 2 where all n share the matrix; A, B perhaps transposed."""
    import cupy

    a, b = cupy.ascontiguousarray(a), cupy.ascontiguousarray(b)
    R, inner = a.shape[-2:][::-1] if transpose_a else a.shape[-2:]
    C = b.shape[-2] if transpose_b else b.shape[-1]
    batch = a.shape[0] if a.ndim == 3 else b.shape[0]
    out = cupy.empty((batch, R, C), dtype=a.dtype)
    strided_product(a, b, out, (int(transpose_a), int(transpose_b)), inner)
    return out


def strided_product(a: CupyArray, b: CupyArray, out: CupyArray, transposed: tuple[int, int], inner: int) -> None:
    """cuBLAS counts along columns first, where an array of ours is its transpose: it computes out^T = B^T A^T."""
    import cupy
    from cupy_backends.cuda.libs import cublas

    (batch, R, C), dtype = out.shape, str(out.dtype)
    gemm = cublas.sgemmStridedBatched if dtype == "float32" else cublas.dgemmStridedBatched
    handle = cupy.cuda.device.get_cublas_handle()
    one, zero = np.ones((), dtype), np.zeros((), dtype)  # on the host, read when the product is started
    with_b = (b.data.ptr, b.shape[-1], b.shape[-2] * b.shape[-1] if b.ndim == 3 else 0)
    with_a = (a.data.ptr, a.shape[-1], a.shape[-2] * a.shape[-1] if a.ndim == 3 else 0)
    cublas.setMathMode(handle, TF32_MATH if tf32() else DEFAULT_MATH)
    sizes = (transposed[1], transposed[0], C, R, inner)
    gemm(handle, *sizes, one.ctypes.data, *with_b, *with_a, zero.ctypes.data, out.data.ptr, C, R * C, batch)
    cublas.setMathMode(handle, DEFAULT_MATH)


def tf32() -> bool:
    """Whether float32 products may round their arguments to TF32: if the environment says CUPY_TF32=1."""
    return os.environ.get("CUPY_TF32", "0") not in ("", "0")
