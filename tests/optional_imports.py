"""Which optional libraries a file needs as soon as it is imported, read from its text: for conftest.py and `test_collection.py`.

An import counts if it runs when the file is imported: at the top of the file or of a class, not inside a function, not under
`TYPE_CHECKING`, and not in a `try` that handles its failure. `import_torch(...)` called there counts as `import torch`. A file
also needs what the files of this repository that it imports need. Everything is optional that is neither in Python itself nor a
core dependency, so a library that is new here is optional without being named here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "multires_ref", ROOT / "tests"
CORE = {"numpy", "scipy", "pywt", "autograd", "matplotlib", "tqdm", "safetensors", "sklearn", "threadpoolctl", "joblib"}
TESTING = {"pytest", "_pytest", "hypothesis"}
DECORATORS = {  # whoever decorates with one of these needs Numba at once
    *("multires_ref.base.compiled.njit", "multires_ref.base.compiled.parallel_njit"),
    "multires_ref.base.inner.inner_njit",
}
HANDLED = {"ImportError", "ModuleNotFoundError", "Exception"}


def collected_files() -> list[Path]:
    """Every file that a test run imports: the package for its doctests, the tests and what they share."""
    return sorted([*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")])


def left_out() -> dict[Path, set[str]]:
    """The files that cannot be imported here, each with the libraries that it lacks; without the files that skip themselves."""
    missing = {path: {name for name in needs(path) - skips_without(path) if not is_installed(name)} for path in collected_files()}
    return {path: names for path, names in missing.items() if names}


def is_installed(library: str) -> bool:
    """Whether the library can be found, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # a stand-in in sys.modules that has no spec
        return library in sys.modules


@cache
def needs(path: Path) -> frozenset[str]:
    """The optional libraries without which importing the file fails, those of the files that it imports included."""
    return frozenset(follow(imported_by(path), {path}))


def needs_of_example(source: str) -> set[str]:
    """The optional libraries without which the imports in a docstring's example fail."""
    return follow(imported_names(ast.parse(source), ROOT / "example.py"), set())


def follow(names: set[str], seen: set[Path]) -> set[str]:
    """Of the named modules, and of all that they import in this repository, those that are optional libraries."""
    found: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        file = file_of(name)
        if file is None:
            found.add(name.split(".")[0])
        elif file not in seen:
            seen.add(file)
            waiting += sorted(imported_by(file))
    return found - CORE - TESTING - set(sys.stdlib_module_names) - {PACKAGE.name}


def skips_without(path: Path) -> set[str]:
    """The libraries without which the file skips itself: `pytest.importorskip("torch")` at its top."""
    calls = (node for node in statements(parsed(path).body) if isinstance(node, ast.Expr | ast.Assign))
    return {
        call.args[0].value
        for node in calls
        for call in ast.walk(node.value)
        if isinstance(call, ast.Call) and called_name(call) == "importorskip" and isinstance(call.args[0], ast.Constant)
    }


@cache
def parsed(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(path.read_text())


@cache
def imported_by(path: Path) -> frozenset[str]:
    """What the file imports when it is imported."""
    return frozenset(imported_names(parsed(path), path))


def imported_names(tree: ast.Module, path: Path) -> set[str]:
    """Dotted names of all modules that the code imports when it runs; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in statements(tree.body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = absolute_name(node, path)
            found = {f"{module}.{alias.name}" for alias in node.names}
            names |= {module} | found | ({"numba"} if found & DECORATORS else set())
        elif isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) and node.value is not None:
            calls = {called_name(call) for call in ast.walk(node.value) if isinstance(call, ast.Call)}
            names |= {name.removeprefix("import_") for name in calls if name.startswith("import_") and name != "import_module"}
    return names


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a file is imported, those inside `if`, `with`, `for`, `try` and classes included."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try) and any(handles_imports(handler) for handler in node.handlers):
            yield from statements([*node.orelse, *node.finalbody])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody"):
                yield from statements(getattr(node, field, []))


def handles_imports(handler: ast.ExceptHandler) -> bool:
    """Whether an `except` catches a failing import."""
    return handler.type is None or any(isinstance(n, ast.Name) and n.id in HANDLED for n in ast.walk(handler.type))


def called_name(call: ast.Call) -> str:
    """The last name of what is called: `importorskip` for `pytest.importorskip(...)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def absolute_name(node: ast.ImportFrom, path: Path) -> str:
    """The dotted name of the module in `from ... import`, relative ones counted from the file's folder."""
    if not node.level:
        return node.module or ""
    folder = path.relative_to(ROOT).parts[:-1]
    return ".".join([*folder[: len(folder) - node.level + 1], *([node.module] if node.module else [])])


def file_of(name: str) -> Path | None:
    """The file of this repository behind a dotted name, or behind the module that holds the name; None for other modules."""
    parts = name.split(".")
    if parts[0] != PACKAGE.name:
        file = TESTS / f"{parts[0]}.py"
        return file if file.exists() else None
    path = ROOT.joinpath(*parts)
    candidates = (path.with_suffix(".py"), path / "__init__.py", path.parent.with_suffix(".py"), path.parent / "__init__.py")
    return next((file for file in candidates if file.exists()), PACKAGE / "__init__.py")
