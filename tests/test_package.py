"""What surrounds the code: the metadata, the citation, the changelog, and the continuous integration that others can run."""

import tomllib
from pathlib import Path

import multires_ref

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_yaml(path):
    import yaml  # comes with jupytext

    return yaml.safe_load((ROOT / path).read_text())


def test_the_version_stands_once_and_the_citation_has_it():
    assert "version" in PROJECT["dynamic"]
    cited = read_yaml("CITATION.cff")
    assert cited["version"] == multires_ref.__version__
    assert [author["name"].lower() for author in cited["authors"]] == [author["name"].lower() for author in PROJECT["authors"]]
    assert cited["preferred-citation"]["year"] == 2023


def test_the_changelog_begins_with_this_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert multires_ref.__version__ in headings[0] or "nreleased" in headings[0]


def test_the_package_says_that_it_has_types():
    assert (ROOT / "multires_ref/py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_every_extra_is_named_for_its_readers():
    """An extra that no text mentions is not found by anybody."""
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "tutorials/site").rglob("*.md")]
    words = " ".join(path.read_text() for path in texts)
    for extra in PROJECT["optional-dependencies"]:
        assert f"[{extra}]" in words or f"`{extra}`" in words or f"{extra}]" in words, extra


def test_the_workflow_runs_what_there_is():
    """On Linux .ci/run; elsewhere test files that exist, without a list of files where all can run."""
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    assert jobs["linux"]["steps"][-1]["run"] == "bash .ci/run"
    (command,) = [step["run"] for step in jobs["macos-and-windows"]["steps"] if "pytest" in step.get("run", "")]
    files = [word for word in command.split() if word.endswith(".py")]
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).exists()] == []
