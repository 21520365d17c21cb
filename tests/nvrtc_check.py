"""What real CuPy makes of the package's kernels without a GPU: `python tests/nvrtc_check.py`, where CuPy and NVRTC are installed.

Every ElementwiseKernel's whole source, as CuPy generates it, and every CUDA file are compiled by NVRTC for Ampere and Hopper.
It looks into CuPy's inside (version 14), so it is a tool and not a test of the suite.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import cupy
import numpy as np
from cupy._core import _carray, _kernel
from cupy.cuda import compiler
from test_gpu_kernels import BUILDS

from multires_ref.engines import cuda
from multires_ref.ops.cupy._kernels import KERNELS

INCLUDE = Path(cupy.__file__).parent / "_core" / "include"
CCCL = INCLUDE / "cupy" / "_cccl"
OPTIONS = ("-std=c++17", *(f"-I{path}" for path in (INCLUDE, CCCL / "cub", CCCL / "thrust", CCCL / "libcudacxx")))
HEADERS = "".join(f"#include <cupy/{name}>\n" for name in ("complex.cuh", "carray.cuh", "atomics.cuh", "math_constants.h"))
ARRAY, INDEXER, SCALAR = 1, 2, 3


def source(kernel, dtype: str) -> str:
    """The CUDA source CuPy would compile for 3-axis arrays of that type."""
    named = {"T": np.dtype(dtype), "I": np.dtype("int64")}
    types = [named.get(p.ctype) if p.ctype in named else p.dtype for p in kernel.params[:-1]]
    scalars = [p.ctype not in named and not p.raw for p in kernel.params[:-1]]
    inputs = tuple(t if isinstance(t, type) else t.type for t in types[: kernel.nin])
    type_map = kernel._decide_params_type(inputs, ())[2]
    infos = []
    for dtype_, scalar in zip(types, scalars, strict=True):
        kind = _kernel._ArgInfo(SCALAR, np.dtype(dtype_).type, np.dtype(dtype_).type, 0, True, True)
        infos.append(kind if scalar else _kernel._ArgInfo(ARRAY, cupy.ndarray, np.dtype(dtype_).type, 3, False, True))
    infos.append(_kernel._ArgInfo(INDEXER, _carray.Indexer, None, 3, True, True))
    code = _kernel._get_elementwise_kernel_code(
        tuple(infos), type_map, kernel.params, kernel.operation, kernel.name, kernel.preamble
    )
    return f"{HEADERS}{code}"


def main() -> None:
    compiler._get_arch_for_options_for_nvrtc = lambda arch: (f"-arch=sm_{arch}", "cubin")  # CuPy's own asks the device
    for arch, dtype in itertools.product(("80", "90"), cuda.REAL):
        for name, kernel in KERNELS.items():
            compiler.compile_using_nvrtc(source(kernel.compiled, dtype), OPTIONS, arch, f"{name}.cu")
            print(f"sm_{arch} {dtype} ElementwiseKernel {name}")
        for name, (files, settings) in BUILDS.items():
            macros = (f"-DREAL={cuda.REAL[dtype]}", *(f"-D{k}={v}" for k, v in settings.items()))
            compiler.compile_using_nvrtc(cuda.source(tuple(files.split())), ("-std=c++17", *macros), arch, "kernel.cu")
            print(f"sm_{arch} {dtype} {name}")


if __name__ == "__main__":
    main()
