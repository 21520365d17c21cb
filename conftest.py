"""For tests and doctests: files that need an optional library are left out where it is missing; PyTorch uses one thread."""

import sys
from importlib.util import find_spec

import pytest

NEEDS = {"torch": ["torch_model.py", "torch_operations.py", "compare.py"]}  # the last has its only doctest about a torch module
collect_ignore = [
    f"multires_ref/interop/{file}" for library, files in NEEDS.items() if find_spec(library) is None for file in files
]


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Numba and PyTorch share one OpenMP, and Numba sets its number of threads for both: on a busy machine they then fight."""
    if "torch" in sys.modules and hasattr(sys.modules["torch"], "set_num_threads"):
        sys.modules["torch"].set_num_threads(1)
