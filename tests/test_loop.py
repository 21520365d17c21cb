"""The loop: it learns, keeps its files, repeats itself bit for bit, and stops where numbers are not finite."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from multires_ref import NetworkConfig, init_params, init_state
from multires_ref.base.agreement import measure
from multires_ref.base.pytrees import flatten
from multires_ref.network.norms import NORMS
from multires_ref.training import loop
from multires_ref.training.checkpoint import load_run, read_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, cast, epoch_order
from multires_ref.training.evaluate import evaluate, predict
from multires_ref.training.objectives import get_objective
from multires_ref.training.step import NonFiniteLoss, first_bad_layer, loss_and_gradients

NETWORK = NetworkConfig(1, 2, d_model=6, n_layers=2, max_length=12, dropout=0.1)
TRAINING = TrainingConfig(epochs=3, batch_size=8, lr=0.02)
CLASSES = get_objective("classification")


def rising_or_falling(rng, N):
    """Noisy lines that rise (class 1) or fall (class 0): [N, 1, 12]."""
    y = rng.integers(0, 2, N)
    return Split(((2 * y - 1)[:, None, None] * np.linspace(-1, 1, 12) + 0.1 * rng.standard_normal((N, 1, 12))), y)


@pytest.fixture
def splits(rng):
    return {name: rising_or_falling(rng, N) for name, N in (("train", 60), ("val", 20), ("test", 20))}


def tensors(path):
    return read_checkpoint(path)[0]


def lines(out):
    """The lines of metrics.jsonl without their times."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def assert_same_run(one, two):
    assert lines(one) == lines(two)
    for name in ("last.safetensors", "best.safetensors"):
        a, b = tensors(one / name), tensors(two / name)
        assert a.keys() == b.keys()
        for key in a:
            assert_array_equal(a[key], b[key], err_msg=f"{name} {key}", strict=True)


def test_a_run_learns_and_leaves_its_files(splits, tmp_path):
    metrics = loop.fit(NETWORK, replace(TRAINING, epochs=8), splits, CLASSES, tmp_path / "run", quiet=True)
    assert metrics["test_accuracy"] >= 0.95
    assert metrics["steps"] == 8 * 8  # 60 examples in batches of 8: the last one is short
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == metrics
    rows = lines(tmp_path / "run")
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "metrics.jsonl", "metrics.json", "last.safetensors", "best.safetensors"}


def test_the_best_epoch_is_kept_and_tested(splits, tmp_path):
    metrics = loop.fit(NETWORK, replace(TRAINING, epochs=6), splits, CLASSES, tmp_path / "run", quiet=True)
    rows = lines(tmp_path / "run")
    scores = [row["val_accuracy"] for row in rows]
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"]))  # of equal scores the lower loss
    assert metrics["best_epoch"] == best["epoch"]
    assert scores.count(max(scores)) > 1  # so that the rule for equals is tried
    model = load_run(tmp_path / "run")
    assert evaluate(model, as_float32(splits["val"]), CLASSES)["accuracy"] == max(scores) == metrics["val_accuracy"]
    assert evaluate(model, as_float32(splits["test"]), CLASSES)["accuracy"] == metrics["test_accuracy"]


def as_float32(split):
    return Split(split.x.astype("float32"), split.y, split.lengths)


def test_a_seed_repeats_a_run_and_another_does_not(splits, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        loop.fit(NETWORK, replace(TRAINING, seed=seed), splits, CLASSES, tmp_path / name, quiet=True)
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert lines(tmp_path / "a") != lines(tmp_path / "c")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_stays_in_the_dtype(splits, tmp_path, dtype):
    training = replace(TRAINING, epochs=1, dtype=dtype, clip=1.0)
    loop.fit(replace(NETWORK, norm="batch"), training, splits, CLASSES, tmp_path / "run", quiet=True)
    for name, array in tensors(tmp_path / "run/last.safetensors").items():
        assert array.dtype == ("int64" if name.endswith(("count", "order")) else dtype), name


def test_multilabel_tokens_and_density_train(rng, tmp_path):
    x = rng.standard_normal((16, 2, 12))
    labels = Split(x, (rng.random((16, 3)) < 0.5).astype("float64"))
    tokens = Split(rng.integers(0, 5, (16, 12)), rng.integers(0, 3, 16), rng.integers(1, 13, 16))
    colours = rng.integers(0, 4, (16, 1, 12)) * (2 / 3) - 1
    small = {"d_model": 4, "n_layers": 1, "max_length": 12}
    jobs = {
        "multilabel": (NetworkConfig(2, 3, **small), labels),
        "classification": (NetworkConfig(5, 3, encoder="embedding", norm="batch", **small), tokens),
        "density": (NetworkConfig(1, 6, kind="autoregressive", n_values=4, **small), Split(colours, colours)),
    }
    for name, (network, split) in jobs.items():
        objective = get_objective(name, network)
        training = TrainingConfig(3, 5, 0.01, warmup_epochs=1, bucket=split.lengths is not None)
        parts = {part: split.take(np.arange(*ends)) for part, ends in {"train": (16,), "val": (10,), "test": (7, 16)}.items()}
        metrics = loop.fit(network, training, parts, objective, tmp_path / name, quiet=True)
        rows, model = lines(tmp_path / name), load_run(tmp_path / name)
        assert rows[-1]["val_loss"] < rows[0]["val_loss"], name
        for part in ("val", "test"):  # what is validated is not what is tested
            score = evaluate(model, cast(parts[part], "float32"), objective)[objective.score_name]
            assert metrics[f"{part}_{objective.score_name}"] == pytest.approx(score, rel=1e-6), name
    assert rows[-1]["val_bits_per_dim"] == pytest.approx(rows[-1]["val_loss"] / np.log(2))
    best = min(rows, key=lambda row: row["val_bits_per_dim"])  # fewer bits are better
    assert metrics["best_epoch"] == best["epoch"]


def plant(monkeypatch, change):
    """Let every fresh run start with parameters changed by `change`."""
    fresh = loop.new_run

    def planted(*args):
        run = fresh(*args)
        change(run.params)
        return run

    monkeypatch.setattr(loop, "new_run", planted)


def test_a_loss_that_is_not_finite_names_the_layer(splits, tmp_path, monkeypatch):
    def overflow(params):
        params["blocks"][1]["conv"]["w_skip"][:] = 3e38  # finite itself; its products are not

    plant(monkeypatch, overflow)
    with pytest.raises(NonFiniteLoss, match=r"epoch 1, step 1 of 8: it first appeared in the output of layer blocks.1.conv"):
        loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    assert read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]["step"] == 0  # the last good one


def test_an_update_that_is_not_finite_is_never_saved(splits, tmp_path, monkeypatch):
    step = loop.train_step

    def poisoned(config, params, state, opt_state, *rest):
        result = step(config, params, state, opt_state, *rest)
        if opt_state["step"] == 13:  # the fifth step of the second epoch
            params["encoder"]["bias"][0] = np.nan
        return result

    monkeypatch.setattr(loop, "train_step", poisoned)
    with pytest.raises(NonFiniteLoss, match=r"epoch 2, step 6 of 8: params.encoder.bias is itself not finite"):
        loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    found, metadata = read_checkpoint(tmp_path / "run/last.safetensors")
    assert metadata["run"]["epoch"] == 1
    assert all(np.isfinite(array).all() for array in found.values())


@pytest.mark.parametrize(
    "where", ["params.encoder.bias", "state.blocks.1.var", "optimizer.m.encoder.bias", "optimizer.v.encoder.bias"]
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_update_at_the_end_of_an_epoch_is_never_saved(where, bad, splits, tmp_path, monkeypatch):
    step = loop.train_step

    def poisoned(config, params, state, opt_state, *rest):
        loss, state = step(config, params, state, opt_state, *rest)
        if opt_state["step"] == 16:
            moments = {name: opt_state[name] for name in "mv"}
            flatten({"params": params, "state": state, "optimizer": moments})[where][0] = bad
        return loss, state

    monkeypatch.setattr(loop, "train_step", poisoned)
    with pytest.raises(NonFiniteLoss, match=f"{where} is not finite after step 16 of 24"):
        loop.fit(replace(NETWORK, norm="batch"), TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    assert read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]["epoch"] == 1


def test_the_explanation_drops_the_same_channels(splits, tmp_path, monkeypatch):
    states = {}

    def failing(config, params, state, opt_state, batch, lr, rng, *rest):
        states["step"] = rng.bit_generator.state
        rng.random(100)
        raise NonFiniteLoss("the loss is nan")

    def explained(config, params, state, batch, rng, engine, share):
        states["explain"] = rng.bit_generator.state
        return "because"

    monkeypatch.setattr(loop, "train_step", failing)
    monkeypatch.setattr(loop, "explain", explained)
    with pytest.raises(NonFiniteLoss, match="because"):
        loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    assert states["step"] == states["explain"]


def test_the_first_bad_layer_of_good_numbers_is_none(splits, rng):
    run = loop.new_run(NETWORK, TRAINING, "cpu")
    assert first_bad_layer(NETWORK, run.params, run.norm_state, as_float32(splits["val"]), rng) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("val"), "splits must hold"),
        (lambda s: s.update(val=Split(s["val"].x[:, 0], s["val"].y)), r"val: x must have shape \[N, 1, L\]"),
        (lambda s: s.update(val=Split(s["val"].x[:, [0, 0]], s["val"].y)), r"val: x must have shape \[N, 1, L\]"),
        (lambda s: s["train"].x.__setitem__((7, 0, 3), np.nan), "train: x holds numbers that are not finite, first in example 7"),
        (lambda s: s["test"].y.__setitem__(0, 2), "test: y must be 20 whole numbers between 0 and 1"),
        (lambda s: s.update(test=Split(s["test"].x, s["test"].y[:5])), "test: y must be 20 whole numbers"),
        (
            lambda s: s.update(test=Split(s["test"].x, s["test"].y, np.full(20, 13))),
            "lengths must be 20 numbers between 1 and 12",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused_before_any_work(splits, tmp_path, change, message):
    change(splits)
    with pytest.raises(ValueError, match=message):
        loop.fit(NETWORK, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("batch_size", 2.5), ("lr", np.nan), ("optimizer", "sgd"), ("dtype", "int32"), ("clip", 0.0)],
)
def test_settings_that_make_no_sense_are_refused_by_name(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        replace(TRAINING, **{name: value})


def test_an_unknown_engine_is_refused(splits, tmp_path):
    with pytest.raises(ValueError, match="engine must be one of"):
        loop.fit(NETWORK, replace(TRAINING, engine="tre"), splits, CLASSES, tmp_path / "run", quiet=True)


def test_every_example_is_seen_once_an_epoch(rng):
    split = Split(np.zeros((103, 1, 9)), np.zeros(103, int), rng.integers(1, 10, 103))
    for bucket in (False, True):
        assert_array_equal(np.sort(epoch_order(split, 10, rng, bucket)), np.arange(103))


@pytest.mark.parametrize("norm", NORMS)
def test_cutting_shared_padding_changes_nothing_where_it_is_done(norm, rng):
    """Loss and gradients are those of the padded batch, except with BatchNorm: there `fit` keeps the padding."""
    config = NetworkConfig(1, 3, 4, 2, 2, 20, norm=norm)
    params, state = init_params(config, rng, "float64"), init_state(config, "float64")
    split = Split(rng.standard_normal((5, 1, 20)), np.array([0, 1, 2, 0, 1]), np.array([3, 8, 7, 2, 5]))
    index, objective = np.arange(5), get_objective("classification")
    whole, cut = (
        loss_and_gradients(config, params, state, split.take(index, crop=crop), None, objective)[:2] for crop in (False, True)
    )
    pairs = [(whole[0], cut[0]), *zip(flatten(whole[1]).values(), flatten(cut[1]).values(), strict=True)]
    errors = [measure(b, a, 1e-9, noise=1e-12) for a, b in pairs]
    assert all(np.isfinite(error.largest) for error in errors)
    assert all(error.passed for error in errors) == NORMS[norm].per_step
    assert errors[0].passed == NORMS[norm].per_step  # the loss by itself tells them apart


def test_buckets_hold_similar_lengths(rng):
    split = Split(np.zeros((1000, 1, 99)), np.zeros(1000, int), rng.integers(1, 100, 1000))

    def spread(bucket):
        order = epoch_order(split, 10, rng, bucket)
        return np.mean([np.ptp(split.lengths[order[n : n + 10]]) for n in range(0, 1000, 10)])

    assert spread(True) < 0.2 * spread(False)


def test_predicting_by_length_changes_neither_order_nor_numbers(rng):
    network = NetworkConfig(1, 4, d_model=6, n_layers=2, max_length=12)
    run = loop.new_run(network, TRAINING, "cpu")
    model = loop.Model(network, run.params, run.norm_state)
    x, lengths = rng.standard_normal((17, 1, 12)).astype("float32"), rng.integers(1, 13, 17)
    np.testing.assert_allclose(predict(model, x, lengths, batch_size=4), model(x, lengths), rtol=1e-4, atol=1e-5)


def test_numpy_warns_nobody_in_a_good_run(splits, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop.fit(NETWORK, replace(TRAINING, epochs=1), splits, CLASSES, tmp_path / "run", quiet=True)
