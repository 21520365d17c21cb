"""What a test run imports needs no optional library: read from the files, and tried with every optional library blocked."""

import os
import subprocess
import sys

import pytest
from optional_imports import ROOT, collected_files, left_out, needs, needs_of_example, skips_without

BLOCKED = (
    *("torch", "numba", "llvmlite", "cupy", "cupyx", "pooch", "wfdb", "mnist1d", "pandas", "soundfile", "ruff"),
    *("jupyterlab", "jupytext", "ipywidgets", "nbclient", "nbformat", "ipykernel", "IPython"),
)
START = f"""
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name.split(".")[0] in {BLOCKED!r} else find(name, *rest))
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def run_pytest_without_options(*arguments):
    """pytest in a process that finds none of the blocked libraries, under no options but these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-c", START, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ours, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("source", "library"),
    [
        ("import torch", {"torch"}),
        ("from torch.nn import functional", {"torch"}),
        ("if True:\n    import a_library_nobody_knows.part", {"a_library_nobody_knows"}),
        ("class Net:\n    import torch", {"torch"}),
        ("torch = import_torch('a purpose')", {"torch"}),
        ("import planted", {"torch"}),
        ("from multires_ref.authors import torch_model", {"torch"}),
        ("from multires_ref.authors.torch_model import to_torch", {"torch"}),
        ("import multires_ref.engines.numba.fused", {"numba", "llvmlite"}),
        ("from multires_ref.base.compiled import njit", {"numba"}),
        ("from multires_ref.base.inner import inner_njit", {"numba"}),
        ("import multires_ref.engines.numba.horner", {"numba"}),
        ("def later():\n    import torch", set()),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", set()),
        ("try:\n    import torch\nexcept KeyError:\n    torch = None", {"torch"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", set()),
        ("import json, numpy as np, scipy.fft, pytest\nfrom sklearn import datasets", set()),
        ("from multires_ref import compare, multires_conv", set()),
    ],
)
def test_what_an_import_needs(source, library):
    assert needs_of_example(source) == library


def test_files_that_pytest_must_not_lose_need_nothing_optional():
    """A test file that needed a library at its top would be left out without a word: it must skip itself, or import later."""
    lost = {path.name: needs(path) - skips_without(path) for path in collected_files() if path.name.startswith("test_")}
    assert {name: libraries for name, libraries in lost.items() if libraries} == {}
    assert not needs(ROOT / "conftest.py") | needs(ROOT / "tests/conftest.py")
    assert not {path for path in left_out() if path.name == "__init__.py"}


def test_collecting_needs_no_optional_library():
    done = run_pytest_without_options("--collect-only")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "error" not in done.stdout.splitlines()[-1]


def test_what_was_skipped_for_lack_of_pytorch_is_recorded(tmp_path):
    """A test, a file that skips itself, a docstring's example, a file that is left out; and nothing else."""
    files = ["tests/test_schedule.py", "tests/test_torch_model.py", "multires_ref/diagnose/compare.py", "tests/test_fast_ops.py"]
    done = run_pytest_without_options("--record-skipped", str(tmp_path / "files"), *files)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    recorded = (tmp_path / "files").read_text().splitlines()
    assert set(recorded) >= {*files[:3], "tests/planted.py", "multires_ref/authors/torch_operations.py"}
    assert files[3] not in recorded
