"""Settings of a run: their defaults and ranges, what goes together, and which of them may change when a run goes on."""

import signal
from dataclasses import replace

import numpy as np
import pytest
from cases import plant_engine

from multires_ref import NetworkConfig
from multires_ref.training import loop
from multires_ref.training.checkpoint import read_checkpoint, save_checkpoint
from multires_ref.training.config import TrainingConfig, check_compatible
from multires_ref.training.console import RunInterrupted
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective

NETWORK = NetworkConfig(1, 2, d_model=3, n_layers=1, max_length=8)
TRAINING = TrainingConfig(epochs=2, batch_size=8, lr=0.02, engine="tree")
CLASSES = get_objective("classification")


@pytest.fixture
def splits(rng):
    return {
        name: Split(rng.standard_normal((N, 1, 8)), rng.integers(0, 2, N)) for name, N in (("train", 20), ("val", 8), ("test", 8))
    }


@pytest.fixture
def stopped(splits, tmp_path, monkeypatch):
    """A run that was stopped in the last batch of its first epoch."""
    step = loop.train_step

    def interrupted(config, params, state, opt_state, *rest):
        result = step(config, params, state, opt_state, *rest)
        if opt_state["step"] == 3:
            signal.raise_signal(signal.SIGTERM)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted)
        with pytest.raises(RunInterrupted):
            loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", about={"task": "a", "scale": "b"}, quiet=True)
    return tmp_path / "run"


def go_on(splits, out, network=NETWORK, training=TRAINING, task="a", scale="b"):
    return loop.fit(network, training, splits, CLASSES, out, resume=True, about={"task": task, "scale": scale}, quiet=True)


def test_what_is_not_given():
    assert TrainingConfig(3, 5, 0.1).to_dict() == {
        "epochs": 3,
        "batch_size": 5,
        "lr": 0.1,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "warmup_epochs": 0.0,
        "clip": None,
        "seed": 1,
        "dtype": "float32",
        "engine": "auto",
        "bucket": False,
        "checkpoint_seconds": 60.0,
    }


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("epochs", [1], [0, -1, 2.0, True]),
        ("batch_size", [1, 10**6], [0, -1, 1.5]),
        ("seed", [0, 2**40], [-1, 0.5, None]),
        ("lr", [0, 1e6], [-1e-9, 2e6, np.nan, np.inf, "1"]),
        ("weight_decay", [0, 1e6], [-1e-9, 2e6, np.nan]),
        ("warmup_epochs", [0, 0.5, 2], [-0.1, 2.1, np.nan]),
        ("checkpoint_seconds", [0, 1e9], [-1, 2e9, np.nan]),
        ("clip", [None, 1e-9, 1e30], [0, 0.0, -1, np.nan, np.inf, True]),
        ("bucket", [True, False], [1, 0, "yes", None]),
        ("optimizer", ["adam", "adamw"], ["sgd", None, ""]),
        ("dtype", ["float32", "float64"], ["float16", "int32", float]),
        ("engine", ["auto", "tree", "fft", "fused"], ["tre", "", None]),
    ],
)
def test_the_range_of_every_setting(name, good, bad):
    for value in good:
        assert getattr(replace(TRAINING, **{name: value}), name) == value
    for value in bad:
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
            replace(TRAINING, **{name: value})


def test_settings_come_back_from_what_json_holds():
    training = TrainingConfig(3, 5, 0.1, "adam", 0.2, 0.5, 1.5, 7, "float64", "fft", True, 9.0)
    assert TrainingConfig.from_dict(training.to_dict()) == training
    with pytest.raises(ValueError, match="setting must be one of .*got 'epoch' .did you mean 'epochs'"):
        TrainingConfig.from_dict({"epoch": 3})


def test_other_settings_and_data_are_refused_by_name(splits, stopped):
    """Also where nobody compares them before `fit`; nothing in the folder changes."""
    other = {name: Split(split.x.copy(), split.y.copy()) for name, split in splits.items()}
    other["test"].y[2] = 1 - other["test"].y[2]
    cases = {
        "network.dropout (the run: 0.0; now: 0.5)": {"network": replace(NETWORK, dropout=0.5)},
        "training.lr (the run: 0.02; now: 0.03)": {"training": replace(TRAINING, lr=0.03)},
        "training.seed (the run: 1; now: 2)": {"training": replace(TRAINING, seed=2)},
        "training.engine (the run: tree; now: fft)": {"training": replace(TRAINING, engine="fft")},
        "task (the run: a; now: x)": {"task": "x"},
        "scale (the run: b; now: y)": {"scale": "y"},
        "data.test (the run: (8, 1, 8) ": {"splits": other},
    }
    before = {path.name: path.read_bytes() for path in stopped.iterdir()}
    for words, change in cases.items():
        with pytest.raises(ValueError, match="cannot resume .*run: these settings differ: ") as caught:
            go_on(**{"splits": splits, "out": stopped} | change)
        assert words in str(caught.value)
        assert str(caught.value).count("(the run: ") == 1
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == before


def test_another_objective_is_refused(splits, stopped):
    labelled = {name: Split(split.x, np.eye(2)[split.y]) for name, split in splits.items()}
    with pytest.raises(ValueError, match="objective .the run: classification; now: multilabel."):
        loop.fit(NETWORK, TRAINING, labelled, get_objective("multilabel"), stopped, resume=True, quiet=True)


def test_how_often_checkpoints_are_written_may_change(splits, stopped):
    metrics = go_on(splits, stopped, training=replace(TRAINING, checkpoint_seconds=0.0))
    assert metrics["steps"] == 6


def test_a_run_that_stopped_after_an_epoch_s_last_batch(splits, stopped):
    """Its record counts the short last batch as what it is."""
    record = read_checkpoint(stopped / "last.safetensors")[1]["run"]
    assert (record["epoch"], record["position"], record["weight"]) == (0, 3, 20)
    assert go_on(splits, stopped)["steps"] == 6


@pytest.mark.parametrize("name", ["best_epoch", "best_score", "best_loss"])
def test_nothing_is_best_before_the_first_epoch_has_finished(name, splits, stopped):
    path = stopped / "last.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, tensors, about | {"run": about["run"] | {name: 1}})
    with pytest.raises(ValueError, match=f"{name} must be null before the first epoch has finished; got 1"):
        go_on(splits, stopped)


def test_sums_are_those_of_the_present_epoch(splits, tmp_path):
    """No batch is left after the last epoch, and between two epochs nothing has been summed."""
    loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", about={"task": "a", "scale": "b"}, quiet=True)
    path = tmp_path / "run/last.safetensors"
    (tmp_path / "run/metrics.json").unlink()
    tensors, about = read_checkpoint(path)
    bad = {
        "position must be between 0 and 0; got 1": ({"order": np.arange(20)}, {"position": 1, "step": 7, "weight": 8}),
        "loss_sum must be 0 between two epochs; got 0.5": ({}, {"loss_sum": 0.5}),
    }
    for words, (arrays, numbers) in bad.items():
        save_checkpoint(path, tensors | arrays, about | {"run": about["run"] | numbers})
        with pytest.raises(ValueError, match=words):
            go_on(splits, tmp_path / "run")


DENSITY = {"kind": "autoregressive", "d_model": 4, "n_layers": 1, "max_length": 8}


@pytest.mark.parametrize(
    ("network", "objective", "words"),
    [
        (NetworkConfig(1, 3, **DENSITY), "classification", "kind must be 'classifier' for classification"),
        (NetworkConfig(1, 3, **DENSITY), "multilabel", "kind must be 'classifier' for multilabel"),
        (NETWORK, "density", "kind must be 'autoregressive' for a density"),
        (NetworkConfig(5, 3, encoder="embedding", **DENSITY), "density", "encoder must be 'linear' for a density"),
        (NetworkConfig(1, 4, **DENSITY), "density", "d_output must be a multiple of 3 for d_input=1.*; got 4"),
        (NetworkConfig(3, 15, **DENSITY), "density", "d_output must be a multiple of 10 for d_input=3.*; got 15"),
    ],
)
def test_what_does_not_go_together(network, objective, words):
    with pytest.raises(ValueError, match=words):
        check_compatible(network, TRAINING, objective)
    for good, name in ((NETWORK, "classification"), (NetworkConfig(1, 6, **DENSITY), "density")):
        check_compatible(good, TRAINING, name)


def test_an_engine_without_its_library_or_device_is_refused_before_any_work(monkeypatch):
    with pytest.raises(
        ValueError, match="engine must be auto or one of fft, fused, tree for device='cpu'; got 'gpu'.*the gpu alone"
    ):
        check_compatible(NETWORK, replace(TRAINING, engine="gpu"), "classification")
    with pytest.raises(ValueError, match="got 'fused', which runs on the cpu alone"):
        check_compatible(NETWORK, replace(TRAINING, engine="fused"), "classification", "gpu")
    plant_engine(monkeypatch, "fused", problem=lambda: "pip install numba")
    with pytest.raises(ImportError, match="engine='fused' needs Numba: pip install numba"):
        check_compatible(NETWORK, replace(TRAINING, engine="fused"), "classification")
    check_compatible(NETWORK, TRAINING, "classification")
