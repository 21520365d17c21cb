"""The stand-in's kernels: CUDA C++ source in, compiled by g++ and run on the CPU (part of `fake_cupy.py`)."""

from __future__ import annotations

import ctypes

import numpy as np
from cuda_on_cpu import Module, build

C_TYPES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long", "bool": "bool"}
HEAD = """#include <cmath>
#define __device__
using std::abs; using std::erf; using std::exp; using std::expm1;
using std::log; using std::log1p; using std::sqrt; using std::tanh;
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
"""


def count(name: str) -> None:
    from fake_cupy import launched

    launched(name)


class RawKernel:
    """One kernel of a RawModule, with CuPy's limit on shared memory and C-contiguity taken strictly."""

    def __init__(self, launch, name: str) -> None:
        self.run, self.name, self.max_dynamic_shared_size_bytes = launch, name, 48 * 1024

    def __call__(self, grid, block, args, *, shared_mem=0):
        count(self.name)
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: {self.name} was not given {shared_mem} bytes of shared memory")
        if not 1 <= int(np.prod(block)) <= 1024 or any(n < 1 for n in grid):
            raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: grid {grid}, block {block}")
        self.run(grid, block, [self.value_of(a) for a in args], shared_mem)

    def value_of(self, a):
        if isinstance(a, np.generic):
            return a
        if not hasattr(a, "_data"):
            raise TypeError(f"{self.name}: pass a CuPy array or a NumPy scalar of the parameter's type, not {type(a)}")
        if not a.flags.c_contiguous:
            raise ValueError(f"{self.name}: not C-contiguous; a kernel would read it wrongly")
        return a._data


class RawModule:
    """A CUDA source; kernels are fetched by name."""

    def __init__(self, code: str, *, options: tuple[str, ...] = ()) -> None:
        self.module = Module(code, tuple(options))

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self.module[name], name)


def parse(params: str) -> list[tuple[str, str, bool]]:
    """ "T x, raw I table" as [(type, name, raw)]."""
    parsed = []
    for param in filter(None, (p.strip() for p in params.split(","))):
        *raw, kind, name = param.split()
        parsed.append((kind, name, raw == ["raw"]))
    return parsed


class ElementwiseKernel:
    """CuPy's class of that name: type letters, broadcasting, `raw` arrays and `i`. Scalars must have a type that is spelt out."""

    def __init__(self, in_params, out_params, operation, name="kernel", preamble="", **options) -> None:
        self.inputs, self.outputs = parse(in_params), parse(out_params)
        self.operation, self.name, self.preamble = operation, name, preamble

    def types_of(self, args) -> dict[str, np.dtype]:
        """Which dtype each letter stands for."""
        types: dict[str, np.dtype] = {}
        for (kind, name, _), a in zip(self.inputs + self.outputs, args, strict=False):
            if len(kind) == 1 and hasattr(a, "_data"):
                if types.setdefault(kind, a.dtype) != a.dtype:
                    raise TypeError(f"{self.name}: {name} is {a.dtype} where {kind} is {types[kind]}")
            elif len(kind) == 1:
                raise TypeError(f"{self.name}: give the scalar {name} a type that is spelt out, not {kind}")
        return types

    def code(self, types) -> str:
        c_type = lambda kind: C_TYPES[str(types.get(kind, kind))]  # noqa: E731
        lines = [f"typedef {C_TYPES[str(t)]} {letter};" for letter, t in types.items()]
        params, bindings = [], []
        for n, (kind, name, raw) in enumerate(self.inputs + self.outputs):
            const = "const " if n < len(self.inputs) else ""
            params.append(f"{const}{c_type(kind)}* {name if raw else name + '_'}")
            bindings += [] if raw else [f"{const}{c_type(kind)}& {name} = {name}_[i];"]
        body = f"for (long long i = 0; i < n; ++i) {{ {' '.join(bindings)} {self.operation}; }}"
        return "\n".join([HEAD, *lines, self.preamble, f'extern "C" void run(long long n, {", ".join(params)}) {{ {body} }}'])

    def __call__(self, *args, size=None):
        count(self.name)
        types = self.types_of(args)
        dtype_of = lambda kind: np.dtype(types.get(kind, kind))  # noqa: E731
        values = [a._data if hasattr(a, "_data") else np.asarray(a, dtype_of(self.inputs[n][0])) for n, a in enumerate(args)]
        shape = np.broadcast_shapes(*(v.shape for v, (_, _, raw) in zip(values, self.inputs, strict=False) if not raw))
        given = values[len(self.inputs) :]
        results = given or [np.empty(shape, dtype_of(kind)) for kind, _, _ in self.outputs]
        self.run(types, values[: len(self.inputs)], results, shape)
        from fake_cupy import ndarray

        arrays = args[len(self.inputs) :] or tuple(ndarray(r) for r in results)
        return arrays[0] if len(arrays) == 1 else arrays

    def run(self, types, inputs, results, shape) -> None:
        for (kind, name, _), a in zip(self.inputs, inputs, strict=True):
            if len(kind) > 1 and str(a.dtype) != kind:
                raise TypeError(f"{self.name}: {name} must be {kind}; got {a.dtype}")
        spread = [
            np.ascontiguousarray(a if raw else np.broadcast_to(a, shape))
            for (_, _, raw), a in zip(self.inputs, inputs, strict=True)
        ]
        copies = [np.ascontiguousarray(r) for r in results]  # an output that is also an input is read before it is written
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*spread, *copies)]
        build(self.code(types)).run(ctypes.c_longlong(int(np.prod(shape))), *pointers)
        for copy, result in zip(copies, results, strict=True):
            if result.shape != shape:
                raise ValueError(f"{self.name}: output of shape {result.shape} where the operation has {shape}")
            if copy is not result:
                result[...] = copy


class ReductionKernel(ElementwiseKernel):
    """CuPy's class of that name, for one output: map, reduce in order, post-map."""

    def __init__(self, in_params, out_params, map_expr, reduce_expr, post_map_expr, identity, name="kernel", **options) -> None:
        super().__init__(in_params, out_params, map_expr, name)
        self.reduce, self.post, self.identity = reduce_expr, post_map_expr, identity

    def code(self, types) -> str:
        (kind, out, _), *_ = self.outputs
        T = C_TYPES[str(types.get(kind, kind))]
        params = ", ".join(f"const {C_TYPES[str(types.get(k, k))]}* {n}_" for k, n, _ in self.inputs)
        bind = " ".join(f"const {C_TYPES[str(types.get(k, k))]}& {n} = {n}_[i];" for k, n, _ in self.inputs)
        typedefs = "\n".join(f"typedef {C_TYPES[str(t)]} {letter};" for letter, t in types.items())
        loop = f"for (long long i = o * n; i < (o + 1) * n; ++i) {{ {bind} {T} b = {self.operation}; a = {self.reduce}; }}"
        body = f"for (long long o = 0; o < rows; ++o) {{ {T} a = {self.identity}; {loop} {T}& {out} = {out}_[o]; {self.post}; }}"
        return f'{HEAD}{typedefs}\nextern "C" void run(long long rows, long long n, {params}, {T}* {out}_) {{ {body} }}'

    def __call__(self, *args, axis, keepdims=False):
        from fake_cupy import ndarray

        count(self.name)
        types = self.types_of(args)
        shape = np.broadcast_shapes(*(a.shape for a in args))
        axes = tuple(a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis))
        kept = [n for n in range(len(shape)) if n not in axes]
        order = [*kept, *axes]
        spread = [np.ascontiguousarray(np.broadcast_to(a._data, shape).transpose(order)) for a in args]
        out = np.empty([shape[n] for n in kept], types.get(self.outputs[0][0], self.outputs[0][0]))
        rows, n = out.size, int(np.prod([shape[a] for a in axes]))
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*spread, out)]
        build(self.code(types)).run(ctypes.c_longlong(rows), ctypes.c_longlong(n), *pointers)
        return ndarray(out.reshape([1 if k in axes else s for k, s in enumerate(shape)]) if keepdims else out)


def strided_gemm(dtype: str):
    """cuBLAS's gemmStridedBatched, from its documentation: column-major matrices at addresses, leading dimensions, strides."""
    c_type, size = {"float32": (ctypes.c_float, 4), "float64": (ctypes.c_double, 8)}[dtype]

    def matrix(address: int, transposed: int, rows: int, columns: int, leading: int) -> np.ndarray:
        """op(A) [rows, columns]: stored as `columns` columns of `leading` numbers, or transposed as `rows` of them."""
        stored, used = (rows, columns) if transposed else (columns, rows)
        assert leading >= used, "leading dimension smaller than the matrix"
        flat = np.ctypeslib.as_array((c_type * (leading * (stored - 1) + used)).from_address(address))
        lines = np.lib.stride_tricks.as_strided(flat, (stored, used), (leading * size, size))
        return lines if transposed else lines.T

    def gemm(handle, transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch):
        count("gemm")
        factor = [c_type.from_address(p).value for p in (alpha, beta)]
        for i in range(batch):
            left = matrix(a + i * stride_a * size, transa, m, k, lda)
            right = matrix(b + i * stride_b * size, transb, k, n, ldb)
            out = matrix(c + i * stride_c * size, 0, m, n, ldc)
            out[...] = factor[0] * (left @ right) + (factor[1] * out if factor[1] else 0)

    return gemm
