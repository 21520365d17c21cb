"""Where compiled code is kept, and why Numba cannot be used, in words that help; in this process."""

import os
import subprocess
import sys

import pytest

from multires_ref.base import code_cache, compiled


@pytest.mark.skipif(os.name != "posix", reason="modes of files as POSIX has them")
@pytest.mark.parametrize(("mode", "taken"), [(0o700, True), (0o750, False), (0o720, False), (0o702, False), (0o705, False)])
def test_a_folder_for_compiled_code_is_for_this_user_alone(mode, taken, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(mode)
    if taken:
        assert code_cache.private(folder) == folder
    else:
        with pytest.raises(PermissionError, match="belongs to somebody else, or others can write to it"):
            code_cache.private(folder)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "pip install numba"),
        (
            "raise ModuleNotFoundError('No module named llvmlite', name='llvmlite')",
            "the installed Numba does not load: No",
        ),
        ("raise ImportError('it needs NumPy 1.99')", "pip install numba (the installed one does not load: it needs NumPy 1.99)"),
        ("", ""),
    ],
)
def test_why_numba_cannot_be_used(text, problem, tmp_path, monkeypatch):
    if text is None:
        monkeypatch.setitem(sys.modules, "numba", None)
    else:
        (tmp_path / "numba.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "numba", raising=False)
    compiled.numba_problem.cache_clear()
    try:
        found = compiled.numba_problem()
        assert found.startswith(problem)
        assert compiled.numba_works() == (text == "") == (not found)
        if problem:
            with pytest.raises(ImportError, match="^engine 'x' needs Numba: "):
                compiled.require_numba("engine 'x'")
        if text is None:
            assert found == problem
    finally:
        compiled.numba_problem.cache_clear()


BEGIN = """
import json, sys, time
from pathlib import Path
import numpy as np
from multires_ref.base import code_cache, compiled
from multires_ref.base.compiled import ParallelLoop
from multires_ref.base.threads import set_num_threads
if sys.argv[2] == "each for itself":
    compiled.compile_once = lambda dispatcher: None
from multires_ref.ops.numba import gelu
set_num_threads(1)
Path(sys.argv[1], sys.argv[3]).touch()
while len(list(Path(sys.argv[1]).iterdir())) < 2:  # both begin together
    time.sleep(0.001)
from multires_ref.ops.gelu import gelu as operation
operation(np.ones((2, 3, 8)))
loops = [value for value in vars(gelu).values() if isinstance(value, ParallelLoop) and "compiled" in vars(value)]
print(json.dumps(sum(sum(loop.compiled.stats.cache_misses.values()) for loop in loops)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["in turn", "each for itself"])
def test_two_processes_that_begin_together_compile_once(how, tmp_path):
    """As ranks and workers that share a disk do; the second way shows that otherwise they would compile twice."""
    pytest.importorskip("numba", reason="Numba is not installed")
    (tmp_path / "ready").mkdir()
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", BEGIN, str(tmp_path / "ready"), how]
    both = [subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, text=True) for name in "ab"]
    compiled_by = sorted(int(process.communicate(timeout=120)[0]) for process in both)
    assert compiled_by == ([0, 1] if how == "in turn" else [1, 1])
    assert not list((tmp_path / "cache").rglob("*.lock"))


def test_a_lock_that_cannot_be_had_only_costs_a_compilation(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "LONGEST_COMPILATION", 0.05)
    with compiled.turn_to_compile(tmp_path, ".f.lock"), compiled.turn_to_compile(tmp_path, ".f.lock"):
        assert (tmp_path / ".f.lock").exists()
    with compiled.turn_to_compile(tmp_path / "missing", ".f.lock"):
        pass
