"""The tutorials: sources and notebooks agree, every exercise has a solution, and all runs and prints what is committed."""

import ast
import json
import re
from pathlib import Path

import pytest

from multires_ref.cli import main
from multires_ref.commands.tutorials import build, execute, read_source, sources

nbformat = pytest.importorskip("nbformat", reason="Jupyter is not installed")
pytest.importorskip("nbclient", reason="Jupyter is not installed")
pytest.importorskip("jupytext", reason="jupytext is not installed")
FOLDER = Path(__file__).parent.parent / "tutorials"
SOURCES = sources(FOLDER, [])
LARGEST = 500_000  # bytes
pytestmark = pytest.mark.filterwarnings("default")  # Jupyter's own deprecations are not ours to fix

each_tutorial = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def notebook_of(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


@each_tutorial
def test_notebook_holds_the_cells_of_its_source(source):
    ours, theirs = read_source(source).cells, notebook_of(source).cells
    assert [(c.cell_type, c.source, c.id) for c in theirs] == [(c.cell_type, c.source, c.id) for c in ours]
    assert [c.metadata for c in theirs] == [c.metadata for c in ours]


@each_tutorial
def test_notebook_is_small_and_holds_no_time_of_day(source):
    text = source.with_suffix(".ipynb").read_text()
    assert len(text.encode()) < LARGEST
    assert not re.search(r'"iopub\.|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}', text)
    assert "widget-view" not in text


def asserts(code):
    return any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))


@each_tutorial
def test_every_exercise_has_its_solution(source):
    notebook = read_source(source)
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    exercises, solutions = prose.split("## Exercises")[1].split("<details>")
    asked, solved = (re.findall(r"^\*\*(\d+)", text, flags=re.M) for text in (exercises, solutions.replace(".**", "**")))
    assert asked == solved
    assert asserts(notebook.cells[-1].source)  # the solutions' code checks itself when the notebook is run


def readable_outputs(notebook):
    """The text that each code cell printed or returned; cells tagged "varies" may print what differs between machines."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "varies" not in cell.metadata.get("tags", []):
            texts.append([output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs])
    return texts


@pytest.mark.slow  # a Jupyter kernel each, and the training of tutorial 6
@each_tutorial
def test_executes_and_says_what_is_committed(source):
    fresh = execute(read_source(source), FOLDER)
    assert readable_outputs(fresh) == readable_outputs(notebook_of(source))


TINY = """# %% [markdown]
# # Tiny

# %%
from pathlib import Path
print(1 + 1, Path("01_tiny.py").exists())

# %% tags=["varies"]
import ipywidgets
knob = ipywidgets.interact(lambda n: None, n=(0, 3))
"""


def test_building_twice_gives_the_same_bytes(tmp_path):
    source = tmp_path / "01_tiny.py"
    source.write_text(TINY)
    once = build(source).read_bytes()
    assert build(source).read_bytes() == once
    cells = json.loads(once)["cells"]
    assert cells[1]["outputs"][0]["text"] == ["2 True\n"]  # it runs in the folder of its source
    assert cells[2]["outputs"] == []


def test_an_error_in_a_cell_stops_the_build(tmp_path):
    source = tmp_path / "01_wrong.py"
    source.write_text("# %%\nassert 1 + 1 == 3\n")
    with pytest.raises(Exception, match="AssertionError"):
        build(source)
    assert not source.with_suffix(".ipynb").exists()


def test_the_command_builds_those_that_are_named_in_the_time_that_is_given(tmp_path, capsys, monkeypatch):
    from multires_ref.commands import tutorials

    built = []
    monkeypatch.setattr(tutorials, "execute", lambda notebook, folder, timeout: built.append((folder, timeout)) or notebook)
    for name in ("02_b.py", "01_a.py", "01_b.py", "helper.py", "notes.txt"):
        (tmp_path / name).write_text("# %%\nprint(2)\n")
    for flags, names, timeout in (
        (["--build"], ["01_a", "01_b", "02_b"], 120),
        (["--build", "01", "--timeout", "7"], ["01_a", "01_b"], 7),
        (["--build", "02", "01_b"], ["01_b", "02_b"], 120),
    ):
        assert main(["tutorials", "--folder", str(tmp_path), *flags]) == 0
        assert capsys.readouterr().out.splitlines() == [str(tmp_path / f"{name}.ipynb") for name in names]
        assert built == [(tmp_path, timeout)] * len(names)
        built.clear()


def test_equal_cells_have_different_ids(tmp_path):
    (tmp_path / "01_twice.py").write_text("# %%\nprint(2)\n\n# %%\nprint(2)\n\n# %% [markdown]\n# print(2)\n")
    first, second, text = (cell.id for cell in read_source(tmp_path / "01_twice.py").cells)
    assert len({first, second, text}) == 3
    assert second == f"{first}-2"


def test_command_builds_what_it_is_told(tmp_path, capsys):
    (tmp_path / "02_two.py").write_text("# %%\nprint(2)\n")
    assert main(["tutorials", "--folder", str(tmp_path), "--build", "02"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "02_two.ipynb")


def test_command_says_what_is_missing(tmp_path, capsys):
    assert main(["tutorials", "--folder", str(tmp_path / "none")]) == 2
    assert "no folder" in capsys.readouterr().err
    assert main(["tutorials", "--folder", str(FOLDER), "--build", "99"]) == 2
    assert "no tutorial 99" in capsys.readouterr().err


def test_command_says_that_jupyterlab_is_missing(monkeypatch, capsys):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["tutorials", "--folder", str(FOLDER)]) == 2
    assert "pip install jupyterlab jupytext ipywidgets" in capsys.readouterr().err


def test_outside_the_repository_the_packages_tutorials_are_copied(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("multires_ref.commands.tutorials.open_lab", lambda folder, options: 0)
    assert main(["tutorials"]) == 0
    assert "copied the tutorials into the new folder" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("tutorials/*.ipynb")} == {f"{source.stem}.ipynb" for source in SOURCES}
    (tmp_path / "tutorials/mine.ipynb").touch()
    assert main(["tutorials"]) == 0
    assert capsys.readouterr().out == ""
