"""A run that is killed, or stopped by Ctrl-C, and resumed is bit for bit the run that never stopped."""

import json
import shlex
import signal
import subprocess
import sys
import time

import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file, save_file

from multires_ref.cli import main
from multires_ref.training.checkpoint import read_checkpoint

FLAGS = [
    *("train", "digits", "--quiet", "--scale", "tiny", "--epochs", "3", "--batch-size", "8", "--dropout", "0.2"),
    *("--warmup-epochs", "0.5", "--checkpoint-seconds", "0"),  # a checkpoint after every step
]
LOOP = "multires_ref.training.loop"
STEPS = 8  # of one epoch: 64 examples in batches of 8

# A run that waits at one call of one function, says so, and goes on when told; whoever waits for it can kill it there.
DRIVER = """
import os, signal, sys, time
from importlib import import_module
from multires_ref.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts in the background ignore it
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and so does nohup
place, name, call, folder = sys.argv[1:5]
module = import_module(place)
original, calls = getattr(module, name), 0

def waiting(*args, **kwargs):
    global calls
    calls += 1
    if calls == int(call):
        open(f"{folder}/waiting", "w").close()
        while not os.path.exists(f"{folder}/go"):
            time.sleep(0.01)
    return original(*args, **kwargs)

setattr(module, name, waiting)
sys.exit(main(sys.argv[5:]))
"""


def start_and_wait(folder, place, name, call):
    """A subprocess that trains into folder/run and now waits at that call of that function."""
    command = [sys.executable, "-c", DRIVER, place, name, str(call), str(folder)]
    process = subprocess.Popen([*command, *FLAGS, "--out", str(folder / "run")], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / "waiting").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def resume(folder):
    assert main([*FLAGS, "--out", str(folder / "run"), "--resume"]) == 0


def without_times(values):
    return {name: value for name, value in values.items() if name != "seconds"}


def assert_same_result(one, two):
    """Parameters, moments, generator, metrics: everything but times."""
    for name in ("last.safetensors", "best.safetensors"):
        (a, about_a), (b, about_b) = read_checkpoint(one / name), read_checkpoint(two / name)
        assert a.keys() == b.keys()
        for key in a:
            assert_array_equal(a[key], b[key], err_msg=f"{name} {key}", strict=True)
        assert without_times(about_a.pop("run", {})) == without_times(about_b.pop("run", {}))
        assert about_a == about_b
    lines = [[without_times(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, two)]
    assert lines[0] == lines[1]
    results = [without_times(json.loads((run / "metrics.json").read_text())) for run in (one, two)]
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert main([*FLAGS, "--out", str(run)]) == 0
    return run


KILLS = {  # where, function, which call: (epochs, batches) that the checkpoint then holds
    "in a step in mid-epoch": (LOOP, "train_step", STEPS + 4, (1, 3)),
    "while a checkpoint is written": ("os", "fsync", 2 * (1 + 1 + STEPS + 3 + 3) + 1, (1, 3)),  # file and folder, each write
    "between best and last": (LOOP, "write_lines", 2, (1, STEPS)),
    "before the test score": (LOOP, "load_run", 1, (3, 0)),
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_resumes_exactly(kill, unbroken, tmp_path):
    place, name, call, held = KILLS[kill]
    process = start_and_wait(tmp_path, place, name, call)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    about = read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]
    assert (about["epoch"], about["position"]) == held
    resume(tmp_path)
    assert_same_result(tmp_path / "run", unbroken)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(number, unbroken, tmp_path):
    process = start_and_wait(tmp_path, LOOP, "train_step", STEPS + 4)
    process.send_signal(number)
    (tmp_path / "go").touch()
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 130, message
    about = read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]
    assert (about["epoch"], about["position"]) == (1, 4)  # the step in progress was finished
    command = shlex.split(message.strip().splitlines()[-1])
    assert command[:3] == ["multires-ref", "train", "digits"]
    assert main([*command[1:], "--quiet"]) == 0
    assert_same_result(tmp_path / "run", unbroken)


def test_lines_later_than_the_checkpoint_are_dropped(unbroken, tmp_path):
    """As after a kill between an epoch's line and its checkpoint, which the two files' order makes possible."""
    process = start_and_wait(tmp_path, LOOP, "train_step", STEPS + 4)
    process.kill()
    process.communicate()
    path = tmp_path / "run/metrics.jsonl"
    path.write_text(path.read_text() + json.dumps({"epoch": 2, "train_loss": -1}) + "\n")
    resume(tmp_path)
    assert_same_result(tmp_path / "run", unbroken)


def test_resuming_a_finished_run_changes_nothing(unbroken, capsys):
    before = {path.name: path.read_bytes() for path in unbroken.iterdir() if path.name != "curves.png"}
    assert main([*FLAGS, "--out", str(unbroken), "--resume"]) == 0
    assert "Test accuracy" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in unbroken.iterdir() if path.name != "curves.png"} == before


@pytest.fixture
def stopped(unbroken, tmp_path):
    """A folder as of a run that stopped before its last line."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "last.safetensors", "best.safetensors", "metrics.jsonl"):
        (run / name).write_bytes((unbroken / name).read_bytes())
    return run


def refused(run, capsys, *flags):
    """The message with which `train` refuses; nothing in the folder may change by it."""
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(["train", "digits", "--quiet", "--out", str(run), *flags]) == 2
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    return capsys.readouterr().err


def test_a_folder_in_use_is_refused(stopped, capsys):
    message = refused(stopped, capsys)
    assert "is not empty" in message
    assert "--resume" in message


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--lr", "0.5"], ["lr"]),
        (["--seed", "7", "--norm", "layer"], ["seed", "norm"]),
        (["--scale", "full"], ["scale"]),
        (["--d-model", "9"], ["d_model"]),
    ],
)
def test_changed_settings_are_refused_by_name(stopped, capsys, flags, names):
    message = refused(stopped, capsys, "--resume", *flags)
    assert "settings differ" in message
    for name in names:
        assert f"{name} (the run: " in message


def test_an_edited_config_is_noticed(stopped, capsys):
    config = json.loads((stopped / "config.json").read_text())
    config["training"]["weight_decay"] = 0.5
    (stopped / "config.json").write_text(json.dumps(config))
    assert "training.weight_decay (the run: " in refused(stopped, capsys, "--resume")


def test_other_data_are_noticed(stopped, capsys, monkeypatch):
    from multires_ref.tasks import digits

    monkeypatch.setattr(digits, "SPLIT_SEED", 1)
    assert "data.train (the run: " in refused(stopped, capsys, "--resume")


def test_damaged_and_foreign_checkpoints_are_refused_and_left_alone(stopped, capsys):
    path = stopped / "last.safetensors"
    whole, tensors = path.read_bytes(), load_file(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(stopped, capsys, "--resume")
    save_file(tensors, path)
    assert "not written by multires_ref" in refused(stopped, capsys, "--resume")
    path.write_bytes((stopped / "best.safetensors").read_bytes())
    assert "no run to resume" in refused(stopped, capsys, "--resume")
    path.unlink()
    assert "no checkpoint" in refused(stopped, capsys, "--resume")


def test_folders_that_hold_no_run_are_refused(tmp_path, capsys):
    assert "not a run folder" in refused(tmp_path, capsys, "--resume")
    assert main(["train", "digits", "--resume"]) == 2
    assert "--out" in capsys.readouterr().err
