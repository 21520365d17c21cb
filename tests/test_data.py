"""Splits: the order of an epoch, what is refused, and the fingerprint by which a resumed run knows its data."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, batch_slices, check_splits, epoch_order, fingerprint
from multires_ref.training.evaluate import evaluate, evaluate_with_outputs
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective
from multires_ref.training.step import NonFiniteLoss

RTOL = 1e-12
SMALL = {"d_model": 4, "n_layers": 1, "max_length": 12}


def three(split):
    return dict.fromkeys(("train", "val", "test"), split)


def test_an_epoch_is_shuffled_and_the_next_one_otherwise(rng):
    split = Split(np.zeros((200, 1, 3)), np.zeros(200, int))
    first, second = epoch_order(split, 10, rng), epoch_order(split, 10, rng)
    for order in (first, second):
        assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.3  # in order it would be 1
    assert (first == second).mean() < 0.1


def test_buckets_come_in_a_random_order(rng):
    """Without that every epoch would go from short to long."""
    split = Split(np.zeros((3200, 1, 50)), np.zeros(3200, int), rng.integers(1, 51, 3200))
    order = epoch_order(split, 10, rng, bucket=True)
    means = split.lengths[order].reshape(-1, 10).mean(axis=1)  # [batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3
    assert not np.array_equal(order, epoch_order(split, 10, rng, bucket=True))


def test_a_short_last_bucket_stays_last(rng):
    split = Split(np.zeros((103, 1, 50)), np.zeros(103, int), rng.integers(1, 51, 103))
    order = epoch_order(split, 10, rng, bucket=True)
    assert [part.stop - part.start for part in batch_slices(103, 10)] == [10] * 10 + [3]
    spread = [np.ptp(split.lengths[order[part]]) for part in batch_slices(103, 10)]
    assert np.mean(spread) < 10  # of 50


def test_the_fingerprint_sees_every_array(rng):
    x, y, lengths = rng.standard_normal((6, 1, 9)), rng.integers(0, 3, 6), rng.integers(1, 10, 6)
    whole = fingerprint(three(Split(x, y, lengths)))
    assert fingerprint(three(Split(x.copy(), y.copy(), lengths.copy()))) == whole
    for change in (0, 1, 2):
        arrays = [x.copy(), y.copy(), lengths.copy()]
        arrays[change].flat[3] += 1
        assert fingerprint(three(Split(*arrays)))["val"] != whole["val"], change
    one = three(Split(x, y, lengths)) | {"test": Split(x[:-1], y[:-1], lengths[:-1])}
    assert [name for name in whole if fingerprint(one)[name] != whole[name]] == ["test"]


TOKENS = NetworkConfig(5, 3, encoder="embedding", **SMALL)
LINES = NetworkConfig(1, 3, **SMALL)
PIXELS = NetworkConfig(1, 6, kind="autoregressive", **SMALL)


@pytest.mark.parametrize(
    ("network", "objective", "change", "message"),
    [
        (TOKENS, "classification", lambda x, y: x.__setitem__((2, 3), 5), "x must hold tokens between 0 and 4"),
        (TOKENS, "classification", lambda x, y: x.__setitem__((2, 3), -1), "x must hold tokens between 0 and 4"),
        (LINES, "classification", lambda x, y: y.__setitem__(1, 3), "y must be 7 whole numbers between 0 and 2"),
        (LINES, "classification", lambda x, y: y.__setitem__(1, -1), "y must be 7 whole numbers between 0 and 2"),
        (LINES, "multilabel", lambda x, y: y.__setitem__((1, 2), 0.5), "y must be floats 0 or 1"),
        (PIXELS, "density", lambda x, y: y.__setitem__((1, 0, 2), 1.5), "y must be floats between -1 and 1"),
        (PIXELS, "density", lambda x, y: y.__setitem__((1, 0, 2), -1.5), "y must be floats between -1 and 1"),
    ],
)
def test_values_out_of_range_are_refused(network, objective, change, message, rng):
    x = rng.integers(0, 5, (7, 12)) if network is TOKENS else rng.uniform(-1, 1, (7, 1, 12))
    y = {"classification": rng.integers(0, 3, 7), "multilabel": rng.integers(0, 2, (7, 3)).astype(float), "density": x.copy()}
    y = y[objective]
    check_splits(network, three(Split(x, y)), objective)  # as they are, they fit
    change(x, y)
    with pytest.raises(ValueError, match=message):
        check_splits(network, three(Split(x, y)), objective)


@pytest.mark.parametrize("batch_size", [4, 16, 17, 50])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_a_score_does_not_depend_on_the_batches(batch_size, with_lengths, rng):
    """17 examples in batches of 4 end with a batch of one, which counts as one example; lengths in any order."""
    model = Model.init(LINES, rng, "float64")
    lengths = rng.permutation(np.arange(17) % 12 + 1) if with_lengths else None
    split = Split(3 * rng.standard_normal((17, 1, 12)), rng.integers(0, 3, 17), lengths)
    logits = model(split.x, split.lengths)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores, outputs = evaluate_with_outputs(model, split, get_objective("classification"), batch_size)
    np.testing.assert_allclose(outputs, logits, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores["loss"], -np.log(probabilities[range(17), split.y]).mean(), rtol=RTOL)
    assert scores["accuracy"] == (logits.argmax(axis=1) == split.y).mean()
    assert 0 < scores["accuracy"] < 1


def test_a_density_s_loss_is_a_mean_over_numbers(rng):
    network = NetworkConfig(1, 6, kind="autoregressive", **SMALL)
    model, x = Model.init(network, rng, "float64"), rng.integers(0, 256, (9, 1, 12)) / 127.5 - 1
    objective = get_objective("density", network)
    scores = evaluate(model, Split(x, x), objective, batch_size=4)
    nats = float(objective.loss(model(x), x))
    np.testing.assert_allclose(scores["loss"], nats / x.size, rtol=RTOL)
    np.testing.assert_allclose(scores["bits_per_dim"], nats / x.size / np.log(2), rtol=RTOL)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_of_numbers_that_are_not_finite_is_refused(bad, rng):
    model = Model.init(LINES, rng, "float64")
    model.params["decoder"]["bias"][0] = bad
    split = Split(rng.standard_normal((7, 1, 12)), rng.integers(0, 3, 7))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteLoss, match="the loss of the evaluated split"):
        evaluate(model, split, get_objective("classification"))


def test_which_score_is_better():
    up, down = [get_objective(name) for name in ("classification", "multilabel")], get_objective("density", PIXELS)
    for objective in up:
        assert objective.better(0.9, 0.8)
        assert not objective.better(0.8, 0.9)
    assert down.better(2.8, 2.9)
    assert not down.better(2.9, 2.8)
    for objective in (*up, down):
        assert objective.better(0.5, None)
        assert not objective.better(0.5, 0.5)  # an equal score is no better one


def test_a_score_counts_what_it_should(rng):
    assert get_objective("classification").weight(np.zeros(7)) == 7
    assert get_objective("multilabel").weight(np.zeros((7, 3))) == 7
    assert get_objective("density", PIXELS).weight(np.zeros((7, 1, 12))) == 84


def test_buckets_without_lengths_are_refused(tmp_path, rng):
    split = Split(rng.standard_normal((8, 1, 12)), rng.integers(0, 3, 8))
    training = TrainingConfig(1, 4, 0.01, bucket=True)
    with pytest.raises(ValueError, match="bucket needs sequences of unequal length"):
        fit(LINES, training, three(split), get_objective("classification"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
