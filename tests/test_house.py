"""The order of the house: imports look up the list of rooms only, importing is light, the README's table is true."""

import ast
import re
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest
from repeats import repeats

import multires_ref

PACKAGE = Path(multires_ref.__file__).parent
ROOT = PACKAGE.parent
ROOMS = [
    *("base", "definition", "filters", "tree", "response", "engines", "transform", "signals", "memories", "ops", "network"),
    *("distributed", "training", "estimators", "tasks", "authors", "diagnose", "bench", "plots", "explore", "commands", "cli"),
]
FILES = sorted(PACKAGE.rglob("*.py"))


def imported_rooms(path: Path) -> set[str]:
    """The rooms of this package that a file imports, anywhere in it."""
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    package = inside[:-1]  # relative imports count from the folder, for __init__ too
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            target = (*base, *(node.module.split(".") if node.module else ()))
            rooms |= {target[0]} if target else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("multires_ref."):
            rooms.add(node.module.split(".")[1])
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_looks_up_only(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room in ("__init__", "__main__", "cli"):
        return
    below = {other for other in imported_rooms(path) if other in ROOMS and ROOMS.index(other) > ROOMS.index(room)}
    assert not below, f"{room} must not import {below}, which stand below it"
    assert imported_rooms(path) <= {*ROOMS, "__version__"}, (
        f"a room that the list does not know: {imported_rooms(path) - set(ROOMS)}"
    )


def imported_files(path: Path) -> set[Path]:
    """The files of this package that a file imports, anywhere in it; of `from ..folder import file` the file, not the folder."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level and not in_type_checking(path, node):
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            modules = [base / alias.name for alias in node.names] + [base]
            found |= {next((f for f in (m.with_suffix(".py"), m / "__init__.py") if f.exists()), path) for m in modules}
    return found - {path, path.parent / "__init__.py", PACKAGE / "__init__.py"}


def in_type_checking(path: Path, node: ast.ImportFrom) -> bool:
    """Whether it stands under `if TYPE_CHECKING:`, where nothing is imported."""
    blocks = [
        b for b in ast.walk(ast.parse(path.read_text())) if isinstance(b, ast.If) and ast.unparse(b.test) == "TYPE_CHECKING"
    ]
    return any(block.lineno < node.lineno <= block.end_lineno for block in blocks)


def test_imports_make_no_circle():
    graph = {path: imported_files(path) for path in FILES}
    assert sum(map(len, graph.values())) > 300  # the imports were found
    TopologicalSorter(graph).prepare()  # a CycleError names the files


def test_a_circle_of_imports_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    one, two = tmp_path / "one.py", tmp_path / "room" / "two.py"
    one.write_text("def f():\n    from .room import two\n")
    two.write_text("from ..one import f\n")
    assert (imported_files(one), imported_files(two)) == ({two}, {one})
    with pytest.raises(CycleError):
        TopologicalSorter({path: imported_files(path) for path in (one, two)}).prepare()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_file_says_what_lives_there(path):
    assert ast.get_docstring(ast.parse(path.read_text())), path


def test_importing_loads_no_other_module():
    """Not even NumPy, nor its own rooms, as the package's docstring says."""
    code = "import sys, importlib; before = set(sys.modules); import multires_ref; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['multires_ref']\n"


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(command):
    """The linter and the formatter, whose version pyproject.toml fixes."""
    pytest.importorskip("ruff", reason="ruff is not installed")
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "--no-cache", str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_no_eight_lines_stand_twice():
    """Whatever their names, numbers and texts are."""
    assert repeats(FILES) == []


def test_repeated_lines_are_found(tmp_path):
    """A function copied under other names."""
    lines = ["def f(a, b):", "    c = a + b", "    if c > 1:", "        c = -c", "    for x in a:", "        c += x * 2"]
    lines += ["    while c:", "        c -= 1", "    return [c, b]"]
    other = "\n".join(lines).replace("f(", "g(").replace("c", "total").replace("2", "7.5")
    (tmp_path / "one.py").write_text("\n".join(lines))
    (tmp_path / "two.py").write_text('"""Words."""\nimport numpy\n\n\n' + other)
    assert repeats([tmp_path / "one.py", tmp_path / "two.py"]) == ["one.py:1 and two.py:5", "one.py:2 and two.py:6"]


MISTAKES = {  # in a file, what stands there: what is put in its place
    "tree.py": ("return (K - 1) * (2**J - 1) + 1", "return str((K - 1) * (2**J - 1) + 1)"),
    "engines/fft.py": ("by_readout(forward, backward)", "by_readout(backward, forward)"),
    "ops/gelu.py": ("return masked(g, mask) * slope", "return masked(g) * slope"),
    "network/block.py": ("depth=config.J", "depth=x"),
    "network/model.py": ('return embed(params["table"], x)', 'return embed(params["table"], x, x)'),
}


def test_mypy_has_nothing_to_say_and_notices_wrong_types(tmp_path):
    """The core, base, engines, ops and network, in one test: the second run finds most of its work done by the first."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(tmp_path / "cache"),
    ]

    def mypy(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    done = mypy(ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    shutil.copytree(PACKAGE, tmp_path / "multires_ref", ignore=shutil.ignore_patterns("__pycache__"))
    for file, (right, wrong) in MISTAKES.items():
        text = (PACKAGE / file).read_text()
        assert right in text, file
        (tmp_path / "multires_ref" / file).write_text(text.replace(right, wrong))
    done = mypy(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    for file in MISTAKES:
        assert f"multires_ref/{file}:" in done.stdout, file


def test_every_public_name_loads_and_is_documented():
    for name in multires_ref.PUBLIC:
        value = getattr(multires_ref, name)
        assert value.__doc__, name
        assert name in dir(multires_ref)
    with pytest.raises(AttributeError, match="no attribute 'multires'"):
        multires_ref.multires  # noqa: B018


@pytest.mark.parametrize("file", ["README.md", "tutorials/site/guide/map.md"])
def test_the_map_names_every_file_and_folder_in_the_order_of_imports(file):
    table = (ROOT / file).read_text().split("| file or folder |")[1].split("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`([\w./]+)`", row.split("|")[1])]
    there = {p.name if p.suffix else f"{p.name}/" for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert sorted(named) == sorted(there)
    rooms = [name.removesuffix(".py").rstrip("/") for name in named]
    assert [room for room in rooms if not room.startswith("__")] == ROOMS


@pytest.mark.parametrize("page", ["README.md", "tutorials/site/guide/equations.md"])
def test_the_table_of_equations_names_what_exists(page):
    """Equation -> function -> test: every function can be imported and every test is in its file."""
    rows = re.findall(r"^\|[^|]*\| `([\w.]+)` \| `([\w./]+)::(\w+)` \|$", (ROOT / page).read_text(), flags=re.M)
    assert len(rows) >= 12
    for function, file, test in rows:
        module, name = function.rsplit(".", 1)
        assert callable(getattr(import_module(f"multires_ref.{module}"), name)), function
        assert f"def {test}(" in (ROOT / file).read_text(), (file, test)


def test_the_api_reference_is_the_codes():
    from api_reference import FILE, reference

    text = reference()
    assert FILE.read_text() == text, "run `python tests/api_reference.py`"
    assert all(f"**`{name}" in text for name in multires_ref.PUBLIC)


def test_the_citation_and_the_changelog_know_the_version():
    assert f"\nversion: {multires_ref.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert headings[0] in ("Unreleased", multires_ref.__version__)
    assert multires_ref.__version__ in headings
