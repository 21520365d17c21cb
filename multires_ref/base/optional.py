"""Optional libraries: imported inside the functions that use them; where one is missing, one clear line says what to install."""

from __future__ import annotations

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
