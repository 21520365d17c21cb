"""`multires-ref tutorials` hands options on to JupyterLab, and leaves no process behind when it is ended."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from multires_ref.cli import main
from multires_ref.commands import tutorials

STAND_IN = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN) if "--stubborn" in sys.argv else None
pathlib.Path("started.tmp").write_text(f"{os.getpid()} {' '.join(sys.argv[1:])}")
os.replace("started.tmp", "started")
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path):
    """A folder with tutorials, and a package jupyterlab that notes its process and its arguments and then waits."""
    (tmp_path / "tutorials").mkdir()
    (tmp_path / "jupyterlab").mkdir()
    (tmp_path / "jupyterlab/__init__.py").write_text("")
    (tmp_path / "jupyterlab/__main__.py").write_text(STAND_IN)
    return tmp_path


def begin(place, *words):
    """The command in a process of its own, and what the stand-in noted: (process, id of the stand-in, its arguments)."""
    code = f"import sys; from multires_ref.cli import main; sys.exit(main({['tutorials', *words]!r}))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(place), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=place, env=env, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (place / "started").exists() or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    number, *arguments = (place / "started").read_text().split()
    return process, int(number), arguments


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def runs(number):
    """Whether a process with that id is there."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("name", "status"), [("SIGINT", 130), ("SIGTERM", 128 + signal.SIGTERM), ("SIGHUP", 128 + getattr(signal, "SIGHUP", 1))]
)
def test_jupyterlab_ends_with_the_command(place, name, status):
    process, number, arguments = begin(place, "--", "--no-browser", "--port", "9999")
    assert arguments == ["tutorials", "--no-browser", "--port", "9999"]
    process.send_signal(getattr(signal, name))
    try:
        assert process.wait(60) == status
        assert not runs(number), "JupyterLab outlived the command"
    finally:
        if runs(number):
            os.kill(number, signal.SIGKILL)
    with process:
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_one_that_does_not_listen_is_killed(place, monkeypatch):
    child = subprocess.Popen
    seen = []
    monkeypatch.chdir(place)
    monkeypatch.setattr(tutorials.subprocess, "Popen", lambda *a, **k: seen.append(child(*a, **k)) or seen[-1])
    monkeypatch.setenv("PYTHONPATH", str(place))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    with pytest.raises(KeyboardInterrupt):
        tutorials.run_to_the_end([sys.executable, "-m", "jupyterlab", "--stubborn"], patience=0.3)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert seen[0].poll() == -signal.SIGKILL


def test_its_exit_status_is_handed_back(monkeypatch, tmp_path):
    (tmp_path / "jupyterlab").mkdir()
    (tmp_path / "jupyterlab/__init__.py").write_text("")
    (tmp_path / "jupyterlab/__main__.py").write_text("import sys; sys.exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    before = signal.getsignal(signal.SIGTERM)
    assert main(["tutorials", "--folder", str(tmp_path)]) == 7
    assert signal.getsignal(signal.SIGTERM) is before


def test_options_are_not_for_building(tmp_path, capsys):
    assert main(["tutorials", "--folder", str(tmp_path), "--build", "--", "--no-browser"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_the_real_jupyterlab_is_started_and_ended(tmp_path):
    """On a free port, without a browser: it answers, and after SIGTERM nothing listens there."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    port = free_port()
    options = ["--folder", str(tmp_path), "--", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    command = [sys.executable, "-m", "multires_ref", "tutorials", *options]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(lambda: answers(port) or process.poll() is not None, 120)
            assert process.poll() is None, (tmp_path / "log").read_text()
        finally:
            process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    wait_for(lambda: not answers(port))


def answers(port):
    """Whether something listens."""
    with socket.socket() as place:
        return place.connect_ex(("127.0.0.1", port)) == 0
