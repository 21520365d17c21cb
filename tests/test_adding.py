"""The adding problem: the data are what the task says, at any length, and a short run learns them."""

import json

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.tasks import adding, get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.data import fingerprint

FINGERPRINT = {"train": "(64, 2, 600) 99583cd4", "val": "(32, 2, 600) c49828d3", "test": "(32, 2, 600) dd26d055"}
SMALL = ["--length", "20", "--d-model", "8", "--n-layers", "2", "--quiet"]


@pytest.fixture
def fewer(monkeypatch):
    """Parts that are generated and trained on within a second."""
    monkeypatch.setattr(adding, "SIZES", {"train": 400, "val": 100, "test": 120})


@pytest.mark.parametrize("length", [2, 3, 40, None])
def test_the_target_is_the_sum_of_the_two_marked_numbers(length):
    splits = get_task("adding").load(LoadOptions(scale="tiny", length=length))
    assert {name: len(split) for name, split in splits.items()} == {"train": 64, "val": 32, "test": 32}
    for split in splits.values():
        assert (split.x.shape[1:], split.y.shape[1:], split.lengths) == ((2, length or 600), (1,), None)
        assert (split.x.dtype, split.y.dtype) == (np.float32, np.float32)
        for (values, marks), (y,) in zip(split.x, split.y, strict=True):
            assert sorted(marks) == [0] * (len(marks) - 2) + [1, 1]
            one, two = values[marks == 1]
            assert y == one + two
            assert ((values >= 0) & (values < 1)).all()


def test_values_and_marks_are_uniform():
    """Every pair of steps equally often, by the chi-squared statistic; the variance of a sum is 1/6."""
    split = adding.generate(30_000, 5, np.random.default_rng(0))
    _, counts = np.unique(split.x[:, 1], axis=0, return_counts=True)
    assert len(counts) == 10
    assert ((counts - 3000) ** 2 / 3000).sum() < 27.9  # chi-squared with 9 degrees of freedom: 1 in 1,000
    assert split.y.var() == pytest.approx(1 / 6, rel=0.03)
    assert split.x[:, 0].mean() == pytest.approx(0.5, abs=0.01)


def test_the_data_are_the_same_in_every_run_and_parts_differ():
    load = get_task("adding").load
    assert fingerprint(load(LoadOptions(scale="tiny"))) == FINGERPRINT
    splits = load(LoadOptions(scale="tiny"))
    assert not np.isin(splits["val"].x[:, 0], splits["train"].x[:, 0]).all(axis=1).any()


def test_the_sizes_are_the_published_ones():
    assert adding.SIZES == {"train": 50_000, "val": 1_000, "test": 1_000}


def test_from_training_to_evaluation(fewer, tmp_path, capsys):
    """The length stands in the run, holds on resuming and in evaluation; the mean squared error is shown beside R^2."""
    run = tmp_path / "run"
    assert main(["train", "adding", *SMALL, "--epochs", "12", "--batch-size", "20", "--lr", "0.02", "--out", str(run)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    r2, mse = metrics["test_r2"], metrics["test_loss"]
    assert r2 > 0.8
    y = get_task("adding").load(LoadOptions(length=20))["test"].y
    assert r2 == pytest.approx(1 - mse / y.var(dtype=float), abs=1e-5)
    assert (
        f"Test R^2 {r2:.5f}, mean squared error {mse:.3g}, mean absolute error {metrics['test_mae']:.3g} (best epoch"
        in capsys.readouterr().out
    )
    config = json.loads((run / "config.json").read_text())
    assert (config["length"], config["network"]["max_length"], config["objective"]) == (20, 20, "regression")
    assert main(["evaluate", str(run)]) == 0
    report, out = json.loads((run / "evaluate-test.json").read_text()), capsys.readouterr().out
    assert (report["examples"], report["loss"], report["r2"]) == (120, pytest.approx(mse, rel=1e-4), pytest.approx(r2, rel=1e-4))
    assert list(report["mae"]) == ["sum"]
    assert f"R^2 {r2:.4f}, loss {mse:.3g}, the mean squared error" in out
    assert main(["train", "adding", "--resume", "--out", str(run), "--quiet"]) == 0
    assert main(["train", "adding", "--resume", "--out", str(run), "--length", "21"]) == 2
    assert "these settings differ: length (the run: 20; now: 21)" in capsys.readouterr().err


def test_a_run_can_be_drawn_and_described(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "adding", "--scale", "tiny", "--length", "32", "--quiet", "--out", str(run)]) == 0
    assert main(["info", str(run)]) == 0
    assert "max_length               32" in capsys.readouterr().out
    assert main(["figures", "--run", str(run), "--only", "recovered"]) == 0
    assert main(["sample", str(run)]) == 2
    assert "only an autoregressive network can be sampled from" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "data"])
def test_lengths_that_are_refused(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([command, "adding", "--length", "1"]) == 2
    assert "--length must be at least 2; got 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_data_that_do_not_fit_into_memory_are_refused_before_they_are_generated(tmp_path, capsys):
    for length in (10**8, 10**14):
        assert main(["train", "adding", "--length", str(length), "--out", str(tmp_path / "run")]) == 2
        assert f"length {length:,} is too large: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_tasks_have_the_length_that_they_have(capsys):
    assert main(["train", "digits", "--length", "60"]) == 2
    error = capsys.readouterr().err
    assert "--length is for tasks that generate their sequences at any length; those of task digits have theirs; got 60" in error


def test_what_the_data_command_says(fewer, capsys):
    assert main(["data", "adding", "--length", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    y = get_task("adding").load(LoadOptions(length=30))["train"].y
    assert lines[1] == "train: 400 examples, x [400, 2, 30] float32"
    assert lines[3] == f"  y {y.min():.3f} to {y.max():.3f}, mean {y.mean():.3f}, standard deviation {y.std():.3f}"
