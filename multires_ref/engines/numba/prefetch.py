"""Asking for memory before it is used, in compiled loops.

Neighbouring rows of one channel lie far apart in memory. The CPU's own prefetching therefore starts anew at every row, and a good
part of a row's time is spent on waiting for its first cache lines. One instruction for each cache line, issued one row ahead,
hides this. Numba has no name for the instruction, so it is written in LLVM's terms. It changes no value, and an address outside
of any array does no harm.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...base.arrays import Array
from ...base.inner import inner_njit
from .rows import LINE, Rows


@intrinsic
def prefetch(typing_context: Any, x: Any, position: Any) -> tuple[Any, Any]:
    """Ask for the cache line of x.flat[position], for a C-contiguous x, without waiting for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [address, number(0), number(2), number(1)])  # 0: to read, 2: into the second cache, 1: data
        return context.get_dummy_value()

    return types.void(x, types.intp), code


@inner_njit(_nrt=False)
def prefetch_row(x: Array, b: int, d: int, first: int, rows: Rows) -> None:
    """Ask for a row of x[b, d] that lies in one piece. Does nothing for other rows, and where there is no channel d."""
    if rows.chunks == 1 and d < x.shape[1]:
        begin = (b * x.shape[1] + d) * x.shape[2] + first
        for n in range(0, min(rows.T, x.shape[2] - first), LINE):
            prefetch(x, begin + n)
