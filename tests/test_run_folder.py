"""One process at a time in a run folder, a start again before the first checkpoint, full disks, closed pipes, signals."""

import errno
import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import types

import pytest
from test_resume import DRIVER, FLAGS, LOOP, STEPS, assert_same_result, resume, start_and_wait, unbroken  # noqa: F401 (a fixture)

from multires_ref.base import files, lock
from multires_ref.base.lock import FolderInUse, FolderLock
from multires_ref.cli import main
from multires_ref.training.console import StopRequest

SHORT = ["train", "digits", "--quiet", "--scale", "tiny", "--epochs", "1", "--engine", "tree"]
COMMAND = f"{shlex.quote(sys.executable)} -m multires_ref.cli"


def names(folder):
    return {path.name for path in folder.iterdir()}


def shell(line, folder):
    """A line of bash whose status is that of its first failing command."""
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=300, cwd=folder)


def test_a_second_process_is_refused_at_once(unbroken, tmp_path, capsys):  # noqa: F811
    process = start_and_wait(tmp_path, LOOP, "train_step", STEPS + 4)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    for more in ([], ["--resume"]):
        assert main([*FLAGS, "--out", str(tmp_path / "run"), *more]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert f"{tmp_path / 'run'} is in use by process {process.pid} on {socket.gethostname()}" in message
    assert main(["evaluate", str(tmp_path / "run")]) == 0  # reading needs no lock
    for name in ("evaluate-test.json", "confusion-test.png"):
        (tmp_path / "run" / name).unlink()
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    process.kill()
    process.communicate()
    resume(tmp_path)
    assert_same_result(tmp_path / "run", unbroken)


def test_the_lock_is_free_again_and_leaves_no_file(tmp_path):
    for _ in range(2):
        with FolderLock(tmp_path):
            assert names(tmp_path) == {".lock"}
            with pytest.raises(FolderInUse, match=f"process {os.getpid()} on"):
                lock.check_free(tmp_path)
        assert names(tmp_path) == set()
    (tmp_path / ".lock").write_text("process 1 on a machine that is gone")  # left by a killed process
    lock.check_free(tmp_path)


def test_a_file_system_without_locks_is_said_aloud(tmp_path, monkeypatch):
    def no_locks(number):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "lock_file", no_locks)
    with pytest.warns(RuntimeWarning, match="cannot be locked"), FolderLock(tmp_path):
        pass


def test_windows_locks_a_byte_far_behind_the_text(tmp_path, monkeypatch):
    held = set()

    def locking(number, mode, count):
        byte = (os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR))
        if byte in held:
            raise PermissionError(errno.EACCES, "Permission denied")
        held.add(byte)

    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(lock, "POSIX", False)
    with FolderLock(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(FolderInUse, match=f"process {os.getpid()} on"):
            FolderLock(tmp_path).__enter__()
    assert names(tmp_path) == set()


def dead_process():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_folder_that_was_stopped_before_its_first_checkpoint_starts_again(unbroken, tmp_path, capsys):  # noqa: F811
    stale = f".last.safetensors.{dead_process()}-1.tmp"
    for n, more in enumerate(([], ["--resume"])):
        run = tmp_path / str(n)
        run.mkdir()
        (run / "config.json").write_bytes((unbroken / "config.json").read_bytes())
        (run / stale).write_bytes(b"half")
        assert main([*FLAGS, "--seed", "9", "--out", str(run), *more]) == 2  # not by another run
        assert "seed (the run: 1; now: 9)" in capsys.readouterr().err
        assert main([*FLAGS, "--out", str(run), *more]) == 0
        assert ("starts from its beginning" in capsys.readouterr().err) == bool(more)
        assert_same_result(run, unbroken)
        assert names(run) == {*run_files(), "curves.png"}


def run_files():
    return {"config.json", "metrics.jsonl", "metrics.json", "last.safetensors", "best.safetensors"}


def test_temporary_files_of_living_processes_stay(tmp_path):
    alive = subprocess.Popen(["sleep", "60"])
    kept, gone = f".a.{alive.pid}-0.tmp", [f".a.{dead_process()}-0.tmp", f".b.{os.getpid()}-7.tmp"]
    for name in (kept, *gone, "a.tmp", ".hidden"):
        (tmp_path / name).touch()
    assert sorted(files.remove_stale(tmp_path)) == sorted(gone)
    assert names(tmp_path) == {kept, "a.tmp", ".hidden"}
    alive.kill()
    alive.wait()


@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_full_disk(n, unbroken, tmp_path, capsys, monkeypatch):  # noqa: F811
    """At the n-th write: config.json, the first checkpoint, or in mid-run."""
    out, calls, fsync = tmp_path / "run", [], os.fsync

    def full(number):
        calls.append(number)
        if len(calls) >= 2 * n - 1:  # every write syncs the file and the folder
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main([*FLAGS, "--out", str(out)]) == (1 if n == 6 else 2)
    message = capsys.readouterr().err
    file = {1: "config.json", 2: "last.safetensors", 6: "last.safetensors"}[n]
    assert f"{out / file}: No space left on device" in message
    assert names(out) == {1: set(), 2: {"config.json"}, 6: {"config.json", "last.safetensors"}}[n]
    if n == 6:
        assert "The last good checkpoint is kept" in message
        epoch, step, steps = map(int, re.search(r"stopped in epoch (\d+) after step (\d+) of (\d+)", message).groups())
        epochs = json.loads((out / "config.json").read_text())["training"]["epochs"]
        assert epoch == 1 + step // (steps // epochs)
        assert message.strip().endswith(f"multires-ref train digits --out {out} --resume")
        resume(tmp_path)
    else:
        assert message.count("\n") == 1
        assert main([*FLAGS, "--out", str(out)]) == 0
    assert_same_result(out, unbroken)


def test_a_limit_on_the_size_of_files(tmp_path):
    """A real error of the system, in a process of its own: config.json fits, the first checkpoint does not."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # noqa: E731
    command = [sys.executable, "-B", "-m", "multires_ref.cli", *SHORT, "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, timeout=300)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "multires-ref: run/last.safetensors: File too large"
    assert "Traceback" not in done.stderr
    assert names(tmp_path / "run") == {"config.json"}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "file is a file, and a run needs a folder"),
        ("file/run", "file/run: Not a directory"),
        ("x" * 300, "File name too long"),
        ("/proc/nothing/run", "/proc/nothing"),
    ],
)
def test_folders_that_cannot_be_made(out, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for more in ([], ["--resume"]):
        assert main([*SHORT, "--out", out, *more]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert more or message in error
    assert names(tmp_path) == {"file"}


def test_a_folder_that_may_only_be_read(unbroken, capsys, monkeypatch):  # noqa: F811
    def read_only(path, flags, mode=0o777, *, dir_fd=None, real=os.open):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    assert main([*FLAGS, "--out", str(unbroken), "--resume"]) == 2
    assert capsys.readouterr().err == f"multires-ref: {unbroken / '.lock'}: Read-only file system\n"


def test_a_long_name_is_written_and_a_longer_one_is_named(tmp_path):
    longest = "é" * 125 + ".json"  # 255 bytes: with the temporary name's ending it would be too long
    files.write_whole(tmp_path / longest, b"1")
    assert names(tmp_path) == {longest}
    with pytest.raises(OSError, match="File name too long.*x{300}"):
        files.write_whole(tmp_path / ("x" * 300), b"1")
    with pytest.raises(NotADirectoryError):
        files.write_whole(tmp_path / longest / "a", b"1")


def test_curves_that_cannot_be_drawn_do_not_hide_the_result(tmp_path, capsys, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device", "run/curves.png")

    monkeypatch.setattr("multires_ref.commands.train.draw_curves", full)
    assert main([*SHORT, "--out", str(tmp_path / "run")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Test accuracy")
    assert "run/curves.png: No space left on device. The run is complete" in err


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        ("RUN info digits | head -1", {0, 141}),
        ("RUN info digits | true", {0, 141}),
        ("PYTHONUNBUFFERED=1 RUN info digits | true", {0, 141}),
        ("RUN info digits >&-", {0}),
        ("RUN info digits 2>&-", {0}),
        ("RUN info digits <&- >&- 2>&-", {0}),
        ("RUN info nothing 2>&-", {2}),
        ("RUN --help | true", {0, 141}),
        ("RUN info --help | true", {0, 141}),
        ("RUN info digits > /dev/full", {2}),
    ],
)
def test_closed_pipes_are_quiet(line, statuses, tmp_path):
    done = shell(line.replace("RUN", COMMAND), tmp_path)
    assert done.returncode in statuses, done.stderr
    assert done.stderr == ("multires-ref: standard output: No space left on device\n" if "full" in line else "")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["| true", "2>&1 | true", ">&- 2>&-", "2> /dev/full"])
@pytest.mark.parametrize("start", ["", "PYTHONUNBUFFERED=1 "])
def test_a_run_that_nobody_watches_is_completed(start, end, tmp_path):
    flags = " ".join(word for word in SHORT if word != "--quiet")
    done = shell(f"{start}{COMMAND} {flags} --out run {end}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert names(tmp_path / "run") == {*run_files(), "curves.png"}


def test_a_closed_stream_does_not_become_a_file(tmp_path):
    """Number 2 must not be given to the next file that is opened: what C code prints there would be written into it."""
    code = "import os; from multires_ref.cli import main; main(['--version'])"
    note = "lambda number=None: (number := os.open('x', os.O_CREAT), open('n', 'w').write(str(number)))"
    code = f"import atexit, os; atexit.register({note}); {code}"
    shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} 2>&- >&-", tmp_path)
    assert int((tmp_path / "n").read_text()) > 2


SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_handlers_are_set_and_put_back(number, capsys):
    def before(number, frame):
        raise AssertionError

    old = signal.signal(number, before)
    try:
        with StopRequest() as stop:
            signal.raise_signal(number)
            assert stop.requested
        assert signal.getsignal(number) is before
        with pytest.raises(ZeroDivisionError), StopRequest():
            raise ZeroDivisionError
        assert signal.getsignal(number) is before
        signal.signal(number, signal.SIG_IGN)  # as nohup does
        with StopRequest() as stop:
            signal.raise_signal(number)
        assert not stop.requested
    finally:
        signal.signal(number, old)
    assert capsys.readouterr().err.count("stopping after this step") == 1


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_ctrl_c_stops_at_once_and_a_second_hangup_does_not(first):
    stop = StopRequest()
    for number in (first, signal.SIGHUP, signal.SIGTERM):
        stop.request(number, None)
    assert stop.requested
    with pytest.raises(KeyboardInterrupt):
        stop.request(signal.SIGINT, None)


def test_a_second_ctrl_c_says_how_to_go_on(unbroken, tmp_path):  # noqa: F811
    process = start_and_wait(tmp_path, LOOP, "train_step", STEPS + 4)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n"
    assert "stopping after this step" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "Stopped at once" in message
    assert "Traceback" not in message
    assert names(tmp_path / "run") == run_files() - {"metrics.json"}
    resume(tmp_path)
    assert_same_result(tmp_path / "run", unbroken)
