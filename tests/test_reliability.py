"""A run that is killed at any moment, or at any point of writing any of its files, ends as the run that was never killed.

Hundreds of small runs in processes of their own: see `crash_driver.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_resume import assert_same_result

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]
DRIVER = Path(__file__).with_name("crash_driver.py")
FILES = {"config.json", "metrics.jsonl", "metrics.json", "last.safetensors", "best.safetensors"}


def drive(*words):
    command = [sys.executable, str(DRIVER), *map(str, words)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=one_thread)
    assert done.returncode == 0, done.stderr[-3000:]


def same_as_unbroken(folder, unbroken):
    assert {path.name for path in folder.iterdir()} == FILES  # no temporary file and no lock is left
    assert_same_result(folder, unbroken)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reliability")
    drive(folder, "count")
    return folder


def test_every_crash_point_of_every_write(place):
    seen = json.loads((place / "crash-points.json").read_text())
    for name in FILES:
        assert sum(name in what for what in seen) >= 4, name  # before and after its opening, half and all of it
    drive(place, "points")
    for n in range(1, len(seen) + 1):
        same_as_unbroken(place / f"point-{n}" / "run", place / "dry" / "run")


def test_kills_at_random_moments(place):
    drive(place, "kills", 20230723)
    assert json.loads((place / "kills.json").read_text()) >= 20  # that many hit a process that was still at work
    for n in range(40):
        same_as_unbroken(place / f"kill-{n}" / "run", place / "dry" / "run")


def test_two_processes_on_one_folder(place):
    drive(place, "pairs")
    assert json.loads((place / "pairs.json").read_text()) == [[0, 10]] * 12  # one completes, the other is refused
    for n in range(12):
        same_as_unbroken(place / f"pair-{n}" / "run", place / "dry" / "run")
