"""For tests and doctests: files that need an optional library are left out where it is missing; PyTorch uses one thread."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDS = {
    "torch": [
        "multires_ref/interop/torch_model.py",
        "multires_ref/interop/torch_operations.py",
        "multires_ref/interop/compare.py",
    ],
    "numba": ["multires_ref/engines/fused_kernels.py", "multires_ref/engines/levels.py", "multires_ref/network/rings_numba.py"],
    "cupy": ["tests/nvrtc_check.py"],  # a tool, see its head
}
ROOT = Path(__file__).parent
NEEDS["numba"] += [str(path.relative_to(ROOT)) for path in ROOT.glob("multires_ref/autodiff/numba_*.py")]
collect_ignore = [file for library, files in NEEDS.items() if find_spec(library) is None for file in files]


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Numba and PyTorch share one OpenMP, and Numba sets its number of threads for both: on a busy machine they then fight."""
    if "torch" in sys.modules and hasattr(sys.modules["torch"], "set_num_threads"):
        sys.modules["torch"].set_num_threads(1)
