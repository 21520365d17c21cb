"""Compiles CUDA kernels with g++ and runs them on the CPU, thread by thread (`cuda_on_cpu.h` says how): evidence for their
indices, barriers and arithmetic on a machine without a GPU. It says nothing about speed."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HEADER = Path(__file__).parent / "cuda_on_cpu.h"
ERRORS = {
    1: "a barrier that not every thread reaches",
    2: "more shared memory than a block may have",
    3: "a write beyond the shared memory asked for",
    4: "arguments that do not fit the kernel's parameters in number or size",
}
ORDERS = {"up": 0, "down": 1, "shuffled": 2}
NO_COMPILER = "g++ is not on the PATH"


def have_compiler() -> bool:
    return shutil.which("g++") is not None


FLAGS = ("-std=c++20", "-O0", "-fPIC", "-ffp-contract=off", "-Wno-unknown-pragmas")


@functools.cache
def folder() -> tempfile.TemporaryDirectory:
    """Where the libraries go, with the header, which is compiled once."""
    made = tempfile.TemporaryDirectory(prefix="cuda_on_cpu_")
    header = Path(shutil.copy(HEADER, made.name))
    run_compiler("-x", "c++-header", header, "-o", f"{header}.gch")
    return made


def run_compiler(*arguments: object) -> None:
    done = subprocess.run(["g++", *FLAGS, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


@functools.cache
def build(source: str, options: tuple[str, ...] = ()) -> ctypes.CDLL:
    """`source`, C++ as it stands, as a loaded shared library."""
    name = hashlib.sha256(repr((source, options)).encode()).hexdigest()[:16]
    path = Path(folder().name) / name
    path.with_suffix(".cpp").write_text(source)
    run_compiler("-shared", *options, path.with_suffix(".cpp"), "-o", path.with_suffix(".so"))
    return ctypes.CDLL(str(path.with_suffix(".so")))


class Module:
    """The kernels of a CUDA source; `module[name](grid, block, args, shared)` launches one."""

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", code)
        launchable = "".join(f"LAUNCHABLE({name})\n" for name in names)
        defines = tuple(option for option in options if option.startswith("-D"))
        self.library = build(f'#include "{HEADER.name}"\n{code}\n{launchable}', defines)

    def __getitem__(self, name: str):
        function = getattr(self.library, f"run_{name}")

        def launch(grid, block, args, shared=0, order="up"):
            sizes = (ctypes.c_int * len(args))(*(8 if isinstance(a, np.ndarray) else a.dtype.itemsize for a in args))
            keep = [np.array(a.ctypes.data) if isinstance(a, np.ndarray) else np.array(a) for a in args]
            pointers = (ctypes.c_void_p * len(args))(*(a.ctypes.data for a in keep))
            three = lambda n: (ctypes.c_uint * 3)(*(*n, 1, 1)[:3])  # noqa: E731
            status = function(three(grid), three(block), ctypes.c_size_t(shared), ORDERS[order], pointers, sizes, len(args))
            if status:
                raise RuntimeError(f"kernel {name}: {ERRORS[status]}")

        return launch


def guarded(array: np.ndarray, margin: int = 64) -> np.ndarray:
    """A copy of `array` in the middle of NaNs (a large number for integers): what reads or writes beyond it shows."""
    filler = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max // 2
    whole = np.full(array.size + 2 * margin, filler, array.dtype)
    view = whole[margin : margin + array.size].reshape(array.shape)
    view[...] = array
    return view


def guards_hold(array: np.ndarray, margin: int = 64) -> bool:
    """Whether nothing was written around a `guarded` array."""
    whole = array.base if array.base.ndim == 1 else array.base.base
    ends = np.concatenate([whole[:margin], whole[-margin:]])
    return bool(np.isnan(ends).all()) if array.dtype.kind == "f" else bool((ends == np.iinfo(array.dtype).max // 2).all())
