"""Wide vector instructions in compiled loops.

LLVM, the compiler behind Numba, uses at most half the width of AVX-512 on Intel's CPUs, because the first of these slowed their
clock down while they ran wide instructions. The loops of this package mostly run on data that are in the cache already, and
gain more than they lose: on an Emerald Rapids the layer's forward pass becomes 1.3 times as fast. Numba has no option for this,
so the wish is written into LLVM's function, where its own name for it is "prefer-vector-width". CPUs without such instructions,
and those where LLVM uses the full width anyway, are not affected.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

WISH = '"prefer-vector-width"="512"'


def wish_for_wide_vectors(function: Any) -> None:
    """Write the wish into a function in LLVM's language."""
    set.add(function.attributes, WISH)  # llvmlite's own `add` knows only attributes without a value


@intrinsic
def wide_vectors(typing_context: Any) -> tuple[Any, Any]:
    """Let the loops of the function in which this stands use vectors of 512 bits.

    It costs nothing at run time. Functions of `inner_njit` need not ask.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wish_for_wide_vectors(builder.function)
        return context.get_dummy_value()

    return types.void(), code
