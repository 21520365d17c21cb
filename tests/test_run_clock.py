"""Time in a run: when a checkpoint is due, what counts as its seconds, what the progress bar shows, and signals between steps."""

import json
import re
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from multires_ref import NetworkConfig
from multires_ref.training import loop
from multires_ref.training.checkpoint import read_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.console import RunInterrupted
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective

NETWORK = NetworkConfig(1, 2, d_model=3, n_layers=1, max_length=8)
TRAINING = TrainingConfig(epochs=3, batch_size=8, lr=0.02, engine="tree", checkpoint_seconds=1e9)  # epochs of 5 steps
CLASSES = get_objective("classification")


@pytest.fixture
def splits(rng):
    return {
        name: Split(rng.standard_normal((N, 1, 8)), rng.integers(0, 2, N)) for name, N in (("train", 36), ("val", 8), ("test", 8))
    }


def fit(splits, out, training=TRAINING, quiet=True, **options):
    return loop.fit(NETWORK, training, splits, CLASSES, out, quiet=quiet, **options)


def around_steps(patch, before=lambda step: None, after=lambda step: None):
    """Call `before` and `after` every step with its number, counted from 1."""
    step = loop.train_step

    def watched(config, params, state, opt_state, *rest):
        number = opt_state["step"] + 1
        before(number)
        result = step(config, params, state, opt_state, *rest)
        after(number)
        return result

    patch.setattr(loop, "train_step", watched)


@pytest.fixture
def slow_steps(monkeypatch):
    """Every step takes 1,000 seconds more, by the clock. The list holds what the clock is fast."""
    real, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])
    around_steps(monkeypatch, after=lambda _: ahead.__setitem__(0, ahead[0] + 1000))
    return ahead


def record(out):
    return read_checkpoint(out / "last.safetensors")[1]["run"]


def lines(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_checkpoint_is_written_when_the_last_one_is_old(splits, tmp_path, slow_steps, monkeypatch):
    """At the first step that ends more than 2,500 seconds after the last checkpoint, whichever that was."""
    held, seconds = [], []

    def look(_):
        found = record(tmp_path / "run")
        held.append((found["epoch"], found["position"]))
        seconds.append(found["seconds"])

    around_steps(monkeypatch, before=look)
    metrics = fit(splits, tmp_path / "run", replace(TRAINING, checkpoint_seconds=2500.0))
    epochs = [[(n, 0)] * 3 + [(n, 3)] * 2 for n in range(3)]  # seen before each of its five steps
    assert held == [place for epoch in epochs for place in epoch]
    np.testing.assert_allclose(seconds, [1000 * (5 * epoch + position) for epoch, position in held], atol=500)
    np.testing.assert_allclose([line["seconds"] for line in lines(tmp_path / "run")], [5000, 10000, 15000], atol=500)
    assert metrics["seconds"] == pytest.approx(15000, abs=500)
    assert record(tmp_path / "run")["seconds"] == pytest.approx(15000, abs=500)


def test_the_time_between_two_sessions_does_not_count(splits, tmp_path, slow_steps, monkeypatch):
    with monkeypatch.context() as patch:
        around_steps(patch, before=lambda step: signal.raise_signal(signal.SIGTERM) if step == 7 else None)
        with pytest.raises(RunInterrupted, match="stopped in epoch 2 after step 7 of 15; .*run is saved"):
            fit(splits, tmp_path / "run")
    assert record(tmp_path / "run")["seconds"] == pytest.approx(7000, abs=500)
    slow_steps[0] = 0.0  # another session's clock begins anywhere
    metrics = fit(splits, tmp_path / "run", resume=True)
    assert metrics["seconds"] == pytest.approx(15000, abs=500)
    np.testing.assert_allclose([line["seconds"] for line in lines(tmp_path / "run")], [5000, 10000, 15000], atol=500)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_signal_in_validation_stops_the_run_before_its_next_step(epoch, splits, tmp_path, monkeypatch):
    """After the last epoch there is no next step: the run is completed."""
    validations, evaluate = [], loop.evaluate

    def signalled(*args):
        validations.append(1)
        if len(validations) == epoch:
            signal.raise_signal(signal.SIGTERM)
        return evaluate(*args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "evaluate", signalled)
        if epoch == 3:
            assert fit(splits, tmp_path / "run")["epochs"] == 3
        else:
            with pytest.raises(RunInterrupted, match="stopped after epoch 1 of 3; .*run is saved"):
                fit(splits, tmp_path / "run")
    assert (record(tmp_path / "run")["epoch"], record(tmp_path / "run")["step"]) == (epoch, 5 * epoch)


def test_a_run_in_another_thread_leaves_signals_alone(splits, tmp_path):
    before, results = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=lambda: results.append(fit(splits, tmp_path / "run")))
    thread.start()
    thread.join()
    assert results[0]["steps"] == 15
    assert signal.getsignal(signal.SIGINT) is before


def test_the_progress_bar_shows_where_the_run_is(splits, tmp_path, monkeypatch, capsys):
    """Its last state: all steps, and the numbers of the last epoch as they stand in metrics.jsonl; of a resumed run as well."""
    fit(splits, tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    with monkeypatch.context() as patch:
        around_steps(patch, before=lambda step: signal.raise_signal(signal.SIGTERM) if step == 7 else None)
        with pytest.raises(RunInterrupted):
            fit(splits, tmp_path / "run", quiet=False)
    assert re.search(r"47%.* 7/15 \[", last_bar(capsys))
    fit(splits, tmp_path / "run", quiet=False, resume=True)
    bar, last = last_bar(capsys), lines(tmp_path / "run")[-1]
    assert "100%" in bar
    assert " 15/15 [" in bar
    assert f"epoch=3, loss={last['train_loss']:.4f}, lr={last['lr']:.2e}, val_accuracy={last['val_accuracy']:.4f}" in bar


def last_bar(capsys):
    return [part for part in re.split("[\r\n]", capsys.readouterr().err) if "step" in part and "/15" in part][-1]
