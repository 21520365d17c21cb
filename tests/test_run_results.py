"""What stands in a run's files, computed again; and where a number that is not finite is said to come from."""

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.base.agreement import measure
from multires_ref.base.pytrees import flatten
from multires_ref.training import loop
from multires_ref.training.checkpoint import load_run, read_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, cast
from multires_ref.training.evaluate import evaluate, predict
from multires_ref.training.objectives import get_objective
from multires_ref.training.step import NonFiniteLoss, all_finite, first_bad_array

NETWORK = NetworkConfig(1, 3, d_model=6, n_layers=2, max_length=12)
TRAINING = TrainingConfig(epochs=2, batch_size=8, lr=0.02, engine="tree")
CLASSES, LABELS = get_objective("classification"), get_objective("multilabel")


@pytest.fixture
def splits(rng):
    return {
        name: Split(rng.standard_normal((N, 1, 12)), rng.integers(0, 3, N))
        for name, N in (("train", 30), ("val", 19), ("test", 13))
    }


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_every_number_of_the_result(splits, tmp_path):
    about = {"task": "mine", "scale": "tiny"}
    metrics = loop.fit(NETWORK, replace(TRAINING, epochs=5), splits, CLASSES, tmp_path / "run", about=about, quiet=True)
    tensors, kept = read_checkpoint(tmp_path / "run/best.safetensors")
    table = rows(tmp_path / "run")
    best = table[metrics["best_epoch"] - 1]
    assert kept["best"] == {"epoch": metrics["best_epoch"], "val_accuracy": best["val_accuracy"]}
    assert metrics["val_accuracy"] == best["val_accuracy"]
    assert metrics["parameters"] == sum(array.size for name, array in tensors.items() if name.startswith("params."))
    assert (metrics["epochs"], metrics["steps"]) == (5, 20)
    assert metrics.keys() == {
        *("test_accuracy", "test_loss", "val_accuracy", "best_epoch", "epochs", "steps", "parameters", "seconds"),
    }
    config = json.loads((tmp_path / "run/config.json").read_text())
    for found in (config, kept, read_checkpoint(tmp_path / "run/last.safetensors")[1]):
        assert {name: found[name] for name in about} == about
        assert NetworkConfig.from_dict(found["network"]) == NETWORK
        assert TrainingConfig.from_dict(found["training"]) == replace(TRAINING, epochs=5)
        assert (found["objective"], found["device"]) == ("classification", "cpu")
        assert found["data"] == config["data"]
    assert read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]["best_loss"] == best["val_loss"]


@pytest.mark.parametrize("engine", ["tree", "fft"])
def test_every_part_of_a_run_uses_the_engine_and_the_batches_of_its_settings(engine, splits, tmp_path):
    """Two engines differ in the last bits of their outputs: here the score is a fingerprint of these."""
    batches = []

    def loss(outputs, targets):
        batches.append(len(targets))
        return CLASSES.loss(outputs, targets)

    def fingerprint(outputs, targets):
        return float(zlib.crc32(outputs.tobytes()))

    bits = replace(CLASSES, loss=loss, score=fingerprint)
    metrics = loop.fit(NETWORK, replace(TRAINING, engine=engine), splits, bits, tmp_path / "run", quiet=True)
    assert batches == 2 * [8, 8, 8, 6, 8, 8, 3] + [8, 5]  # training and validation in two epochs, then the test part
    model = load_run(tmp_path / "run")
    for part in ("val", "test"):
        marks = {name: evaluate(model, cast(splits[part], "float32"), bits, 8, name)["accuracy"] for name in ("tree", "fft")}
        assert marks["tree"] != marks["fft"]
        assert metrics[f"{part}_accuracy"] == marks[engine]


def test_steps_are_taken_with_the_engine_of_the_settings(splits, tmp_path):
    for engine in ("tree", "fft"):
        loop.fit(NETWORK, replace(TRAINING, engine=engine), splits, CLASSES, tmp_path / engine, quiet=True)
    one, two = (read_checkpoint(tmp_path / engine / "last.safetensors")[0] for engine in ("tree", "fft"))
    differs = [name for name in one if name.startswith("params.") and not np.array_equal(one[name], two[name])]
    assert differs
    for name in differs:
        assert measure(one[name], two[name], 1e-2, noise=1e-3).passed, name


def test_a_model_is_scored_with_the_engine_that_is_named(splits, rng):
    model, split = Model.init(NETWORK, rng, "float64"), splits["val"]
    with pytest.raises(ValueError, match="engine"):
        evaluate(model, split, CLASSES, engine="tre")
    with pytest.raises(ValueError, match="engine"):
        predict(model, split.x, engine="tre")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        predict(model, split.x, batch_size=0)


def test_labels_without_a_curve_are_those_of_the_test_part(rng, tmp_path):
    """The second label is in every test example, the third in none of validation."""
    parts = {name: Split(rng.standard_normal((12, 1, 12)), np.tile([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]], (6, 1))) for name in "abc"}
    splits = dict(zip(("train", "val", "test"), parts.values(), strict=True))
    splits["test"].y[:, 1] = 1.0
    splits["val"].y[:, 2] = 0.0
    metrics = loop.fit(NETWORK, TRAINING, splits, LABELS, tmp_path / "run", quiet=True)
    assert metrics["test_left_out"] == [1]


def test_a_loss_that_is_not_finite_in_validation_is_said_to_be_there(splits, tmp_path):
    splits["val"].x[3] = 3e38
    with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss) as caught:
        loop.fit(replace(NETWORK, norm="batch"), TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    for words in ("in validation after epoch 1: the loss of the evaluated split is", "kept: ", "last.safetensors"):
        assert words in str(caught.value)
    assert read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]["step"] == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json", "last.safetensors"}


def test_a_loss_whose_layers_are_all_finite_is_said_to_be_the_loss(splits, tmp_path, monkeypatch):
    fresh = loop.new_run

    def planted(*args):
        run = fresh(*args)
        run.params["decoder"]["bias"][:] = [3e38, -3e38, -3e38]  # their difference is not finite in float32
        return run

    monkeypatch.setattr(loop, "new_run", planted)
    with pytest.raises(NonFiniteLoss, match="step 1 of 4: every layer's output is finite: it appeared in the loss itself"):
        loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)


def test_a_step_whose_loss_is_not_finite_changes_nothing(splits, rng):
    run = loop.new_run(NETWORK, TRAINING, "cpu")
    run.params["decoder"]["bias"][0] = np.nan
    before = {name: array.copy() for name, array in flatten(run.params).items()}
    batch, made = cast(splits["val"], "float32"), (run.params, run.norm_state, run.optimizer_state)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss, match="the loss is nan"):
        loop.train_step(NETWORK, *made, batch, 0.1, run.rng, CLASSES, TRAINING)
    assert run.step == 0
    assert not any(array.any() for name in "mv" for array in flatten(run.optimizer_state[name]).values())
    for name, array in flatten(run.params).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_array_is_found_whatever_is_bad(bad):
    good, one = np.ones((2, 3)), np.ones((2, 3))
    one[1, 2] = bad
    assert all_finite(good)
    assert not all_finite(one)
    assert first_bad_array({"a": good, "b": [good, {"c": one, "d": one}]}) == "b.1.c"
    assert first_bad_array({"a": good}) is None
