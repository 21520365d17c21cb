"""Containers, forks and Python threads: default calls work where nothing can be written, after a fork, and side by side."""

import ctypes
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import multires_ref

PACKAGE = Path(multires_ref.__file__).parent
SECONDS = 240  # a hang is a failure; ordinary runs take a few seconds, compiling on a busy machine some dozens

CALLS = """
import numpy as np
import multires_ref as mr
from multires_ref.network.streaming import Stream
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import train_step

rng = np.random.default_rng(0)
x, h = rng.standard_normal((2, 3, 40)), rng.standard_normal((2, 3, 2))
y = mr.multires_conv(x, h[0], h[1], rng.standard_normal((3, 4)), np.ones(3))
config = mr.NetworkConfig(3, 2, d_model=4, n_layers=1, max_length=40)
model = mr.Model.init(config, rng, "float64")
logits = model(x)
stream = Stream(model, 2)
steps = [stream.step(x[:, :, n]) for n in range(40)]
assert np.allclose(steps[-1], logits)
training, objective = TrainingConfig(1, 2, lr=0.01), get_objective("classification")
loss, _ = train_step(config, model.params, model.state, adam_init(model.params), Split(x, np.array([0, 1])), 0.01, rng, objective,
                     training)
assert np.isfinite(loss)
mr.causal_swt(np.zeros(2**17), "haar", 4)  # long enough for the compiled loops
print("ok", [m for m in ("numba", "multires_ref.engines.numba.fused") if m in __import__("sys").modules])
"""


def run(code, env=None, **options):
    """Run code in a new Python without the caches' variables of this one; a hang ends in an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_", "MULTIRES_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=kept | (env or {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        **options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def copy_of_the_package(folder):
    """The package's files without any compiled code."""
    return shutil.copytree(PACKAGE, folder / "multires_ref", ignore=shutil.ignore_patterns("__pycache__"))


def without_a_place(folder):
    """Variables for a process that finds no folder for Numba's caches: HOME and NUMBA_CACHE_DIR are files."""
    (folder / "a-file").write_text("")
    return {"HOME": str(folder / "a-file"), "NUMBA_CACHE_DIR": str(folder / "a-file"), "PYTHONDONTWRITEBYTECODE": "1"}


ONE_CALL = """
import numpy as np
from multires_ref.ops.adam_update import adam_factors, adam_update
a = np.ones((2, 3), "f4")
adam_update(a, a.copy(), a.copy(), a.copy(), adam_factors(0.1, 0.0, 1))
print("ok")
"""

NO_PLACE_IN_THE_PACKAGE = """
from numba.core.caching import InTreeCacheLocator
InTreeCacheLocator.from_function = classmethod(lambda *args: None)  # the package's folder cannot be written to
"""


def obey_modes():
    """Root may write to read-only folders; a process that has given up that right may not."""
    if os.getuid() == 0:
        assert ctypes.CDLL(None).prctl(24, 1, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE: from the next program on


@pytest.mark.slow  # compiles everything anew
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's; the simulated test below runs")
def test_read_only_package_and_home(tmp_path):
    """Nothing but the temporary folder can be written to: code is kept there, in a folder closed to other users."""
    pytest.importorskip("numba", reason="Numba is not installed")
    package = copy_of_the_package(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    folders = [tmp_path / "home", package, *(path for path in package.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    env = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path / "temporary")}
    check = "import os, multires_ref\nassert not os.access(os.path.dirname(multires_ref.__file__), os.W_OK)\n"
    out = run(check + CALLS, env, preexec_fn=obey_modes, cwd=tmp_path)
    assert out == "ok ['numba', 'multires_ref.engines.numba.fused']\n"
    cache = tmp_path / "temporary" / f"multires_ref-numba-{os.getuid()}"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert list(cache.rglob("*.nbc"))
    for folder in folders:
        folder.chmod(0o755)  # so that pytest can remove them


@pytest.mark.parametrize("temporary", ["usable", "foreign", "missing"])
def test_no_place_for_compiled_code(tmp_path, temporary):
    """Simulated: Numba has no place. A temporary folder is used if it is ours alone; if not, code is compiled and not kept."""
    pytest.importorskip("numba", reason="Numba is not installed")
    copy_of_the_package(tmp_path)
    folder = tmp_path / f"multires_ref-numba-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    if temporary == "foreign":
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)  # anybody could put code there
    code = NO_PLACE_IN_THE_PACKAGE + ONE_CALL
    if temporary == "missing":
        code = f"import tempfile; tempfile.tempdir = {str(tmp_path / 'nothing')!r}\n" + code
    env = without_a_place(tmp_path) | {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    assert run(code, env, cwd=tmp_path) == "ok\n"
    assert bool(list(tmp_path.rglob("*.nbc"))) == (temporary == "usable")


def test_a_full_disk_or_a_damaged_cache_cost_a_compilation_only(tmp_path):
    pytest.importorskip("numba", reason="Numba is not installed")
    code = """
    from numba.core.caching import IndexDataCacheFile
    from multires_ref.base.compiled import njit
    def full(*args):
        raise OSError(28, "No space left on device")
    def damaged(*args):
        raise EOFError("Ran out of input")
    from multires_ref.ops.numba import adam_update
    IndexDataCacheFile.load, IndexDataCacheFile.save = damaged, full
    import numpy as np
    a = np.ones(3, "f4")
    adam_update.update(a, a.copy(), a.copy(), a.copy(), (np.float32(1),) * 7)
    print("ok")
    """
    assert run(code, {"NUMBA_CACHE_DIR": str(tmp_path)}) == "ok\n"


@pytest.mark.parametrize("how", ["missing", "refuses", "broken"])
def test_a_numba_that_does_not_load_is_as_good_as_none(tmp_path, how):
    """Everything runs without it, and asking for it by name says why it cannot be had."""
    reason = {"missing": "", "refuses": "raise ImportError('Numba needs NumPy 1.99 or less')", "broken": "1 / 0"}[how]
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(reason)
    hide = (
        "import sys; sys.modules['numba'] = None\n"
        if how == "missing"
        else f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    )
    more = """
from multires_ref.engines import available_engines, choose
from multires_ref.ops.registry import FUNCTIONS
print(*[FUNCTIONS[name].find("numpy").__name__ for name in ("gelu", "conv1x1", "adam_update")])
print(available_engines()["fused"])
def numba_stream(): Stream(model, engine="numba")
def numba_layer(): mr.multires_conv(x, h[0], h[1], np.ones((3, 4)), np.ones(3), engine="fused")
def numba_swt(): mr.causal_swt(np.zeros(8), "haar", 1, engine="fused")
for ask in (numba_stream, numba_layer, numba_swt):
    try:
        ask()
    except ImportError as error:
        print(error)
"""
    first, modules, engine, *errors = run(f"import sys; {hide}\n{CALLS}{more}").splitlines()
    assert first.startswith("ok")
    assert "engines.numba.fused" not in first
    assert modules == "gelu conv1x1_by_blocks adam_update"
    assert engine.startswith("not available: pip install numba")
    why = {"missing": "", "refuses": "NumPy 1.99", "broken": "division by zero"}[how]
    assert why in engine
    assert [error.partition(": ")[0] for error in errors] == [
        f"engine {name!r} needs Numba" for name in ("numba", "fused", "fused")
    ]
    assert all("pip install numba" in error and why in error for error in errors)


# Forks

LARGE = """
import os, sys, threading
import numpy as np
import multires_ref as mr
from multires_ref.base import threads
threads.WORTH = 1  # so that these small arrays are for several threads
most = int(os.environ.get("OMP_NUM_THREADS", 2))
threads.num_threads = lambda: most  # even where there is one CPU
rng = np.random.default_rng(0)
args = [rng.standard_normal(s).astype("f4") for s in ((8, 16, 64), (16, 2), (16, 2), (16, 7), (16,))]
config = mr.NetworkConfig(16, 2, d_model=16, n_layers=1, max_length=64)
model = mr.Model.init(config, rng)
def work():
    return np.concatenate([mr.multires_conv(*args).ravel(), model(args[0]).ravel()]).tobytes()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_forked_child_works(threads):
    """After threads have shared work in the parent: os.fork, multiprocessing's fork and its pool give the parent's bits."""
    code = (
        LARGE
        + """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks in processes with threads
before = work()
here = multiprocessing.get_context("fork")
queue = here.Queue()
child = here.Process(target=lambda: queue.put(work() == before))
child.start()
print(queue.get(timeout=200))
child.join()
with here.Pool(2) as pool:
    print(all(bits == before for bits in pool.starmap(work, [()] * 4)))
number = os.fork()
if number == 0:
    os._exit(0 if work() == before else 1)
print(os.waitpid(number, 0)[1] == 0)
print(work() == before)
"""
    )
    assert run(code, {"OMP_NUM_THREADS": threads}) == "True\nTrue\nTrue\nTrue\n"


def test_a_loky_worker_works():
    """joblib's own processes, which start afresh."""
    pytest.importorskip("joblib", reason="scikit-learn brings it")
    code = (
        LARGE
        + """
from joblib import Parallel, delayed
def once(n):
    import multires_ref as mr, numpy as np
    return float(mr.multires_conv(*[np.full_like(a, 0.5) for a in args_of(n)]).sum())
def args_of(n):
    import numpy as np
    return [np.ones(s, "f4") for s in ((8, 16, 64), (16, 2), (16, 2), (16, 7), (16,))]
if __name__ == "__main__":
    work()
    print(len(set(Parallel(n_jobs=2)(delayed(once)(n) for n in range(4)))))
"""
    )
    assert run(code) == "1\n"


def test_python_threads_side_by_side():
    """Several Python threads whose work is shared out at once, among more workers than there are CPUs."""
    code = (
        LARGE
        + """
threads.num_threads = lambda: 3
before = work()
failed = []
def many():
    failed.extend(1 for _ in range(60) if work() != before)
crowd = [threading.Thread(target=many) for _ in range(4)]
[thread.start() for thread in crowd]
[thread.join() for thread in crowd]
print(len(failed), threading.active_count() > 1)
"""
    )
    assert run(code) == "0 True\n"
