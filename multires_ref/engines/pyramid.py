"""Every coefficient of the tree, as the wavelet transform wants them: by plain array operations, or compiled."""

from __future__ import annotations

from ..base.arrays import Array, Pairs, family
from ..base.checks import check_choice, check_int
from ..base.compiled import numba_works, require_numba
from ..base.layer_checks import MAX_DEPTH
from ..tree import pyramid

COMPILED_FROM = 2**20  # samples times taps: below it, loading Numba and its loops is not worth it


def pyramid_by(engine: str, x: Array, h0: Array, h1: Array, depth: int) -> Pairs:
    """`tree.pyramid` of x [..., L] with one pair of filters [K], by the engine "tree", "fused" (Numba) or "auto"."""
    check_choice("engine", engine, ("tree", "fused", "auto"))
    if compiles(engine, x, len(h0) * check_int("level", depth, 1, MAX_DEPTH)):
        from .numba.levels import pyramid_levels

        return pyramid_levels(x, h0, h1, depth)
    return pyramid(x, h0, h1, depth)


def compiles(engine: str, x: Array, taps: int) -> bool:
    """Whether the compiled loops are to be used: for "auto" where they are installed and there is work for them."""
    if engine == "auto":
        return family(x) == "numpy" and x.size * taps >= COMPILED_FROM and numba_works()
    if engine == "fused":
        require_numba("engine 'fused'")
    return engine == "fused"
