"""The helper that compiles ahead of a first run: what it compiles, where it is not started, how it ends."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("numba", reason="Numba is not installed")

from multires_ref.base import code_cache, compiled
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training import ahead
from multires_ref.training.console import COMPILING, Progress
from multires_ref.training.data import cast

TASK = get_task("digits")
RUN = (TASK.network, TASK.training, TASK.objective)


def settings(tmp_path):
    network, training = TASK.settings("tiny")
    about = {"network": network.to_dict(), "training": training.to_dict(), "objective": TASK.objective}
    return about | {"path": [path for path in sys.path if path], "marker": str(tmp_path / "marker")}


@pytest.fixture
def cold(tmp_path, monkeypatch):
    """A place for compiled code that is empty, and two CPUs."""
    monkeypatch.setattr(code_cache, "PLACES", (lambda: tmp_path,))
    monkeypatch.setattr(ahead, "num_threads", lambda: 2)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(ahead.os, "getloadavg", lambda: (1.4, 9.0, 9.0), raising=False)
    monkeypatch.delenv(ahead.SWITCH, raising=False)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """The settings of every helper that would be started."""
    found = []
    monkeypatch.setattr(ahead, "start", found.append)
    return found


def begin(*args):
    with ahead.compiling_ahead(*args):
        pass


def test_a_cold_run_starts_one_helper_and_the_next_run_of_this_kind_none(cold, started):
    begin(*RUN)
    (given,) = started
    assert (given["network"], given["objective"]) == (TASK.network.to_dict(), "classification")
    ahead.Path(given["marker"]).touch()
    begin(*RUN)
    begin(*TASK.settings("tiny"), TASK.objective)  # other sizes, the same loops
    assert len(started) == 1
    begin(TASK.network, TASK.settings(dtype="float64")[1], TASK.objective)
    assert len(started) == 2


@pytest.mark.parametrize("why", ["switched off", "one CPU", "busy", "another rank", "no Numba", "no place"])
def test_where_it_cannot_help_nothing_is_started(why, cold, started, monkeypatch):
    change = {
        "switched off": lambda: monkeypatch.setenv(ahead.SWITCH, "0"),
        "one CPU": lambda: monkeypatch.setattr(ahead, "num_threads", lambda: 1),
        "busy": lambda: monkeypatch.setattr(ahead.os, "getloadavg", lambda: (1.6, 0.0, 0.0), raising=False),
        "no Numba": lambda: monkeypatch.setattr(ahead, "find_spec", lambda name: None),
        "no place": lambda: monkeypatch.setattr(code_cache, "PLACES", ()),
    }
    change.get(why, lambda: None)()
    begin(*RUN, why != "another rank")
    assert started == []


def test_a_machine_that_starts_no_process_goes_on_alone(cold, monkeypatch):
    def refuses(*args, **options):
        raise OSError(11, "no more processes")

    monkeypatch.setattr(ahead.subprocess, "Popen", refuses)
    with ahead.compiling_ahead(*RUN) as helped:
        assert not helped


@pytest.mark.parametrize("name", ["digits", "digits-density", "adding", "copying"])
def test_a_blank_batch_is_like_one_of_the_data(name):
    """Shapes and dtypes, which decide what is compiled."""
    task = get_task(name)
    network, training = task.settings("tiny")
    split = cast(task.load(LoadOptions(None, "tiny", task.length.default if task.length else None))["train"], training.dtype)
    blank, real = ahead.blank_batch(network, training, task.objective), split.take(np.arange(2))
    for a, b in ((blank.x, real.x), (blank.y, real.y)):
        kinds = [array.dtype.kind.replace("u", "i") for array in (a, b)]  # all whole numbers become indices
        assert (a.shape[1:], kinds[0]) == (b.shape[1:], kinds[1])
        assert a.dtype.kind != "f" or a.dtype == b.dtype


def test_large_batches_are_made_smaller():
    task = get_task("scifar10")
    blank = ahead.blank_batch(task.network, task.training, task.objective)
    assert blank.x.size / task.network.d_input * task.network.d_model <= ahead.ENOUGH < blank.x.size * task.network.d_model


def test_noted_loops_do_nothing_and_are_compiled_afterwards(rng):
    @compiled.njit()
    def loop(out, x):
        for i in range(len(x)):
            out[i] = 2 * x[i]

    x, out = rng.standard_normal(5), np.zeros(5)
    with compiled.only_noting() as noted:
        loop(out, x)
    assert not out.any()
    ((function, types),) = noted
    function.compile(types)
    misses = sum(loop.stats.cache_misses.values())
    loop(out, x)
    np.testing.assert_array_equal(out, 2 * x)
    assert len(loop.signatures) == 1
    assert sum(loop.stats.cache_misses.values()) == misses


def ended(helper, seconds=60):
    """Whether it ends within so many seconds."""
    try:
        helper.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_the_helper_ends_with_the_run(tmp_path, monkeypatch):
    """A run that is killed closes its end of the pipe; one that ends by itself stops the helper."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    helper = ahead.start(settings(tmp_path))
    helper.stdin.close()
    assert ended(helper)
    helper = ahead.start(settings(tmp_path))
    ahead.stop(helper)
    assert helper.returncode is not None
    assert not (tmp_path / "marker").exists()
    assert not list((tmp_path / "cache").rglob("*.lock"))


def test_a_helper_that_fails_harms_nothing(tmp_path):
    helper = ahead.start({"path": [], "marker": str(tmp_path / "marker")})
    assert ended(helper)
    ahead.stop(helper)
    assert not (tmp_path / "marker").exists()


# The progress bar


@contextmanager
def bar_of(monkeypatch, watched):
    monkeypatch.setattr("multires_ref.base.streams.Patient.isatty", lambda self: watched)
    with Progress(3, 0, quiet=False) as progress:
        yield progress


def test_a_terminal_names_every_loop_until_the_step_is_done(monkeypatch, capsys):
    with bar_of(monkeypatch, watched=True) as progress:
        for listener in compiled.listeners:
            listener("gelu: gelu rows")
        assert f"{COMPILING}: gelu: gelu rows" in capsys.readouterr().err
        progress.step()
        assert progress.bar.desc == ""
    assert compiled.listeners == []


def test_a_log_has_one_line(monkeypatch, capsys):
    with bar_of(monkeypatch, watched=False):
        for name in ("gelu: gelu rows", "fused: forward"):
            for listener in compiled.listeners:
                listener(name)
    assert capsys.readouterr().err.count(COMPILING) == 1


def test_a_quiet_run_says_nothing(capsys):
    with Progress(3, 0, quiet=True) as progress:
        progress.compiling("fused: forward")
    assert capsys.readouterr().err == ""


# Both together

TRAIN = ["-m", "multires_ref", "train", "digits", "--scale", "tiny", "--epochs", "1", "--out"]


@pytest.mark.slow  # compiles everything twice
def test_a_first_run_with_and_without_the_helper(tmp_path):
    """The same files, bit for bit; together they compile what the run needs once; nothing is left behind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "MULTIRES_", "OMP_"))}
    for helped in ("1", "0"):
        env = kept | {ahead.SWITCH: helped, "NUMBA_CACHE_DIR": str(tmp_path / f"cache{helped}")}
        command = [sys.executable, "-W", "error", *TRAIN, str(tmp_path / f"run{helped}"), "--quiet"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
        time.sleep(0.1)
        assert not list((tmp_path / f"cache{helped}").rglob("*.lock"))
    names = [sorted(path.name for path in (tmp_path / f"cache{helped}").rglob("*.nbc")) for helped in "10"]
    assert names[0] == names[1]
    best = [(tmp_path / f"run{helped}" / "best.safetensors").read_bytes() for helped in "10"]
    assert best[0] == best[1]
