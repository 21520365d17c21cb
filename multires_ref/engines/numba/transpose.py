"""Transposing 16 by 16 numbers in a CPU's vector registers.

Several short sequences share a row sample by sample: see `rows.py`. Copied one number at a time, this took a fifth of
the layer's forward pass on arrays as small as those of the digits network. Here 16 samples of each of 16 sequences are read as 16
vectors, exchanged in four rounds, and written as 16 vectors. Numba has no such function, so it is written in the language of
LLVM, its compiler, which has vectors of any length and turns them into the instructions that the CPU has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .rows import SIDE


@intrinsic
def transpose(
    typing_context: Any, to: Any, to_at: Any, to_apart: Any, source: Any, source_at: Any, source_apart: Any
) -> tuple[Any, Any]:
    """to[to_at + j to_apart + i] = source[source_at + i source_apart + j] for i, j = 0 ... SIDE - 1, in contiguous memory.

    Positions count elements from the beginning of an array, whatever its shape. They are not checked.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        vector = ir.VectorType(context.get_data_type(signature.args[0].dtype), SIDE)
        align = context.get_abi_sizeof(vector.element)

        def place(array: int, i: int) -> Any:
            """Where vector i is, in the array that is argument number `array`."""
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            at, apart = arguments[array + 1], arguments[array + 2]
            position = builder.add(at, builder.mul(apart, ir.Constant(apart.type, i)))
            return builder.bitcast(cgutils.gep_inbounds(builder, data, position), vector.as_pointer())

        vectors = [builder.load(place(3, i), align=align) for i in range(SIDE)]
        for i, turned in enumerate(exchanged(builder, vectors)):
            builder.store(turned, place(0, i), align=align)
        return context.get_dummy_value()

    return types.void(to, types.int64, types.int64, source, types.int64, types.int64), code


def exchanged(builder: Any, vectors: list[Any]) -> list[Any]:
    """The transposed vectors. In each round half of a vector's numbers change places with half of another's, `bit` further on."""
    for bit in (1, 2, 4, 8):
        stay = [j if j & bit == 0 else SIDE + (j ^ bit) for j in range(SIDE)]  # numbers from SIDE on are the second vector's
        move = [j ^ bit if j & bit == 0 else SIDE + j for j in range(SIDE)]
        first, second = (ir.Constant(ir.VectorType(ir.IntType(32), SIDE), numbers) for numbers in (stay, move))
        for i in range(SIDE):
            if i & bit == 0:
                pair = vectors[i], vectors[i | bit]
                vectors[i], vectors[i | bit] = builder.shuffle_vector(*pair, first), builder.shuffle_vector(*pair, second)
    return vectors
