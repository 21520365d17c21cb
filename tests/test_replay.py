"""A run, done again by hand: the order of the data, the rate of every step, the update, the losses and the two scores.

`replay` is a training run in thirty lines that shares with the package only the network, its gradients and the losses. What `fit`
leaves in its folder has to be the same.
"""

import json
import math
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig, init_params, init_state
from multires_ref.base.pytrees import flatten
from multires_ref.training import console, loop
from multires_ref.training.checkpoint import load_run, read_checkpoint, save_checkpoint
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, epoch_order
from multires_ref.training.objectives import get_objective
from multires_ref.training.step import loss_and_gradients

EXACT = {"rtol": 1e-9, "atol": 1e-12}  # float64; the two sides only differ in the order of a few operations
SMALL = {"d_model": 5, "n_layers": 1, "max_length": 10}
TRAINING = TrainingConfig(epochs=3, batch_size=8, lr=0.02, weight_decay=0.1, warmup_epochs=0.45, dtype="float64")
CLASSES = get_objective("classification")


def noisy_lines(rng, N, wrong):
    """Lines that rise (class 1) or fall (class 0), of which a share `wrong` carries the other class; true lengths 4 to 10."""
    y = rng.integers(0, 2, N)
    x = (2 * y - 1)[:, None, None] * np.linspace(-1, 1, 10) + 0.5 * rng.standard_normal((N, 1, 10))
    return Split(x, np.where(rng.random(N) < wrong, 1 - y, y), rng.integers(4, 11, N))


@pytest.fixture
def splits(rng):
    """Three parts of unequal difficulty, so that a score tells which of them it was taken from."""
    return {name: noisy_lines(rng, N, wrong) for name, N, wrong in (("train", 61, 0.1), ("val", 40, 0.25), ("test", 50, 0.4))}


def rate(step, steps, warmup, lr):
    """Linear from 0, then a cosine to 0."""
    return lr * step / warmup if step < warmup else lr / 2 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def adam_by_hand(params, grads, moments, step, lr, decay, decoupled):
    for name, p in flatten(params).items():
        m, v, g = *moments.setdefault(name, [0.0, 0.0]), flatten(grads)[name] + (0.0 if decoupled else decay * p)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        moments[name] = [m, v]
        p -= lr * decay * p if decoupled else 0.0
        p -= lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


def clipped(grads, largest):
    norm = math.sqrt(sum(float((g * g).sum()) for g in flatten(grads).values()))
    factor = min(1.0, largest / (norm + 1e-6))
    return {name: factor * g for name, g in flatten(grads).items()}


def replay(network, training, train, objective):
    """The parameters after the run, the norm's state, and of each epoch the mean training loss and the rate of its last step."""
    rng = np.random.default_rng(training.seed)
    params, state, moments, step = init_params(network, rng, "float64"), init_state(network, "float64"), {}, 0
    batches = math.ceil(len(train.x) / training.batch_size)
    means, rates = [], []
    for _ in range(training.epochs):
        order = epoch_order(train, training.batch_size, rng, training.bucket)
        total = counted = 0
        for n in range(batches):
            index = order[n * training.batch_size : (n + 1) * training.batch_size]
            lengths = None if train.lengths is None else train.lengths[index]
            batch = Split(train.x[index], train.y[index], lengths)  # with all its padding
            loss, grads, state = loss_and_gradients(network, params, state, batch, rng, objective)
            lr = rate(step, training.epochs * batches, round(training.warmup_epochs * batches), training.lr)
            grads = flatten(grads) if training.clip is None else clipped(grads, training.clip)
            step += 1
            adam_by_hand(params, grads, moments, step, lr, training.weight_decay, training.optimizer == "adamw")
            size = batch.y.size if objective.summed else len(index)
            total, counted = total + (loss if objective.summed else loss * size), counted + size
        means.append(total / counted)
        rates.append(lr)
    return params, state, means, rates


def assert_same_parameters(path, params):
    tensors = read_checkpoint(path)[0]
    for name, p in flatten(params).items():
        np.testing.assert_allclose(tensors[f"params.{name}"], p, err_msg=name, **EXACT)


def assert_same_lines(out, means, rates, batches):
    table = rows(out)
    assert [(row["epoch"], row["step"]) for row in table] == [(n, n * batches) for n in range(1, len(means) + 1)]
    np.testing.assert_allclose([row["train_loss"] for row in table], means, **EXACT)
    np.testing.assert_allclose([row["lr"] for row in table], rates, **EXACT)


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


CASES = {
    "plain": ({}, {}),
    "clipped": ({}, {"clip": 0.05}),
    "dropout": ({"dropout": 0.3}, {}),
    "buckets and LayerNorm": ({}, {"bucket": True}),
    "buckets and BatchNorm": ({"norm": "batch"}, {"bucket": True}),
    "another seed, no warm-up": ({}, {"seed": 9, "warmup_epochs": 0.0}),
    "a warm-up of 2.4 steps": ({}, {"warmup_epochs": 0.3}),
    "the decay of Adam": ({}, {"optimizer": "adam"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_what_its_definition_says(case, splits, tmp_path):
    network, training = replace(NetworkConfig(1, 2, **SMALL), **CASES[case][0]), replace(TRAINING, **CASES[case][1])
    loop.fit(network, training, splits, CLASSES, tmp_path / "run", quiet=True)
    params, state, *lines = replay(network, training, splits["train"], CLASSES)
    assert_same_parameters(tmp_path / "run/last.safetensors", params)
    if network.norm == "batch":
        tensors = read_checkpoint(tmp_path / "run/last.safetensors")[0]
        np.testing.assert_allclose(tensors["state.blocks.0.var"], state["blocks"][0]["var"], **EXACT)
    assert_same_lines(tmp_path / "run", *lines, batches=8)  # of 61 examples


def test_a_density_run_is_what_its_definition_says(rng, tmp_path):
    """Its losses are sums over numbers: the mean of an epoch weights every number once."""
    x = rng.integers(0, 4, (21, 1, 10)) * (2 / 3) - 1
    network = NetworkConfig(1, 6, kind="autoregressive", n_values=4, **SMALL)
    objective, training = get_objective("density", network), replace(TRAINING, batch_size=4)
    loop.fit(network, training, dict.fromkeys(("train", "val", "test"), Split(x, x)), objective, tmp_path / "run", quiet=True)
    params, _, *lines = replay(network, training, Split(x, x), objective)
    assert_same_parameters(tmp_path / "run/last.safetensors", params)
    assert_same_lines(tmp_path / "run", *lines, batches=6)  # of 21 examples
    with pytest.raises(AssertionError):  # the loss depends on how many values there are
        assert_same_lines(tmp_path / "run", *replay(network, training, Split(x, x), get_objective("density"))[2:], batches=6)


def score_by_hand(path, split):
    """(accuracy, mean cross-entropy) of a checkpoint, all examples at once."""
    logits = load_run(path)(split.x, split.lengths)
    right = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float((logits.argmax(axis=1) == split.y).mean()), float(-right[range(len(split.y)), split.y].mean())


def test_scores_are_those_of_the_best_epoch_on_the_right_part(splits, tmp_path):
    training = replace(TRAINING, epochs=12, lr=0.2)
    metrics = loop.fit(NetworkConfig(1, 2, **SMALL), training, splits, CLASSES, tmp_path / "run", quiet=True)
    best, last = (tmp_path / "run" / name for name in ("best.safetensors", "last.safetensors"))
    scores = {(path.stem, part): score_by_hand(path, splits[part]) for path in (best, last) for part in splits}
    assert metrics["best_epoch"] < 12  # otherwise the two files would hold the same model ...
    losses = [loss for _, loss in scores.values()]
    assert len({round(loss, 6) for loss in losses}) == 6  # ... and all six scores can be told apart
    assert metrics["test_accuracy"] == scores["best", "test"][0]
    assert metrics["test_loss"] == pytest.approx(scores["best", "test"][1], rel=1e-9)
    assert metrics["val_accuracy"] == scores["best", "val"][0]
    table = rows(tmp_path / "run")
    assert table[metrics["best_epoch"] - 1]["val_loss"] == pytest.approx(scores["best", "val"][1], rel=1e-9)
    assert table[-1]["val_loss"] == pytest.approx(scores["last", "val"][1], rel=1e-9)
    assert table[-1]["val_accuracy"] == scores["last", "val"][0]


def stop_in_step(monkeypatch, number, signals=1):
    """Let a run receive Ctrl-C while its step `number` is computed."""
    step, done = loop.train_step, []

    def interrupted(*args):
        done.append(1)
        if len(done) == number:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(loop, "train_step", interrupted)


def test_ctrl_c_saves_even_when_no_checkpoint_is_due(splits, tmp_path, monkeypatch):
    network, training = NetworkConfig(1, 2, **SMALL), replace(TRAINING, checkpoint_seconds=1e9)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        stop_in_step(patch, 11)  # the third step of the second epoch
        with pytest.raises(console.RunInterrupted, match="after step 11 of 24"):
            loop.fit(network, training, splits, CLASSES, tmp_path / "run", quiet=True)
    record = read_checkpoint(tmp_path / "run/last.safetensors")[1]["run"]
    assert (record["epoch"], record["position"], record["step"]) == (1, 3, 11)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    loop.fit(network, training, splits, CLASSES, tmp_path / "run", resume=True, quiet=True)
    assert_same_parameters(tmp_path / "run/last.safetensors", replay(network, training, splits["train"], CLASSES)[0])


def test_a_second_ctrl_c_stops_at_once(splits, tmp_path, monkeypatch):
    stop_in_step(monkeypatch, 11, signals=2)
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.fit(
            NetworkConfig(1, 2, **SMALL), replace(TRAINING, checkpoint_seconds=1e9), splits, CLASSES, tmp_path / "r", quiet=True
        )
    assert not isinstance(caught.value, console.RunInterrupted)
    assert read_checkpoint(tmp_path / "r/last.safetensors")[1]["run"]["position"] == 0  # the epoch's own checkpoint, no later one


def test_the_time_of_earlier_sessions_counts(splits, tmp_path, monkeypatch):
    network = NetworkConfig(1, 2, **SMALL)
    with monkeypatch.context() as patch:
        stop_in_step(patch, 11)
        with pytest.raises(console.RunInterrupted):
            loop.fit(network, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    path = tmp_path / "run/last.safetensors"
    tensors, about = read_checkpoint(path)
    save_checkpoint(path, tensors, about | {"run": about["run"] | {"seconds": 5000.0}})
    metrics = loop.fit(network, TRAINING, splits, CLASSES, tmp_path / "run", resume=True, quiet=True)
    assert 5000 < metrics["seconds"] < 5100
    assert 5000 < rows(tmp_path / "run")[-1]["seconds"] < 5100


@pytest.mark.parametrize("steps", [5, 8])  # in mid-epoch, and after its last batch, which is a short one
def test_a_resumed_run_with_clipping_is_the_unbroken_one_bit_for_bit(steps, splits, tmp_path, monkeypatch):
    """Parameters that come back from a file in another order would be summed in another order in the gradient's norm."""
    network, training = NetworkConfig(1, 2, **SMALL | {"n_layers": 3}), replace(TRAINING, clip=0.05, dtype="float32")
    loop.fit(network, training, splits, CLASSES, tmp_path / "whole", quiet=True)
    with monkeypatch.context() as patch:
        stop_in_step(patch, steps)
        with pytest.raises(console.RunInterrupted):
            loop.fit(network, training, splits, CLASSES, tmp_path / "broken", quiet=True)
    loop.fit(network, training, splits, CLASSES, tmp_path / "broken", resume=True, quiet=True)
    for file in ("last.safetensors", "best.safetensors"):
        whole, broken = (read_checkpoint(tmp_path / name / file)[0] for name in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        for name, array in whole.items():
            np.testing.assert_array_equal(broken[name], array, err_msg=f"{file} {name}", strict=True)
    whole, broken = ([row | {"seconds": 0} for row in rows(tmp_path / name)] for name in ("whole", "broken"))
    assert whole == broken


def test_the_model_in_the_folder_is_in_evaluation_mode(splits, tmp_path):
    """`load_run` gives outputs without dropout, from the running statistics."""
    network = NetworkConfig(1, 2, norm="batch", dropout=0.5, **SMALL)
    loop.fit(network, TRAINING, splits, CLASSES, tmp_path / "run", quiet=True)
    model = load_run(tmp_path / "run")
    assert isinstance(model, Model)
    one, many = model(splits["test"].x[:1], splits["test"].lengths[:1]), model(splits["test"].x, splits["test"].lengths)
    np.testing.assert_allclose(one, many[:1], rtol=1e-9)
