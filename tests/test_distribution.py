"""The source distribution holds the tests and what they read; the wheel works outside the repository."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_OURS = ("__pycache__", ".*", "*.egg-info", "build", "dist", "runs", "data")
pytestmark = pytest.mark.slow


def run(*command, cwd):
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # options of this run of pytest
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=ours, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with the sdist and the wheel, built with what is installed here: nothing is downloaded."""
    pytest.importorskip("build", reason="build is not installed")
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"setuptools 77 or newer is not installed; {setuptools.__version__} is")
    folder = tmp_path_factory.mktemp("build") / "source"
    top = shutil.ignore_patterns(*NOT_OURS)
    inner = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT, folder, ignore=lambda place, names: (top if Path(place) == ROOT else inner)(place, names))
    if (ROOT / ".ci").is_dir():
        shutil.copytree(ROOT / ".ci", folder / ".ci")
    run(sys.executable, "-m", "build", "--no-isolation", cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def unpacked(dist):
    """The unpacked source distribution."""
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(dist / "unpacked", filter="data")
    (folder,) = (dist / "unpacked").iterdir()
    return folder


def test_the_source_distribution_holds_all_files(unpacked):
    folders = ("multires_ref", "tests", "tutorials", "figures")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files = [
        path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts and ".ipynb_checkpoints" not in path.parts
    ]
    files += [Path(path.name) for pattern in ("*.py", "*.md", "*.cff", "*.toml", "LICENSE") for path in ROOT.glob(pattern)]
    assert [str(path) for path in files if not (unpacked / path).exists()] == []


def test_tests_run_from_the_source_distribution(unpacked):
    """All are collected; of them a few files run that read cases, data, figures and tutorials."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    run(*command, "--collect-only", cwd=unpacked)
    shown = run(*command, "tests/test_definition.py", "tests/test_golden.py", "tests/test_exam.py", cwd=unpacked)
    assert " passed" in shown


def test_the_wheel_says_who_and_what_and_holds_no_tests(dist):
    (archive,) = dist.glob("*.whl")
    assert archive.stat().st_size < 4e6
    with zipfile.ZipFile(archive) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    for field in ("Author: ", "Keywords: ", "Classifier: ", "License-Expression: MIT", "Requires-Python: >=3.11"):
        assert f"\n{field}" in metadata
    assert {name.split("/")[0].split("-")[0] for name in names} == {"multires_ref"}


def test_both_archives_can_be_published(dist):
    """What an index checks of them: the metadata, and that the README can be shown."""
    pytest.importorskip("twine", reason="twine is not installed")
    assert "FAILED" not in run(
        sys.executable, "-m", "twine", "check", "--strict", *dist.glob("*.whl"), *dist.glob("*.tar.gz"), cwd=dist
    )


def test_the_wheel_holds_the_mark_of_types(dist):
    (archive,) = dist.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        assert "multires_ref/py.typed" in wheel.namelist()


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """The `bin` of an environment that has the wheel, and finds the dependencies where this environment has them."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (wheel,) = dist.glob("*.whl")
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    return folder / "bin"


def test_the_wheel_works_outside_the_repository(installed, tmp_path):
    where = "import multires_ref; [getattr(multires_ref, name) for name in multires_ref.PUBLIC]; print(multires_ref.__file__)"
    assert Path(run(installed / "python", "-c", where, cwd=tmp_path).strip()).is_relative_to(installed.parent)
    command = installed / "multires-ref"
    assert "multires_ref" in run(command, "info", cwd=tmp_path)
    run(command, "figures", "--only", "tree", "learned", "samples", "speed", cwd=tmp_path)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"tree", "learned", "samples", "speed"}
    assert "Test accuracy" in run(command, "train", "digits", "--epochs", "1", "--quiet", "--out", "run", cwd=tmp_path)
    copy = "from multires_ref.commands.tutorials import own_folder; print(len(list(own_folder().glob('*.ipynb'))))"
    assert run(installed / "python", "-c", copy, cwd=tmp_path).split()[-1] == str(len(list((ROOT / "tutorials").glob("*.ipynb"))))


def test_the_wheel_builds_the_site(installed, tmp_path):
    """From what it brings itself: the pages, the notebooks, the figures and the changelog."""
    for library in ("sphinx", "bokeh"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    quick = "import pathlib, multires_ref.explore.export as export; from multires_ref.cli import main; "
    quick += "export.export_page = lambda path: pathlib.Path(path).touch(); main(['tutorials', '--site', 'site'])"
    shown = run(installed / "python", "-c", quick, cwd=tmp_path)
    assert shown == "site/index.html\n"  # without a word about warnings
    assert len(list((tmp_path / "site/tutorials").glob("[0-9]*.html"))) == len(list((ROOT / "tutorials").glob("[0-9]*.ipynb")))
    assert (tmp_path / "site/_images/tree.svg").exists()
    assert "0.1.0" in (tmp_path / "site/changelog.html").read_text()
