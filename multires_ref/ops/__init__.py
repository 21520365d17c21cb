"""The operations that networks are made of, each with its gradient: one file an operation.

`registry.py` says what an operation is, and how it is written. `OPERATIONS` holds all of them by name; the tests,
`multires-ref verify gradients` and the README's list walk it. `multires_conv.py` is the layer's own convolution, by any engine;
`tracing.py` is what autograd and CuPy need to work together.

Compiled and CUDA implementations are in `numba/` and `cupy/`, under the file name of their operation. A file there that belongs
to no operation is an error when this package is imported; files that several of them share begin with an underscore.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from . import registry
from .registry import OPERATIONS, Example, operation

__all__ = ["OPERATIONS", "Example", "operation"]

HERE = Path(__file__).parent
FILES = [module.name for module in iter_modules([str(HERE)]) if not module.ispkg]

for name in FILES:
    import_module(f"{__name__}.{name}")

for folder in ("numba", "cupy"):
    found = {module.name for module in iter_modules([str(HERE / folder)]) if not module.name.startswith("_")}
    if unknown := sorted(found - {function.file for function in registry.FUNCTIONS.values()}):
        raise ImportError(f"ops/{folder}/ implements what is no operation: {', '.join(unknown)}")
