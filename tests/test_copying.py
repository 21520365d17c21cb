"""The copy memory task: the data are what the task says, at any length, and a short run learns to repeat the symbols."""

import json

import numpy as np
import pytest

from multires_ref import load_model
from multires_ref.cli import main
from multires_ref.network.streaming import Stream
from multires_ref.ops.cross_entropy import cross_entropy
from multires_ref.tasks import copying, get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.data import fingerprint
from multires_ref.training.objectives import tag_accuracy

FINGERPRINT = {"train": "(64, 1020) 11b97457", "val": "(32, 1020) 1d92ad79", "test": "(32, 1020) 69604079"}


@pytest.fixture
def fewer(monkeypatch):
    """Parts that are generated and trained on within seconds."""
    monkeypatch.setattr(copying, "SIZES", {"train": 640, "val": 60, "test": 70})


@pytest.mark.parametrize("length", [1, 2, 30, None])
def test_the_symbols_are_asked_for_after_the_sign(length):
    splits = get_task("copying").load(LoadOptions(scale="tiny", length=length))
    T = length or 1000
    for split in splits.values():
        assert split.x.shape == split.y.shape == (len(split), T + 20)
        assert (split.x.dtype, split.y.dtype, split.lengths) == (np.uint8, np.uint8, None)
        for x, y in zip(split.x.tolist(), split.y.tolist(), strict=True):
            symbols = x[:10]
            assert set(symbols) <= set(range(1, 9))
            assert x[10:] == [0] * (T - 1) + [9] * 11
            assert y == [0] * (T + 10) + symbols


def test_every_symbol_is_drawn_equally_often():
    symbols = copying.generate(2_000, 1, np.random.default_rng(0)).x[:, :10]
    counts = np.bincount(symbols.ravel(), minlength=10)[1:9]
    assert counts.sum() == 20_000
    assert ((counts - 2500) ** 2 / 2500).sum() < 24.3  # chi-squared with 7 degrees of freedom: 1 in 1,000


def test_the_data_are_the_same_in_every_run():
    assert fingerprint(get_task("copying").load(LoadOptions(scale="tiny"))) == FINGERPRINT
    assert copying.SIZES == {"train": 10_000, "val": 1_000, "test": 1_000}


def test_what_guessing_costs():
    """The loss of outputs that say 0 up to the sign, then each of the eight symbols with probability 1/8."""
    y = get_task("copying").load(LoadOptions(scale="tiny", length=30))["test"].y
    logits = np.full((len(y), 10, 50), -60.0)
    logits[:, 0, :40] = 0
    logits[:, 1:9, 40:] = 0
    assert cross_entropy(logits, y) == pytest.approx(copying.guessing(30), rel=1e-12)
    assert copying.guessing(1000) == pytest.approx(10 * np.log(8) / 1020)


def test_the_score_is_that_of_the_last_ten_steps(rng):
    y = get_task("copying").load(LoadOptions(scale="tiny", length=30))["test"].y
    outputs = rng.standard_normal((len(y), 10, 50))
    assert tag_accuracy(outputs, y) == (outputs.argmax(axis=1) == y)[:, -10:].mean()


def test_from_training_to_evaluation(fewer, tmp_path, capsys):
    """A run that repeats nearly every symbol after 12 blank steps; what it prints, and its stream."""
    run = tmp_path / "run"
    settings = "--length 12 --d-model 16 --n-layers 2 --epochs 12 --batch-size 20 --lr 0.02 --quiet"
    assert main(["train", "copying", *settings.split(), "--out", str(run)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    score, loss = metrics["test_tag_accuracy"], metrics["test_loss"]
    assert score > 0.9
    assert f"Test accuracy of the tags {100 * score:.1f} %, loss {loss:.3g} (best epoch" in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert (config["length"], config["network"]["max_length"], config["objective"]) == (12, 32, "tagging")
    assert main(["evaluate", str(run)]) == 0
    report, out = json.loads((run / "evaluate-test.json").read_text()), capsys.readouterr().out
    assert (report["examples"], report["tag_accuracy"], report["loss"]) == (70, score, pytest.approx(loss, rel=1e-4))
    test, model = get_task("copying").load(LoadOptions(length=12))["test"], load_model(run)
    said = model(test.x).argmax(axis=1)
    assert report["accuracy_of_all_steps"] == (said == test.y).mean()
    assert "of all steps, those without a tag too: accuracy" in out
    stream = Stream(model, batch=70)
    steps = [stream.step(test.x[:, n]).argmax(axis=1) for n in range(32)]
    np.testing.assert_array_equal(np.stack(steps, axis=1), said)


def test_a_run_can_be_drawn_and_described(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "copying", "--scale", "tiny", "--length", "20", "--quiet", "--out", str(run)]) == 0
    assert main(["info", str(run)]) == 0
    assert "kind                     tagger" in capsys.readouterr().out
    assert main(["figures", "--run", str(run), "--only", "recovered", "memory"]) == 0
    assert main(["sample", str(run)]) == 2
    assert "only an autoregressive network can be sampled from; this one is a tagger" in capsys.readouterr().err


def test_what_the_data_command_says(fewer, tmp_path, capsys):
    assert main(["data", "copying", "--length", "5", "--out", str(tmp_path / "x.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    y = get_task("copying").load(LoadOptions(length=5))["train"].y
    assert lines[1] == "train: 640 examples, x [640, 25] uint8"
    assert lines[2].startswith(f"  0 {640 * 15:,}, 1 {(y == 1).sum():,}, 2 {(y == 2).sum():,}, ")
    assert (tmp_path / "x.png").exists()
