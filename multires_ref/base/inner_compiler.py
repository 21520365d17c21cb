"""Numba's compiler, stopped when a function's LLVM code is written: what `inner.py` compiles functions with.

This file uses parts of Numba beyond its documentation. Where one of them is missing, `inner.py` does without this file.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering

from .vectors import wish_for_wide_vectors


class InnerLibrary(JITCodeLibrary):
    """LLVM code that waits for the loop that takes it in, and may use wide vectors: see `vectors.py`."""

    def add_ir_module(self, ir_module: Any) -> None:
        for function in ir_module.functions:
            if not function.is_declaration:
                wish_for_wide_vectors(function)
        super().add_ir_module(ir_module)

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class MakeKnown(LoweringPass):
    """What Numba does after making machine code: let other functions find this one."""

    _name = "multires_ref_make_known"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        def entry() -> None:
            """Stands for the machine code that there is not."""

        state.targetctx.insert_user_function(entry, state.cr.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        state.cr = state.cr._replace(cfunc=entry)
        return True


class InnerCompiler(CompilerBase):
    """Numba's compiler, up to the LLVM code of a function."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        state.flags.no_compile = True
        state.library = InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes._finalized = False
        passes.add_pass_after(MakeKnown, NativeLowering)
        passes.finalize()
        return [passes]
