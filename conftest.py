"""Files that cannot be imported without an optional library are left out of the doctests where it is not installed."""

from importlib.util import find_spec

NEEDS = {"torch": ["torch_model.py", "torch_operations.py", "compare.py"]}  # the last has its only doctest about a torch module
collect_ignore = [
    f"multires_ref/interop/{file}" for library, files in NEEDS.items() if find_spec(library) is None for file in files
]
