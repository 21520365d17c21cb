"""Optional libraries: imported inside the functions that use them; where one is missing, one clear line says what to install."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def import_torch(purpose: str) -> ModuleType:
    """PyTorch.

    Raises
    ------
    ImportError
        "`purpose` needs PyTorch: pip install torch".
    """
    try:
        import torch
    except ImportError:
        raise ImportError(f"{purpose} needs PyTorch: pip install torch") from None
    return torch


def import_from_extra(module: str, purpose: str, extra: str) -> ModuleType:
    """The module of an optional library that one of this package's extras installs.

    Raises
    ------
    ImportError
        "`purpose` needs `library`: pip install 'multires-ref[`extra`]'".
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        library = module.split(".")[0]
        if (missing.name or "").split(".")[0] != library:
            raise  # the library is there, and what it needs itself is not: that message says more
        raise ImportError(f"{purpose} needs {library}: pip install 'multires-ref[{extra}]'") from None
