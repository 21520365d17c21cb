"""Small functions that only compiled loops call: they are compiled as a part of each loop, and not once more by themselves.

Numba compiles every function as a library of its own: optimised, turned into machine code, and given a second entry for Python
and a third for C. A loop then takes in the functions that it calls, and all of it is optimised again. For functions that call
each other through six levels, as in `engines/numba/fused.py`, nearly all of this work is thrown away.

Here such a function is typed and written in LLVM's language, and no more. The loop that takes it in is optimised once, as a
whole, as a C compiler does with the static functions of a file. The loops of the fused engine compile in half the time, and they
run faster for short rows, because nothing is optimised before its surroundings are known. Their results are the same, bit for
bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

# What is used of Numba's classes beyond its documentation; in a Numba without them, these functions are compiled like any other
OF_LIBRARY = ("_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals", "_verify_declare_only_symbols")
OF_DISPATCHER = ("add_overload", "overloads", "get_call_template", "_compile_for_args")


def inner_njit(**options: Any) -> Callable:
    """Decorate a function that compiled loops call. Called from Python, as in tests, it is compiled for itself."""
    return partial(inner, options)


def inner(options: dict[str, Any], function: Callable) -> Any:
    """The function, for compiled loops."""
    import numba
    from numba.core import types

    alone = numba.njit(**options)(function)
    pipeline = inner_pipeline()
    if pipeline is None or any(not hasattr(alone, name) for name in OF_DISPATCHER):
        return alone
    dispatcher = numba.njit(pipeline_class=pipeline, no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)(function)
    unliteral: Callable[[Any], Any] = types.unliteral  # type: ignore[attr-defined]
    template = dispatcher.get_call_template

    def by_kind(args: Any, kws: Any) -> Any:
        """Once for all integers, and not again for a 0 and a 2 that are written in a call."""
        return template(tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()})

    def add_overload(result: Any) -> None:
        """Known to compiled code alone: Python would find no entry."""
        dispatcher.overloads[tuple(result.signature.args)] = result

    dispatcher.get_call_template, dispatcher.add_overload = by_kind, add_overload
    dispatcher._compile_for_args = lambda *args, **kws: alone
    return dispatcher


@cache
def inner_pipeline() -> Any:
    """Numba's compiler, up to the LLVM code of a function; None where this Numba has no place to stop it."""
    from numba.core.codegen import JITCodeLibrary

    if any(not hasattr(JITCodeLibrary, name) for name in OF_LIBRARY):
        return None
    try:
        from .inner_compiler import InnerCompiler
    except ImportError:
        return None
    return InnerCompiler
