"""Compiled code on disk: its place, a name that follows from the content of the files, and what is removed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import multires_ref
from multires_ref.base import code_cache

PACKAGE = Path(multires_ref.__file__).parent
COUNT = """
import numpy as np
from multires_ref.ops.adam_update import adam_factors, adam_update
from multires_ref.ops.numba import adam_update as compiled
a = np.ones((2, 3), "f4")
adam_update(a, a.copy(), a.copy(), a.copy(), adam_factors(0.1, 0.0, 1))
print(compiled.__file__, sum(compiled.update.stats.cache_misses.values()), compiled.update.stats.cache_path)
"""


@pytest.fixture(autouse=True)
def anew():
    """Nothing is remembered from one test to the next."""
    remembered = (code_cache.cache_of_user, code_cache.temporary_cache, code_cache.prepared, code_cache.digest)
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def run(package, cache, **more):
    """(file that was run, compilations, folder of the code) in a new process that finds the package in `package`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    env = kept | {"PYTHONPATH": str(package), "XDG_CACHE_HOME": str(cache)} | more
    command = [sys.executable, "-W", "error", "-c", COUNT]
    done = subprocess.run(command, env=env, cwd=package, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    file, misses, folder = done.stdout.split()
    return Path(file), int(misses), Path(folder)


def copy_of_the_package(folder):
    return shutil.copytree(PACKAGE, folder / "multires_ref", ignore=shutil.ignore_patterns("__pycache__", "*.so"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG_CACHE_HOME is Linux's")
def test_code_survives_a_reinstall_elsewhere_and_no_other_content_loads_it(tmp_path):
    """Two installations of one version share it, whatever the times of their files. After a change in a file that the compiled
    one takes something from, there is a place of its own."""
    pytest.importorskip("numba", reason="Numba is not installed")
    first, second, cache = tmp_path / "first", tmp_path / "second", tmp_path / "cache"
    for place in (first, second):
        copy_of_the_package(place)
    os.utime(second / "multires_ref" / "ops" / "numba" / "adam_update.py", (0, 0))
    file, misses, folder = run(first, cache)
    assert (file.is_relative_to(first), misses, folder.is_relative_to(cache / "multires_ref")) == (True, 1, True)
    assert (cache / "multires_ref").stat().st_mode & 0o777 == 0o700
    file, misses, same = run(second, cache)
    assert (file.is_relative_to(second), misses, same) == (True, 0, folder)
    with open(second / "multires_ref" / "ops" / "adam_update.py", "a") as source:
        source.write("\n# another version\n")
    _, misses, other = run(second, cache)
    assert (misses, other.parent, other == folder) == (1, folder.parent, False)
    _, misses, named = run(first, cache, NUMBA_CACHE_DIR=str(tmp_path / "named"))
    assert (misses, named) == (1, tmp_path / "named" / folder.name)


def test_places_are_tried_in_their_order(tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="Numba is not installed")

    def refuses():
        raise PermissionError("somebody else's")

    def function():
        return 1

    for refused in range(3):
        places = [refuses] * refused + [lambda: tmp_path / "kept"] * (2 - refused)
        monkeypatch.setattr(code_cache, "PLACES", places)
        found = code_cache.code_cache(function)
        assert (found is None) == (refused == 2)
        assert found is None or Path(found.cache_path).parent == tmp_path / "kept"


def test_functions_without_a_file_are_not_kept():
    pytest.importorskip("numba", reason="Numba is not installed")
    names = {}
    exec(compile("def typed(): return 1", "<console>", "exec"), names)
    assert code_cache.code_cache(names["typed"]) is None


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name != "posix", reason="links as POSIX has them")
def test_a_link_is_refused(tmp_path):
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(PermissionError):
        code_cache.private(tmp_path / "link")


def test_what_was_not_used_for_long_is_removed(tmp_path):
    ages = {"ops.numba-old": 31, "ops.numba-new": 29, "ops.numba-kept": 99, "engines.numba-old": 99}
    for name, days in ages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        os.utime(tmp_path / name, (1e9 - days * code_cache.DAY,) * 2)
    code_cache.remove_unused(tmp_path, "ops.numba", tmp_path / "ops.numba-kept", now=lambda: 1e9)
    assert {path.name for path in tmp_path.iterdir()} == {"ops.numba-new", "ops.numba-kept", "engines.numba-old"}


def test_a_folder_in_use_counts_as_used(tmp_path):
    pytest.importorskip("numba", reason="Numba is not installed")
    folder = code_cache.prepared(tmp_path, PACKAGE / "ops" / "numba")
    os.utime(folder, (0, 0))
    code_cache.prepared.cache_clear()
    assert code_cache.prepared(tmp_path, PACKAGE / "ops" / "numba") == folder
    assert folder.stat().st_mtime > 1e9
