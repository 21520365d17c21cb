"""Splits: the order of an epoch, what is refused, and the fingerprint by which a resumed run knows its data."""

from dataclasses import replace

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.ops.mixture_nll import mixture_nll
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split, batch_slices, cast, check_splits, epoch_order, fingerprint
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


@pytest.mark.parametrize("N", [7, 103, 700, 3205])
@pytest.mark.parametrize("bucket", [False, True])
def test_the_order_is_drawn_as_described(N, bucket, rng):
    """Groups of 32 batches are sorted by length, and then all full batches are drawn in a random order."""
    split, size = Split(np.zeros((N, 1, 50)), np.zeros(N, int), rng.integers(1, 51, N)), 10
    order, draw = epoch_order(split, size, np.random.default_rng(4), bucket), np.random.default_rng(4)
    by_length = list(draw.permutation(N))
    if bucket:
        groups = [by_length[n : n + 320] for n in range(0, N, 320)]
        by_length = [n for group in groups for n in sorted(group, key=lambda n: split.lengths[n])]
        batches = draw.permutation(N // size)
        by_length = [n for b in batches for n in by_length[size * b : size * b + size]] + by_length[N // size * size :]
    assert order.tolist() == by_length


def test_an_order_without_lengths_has_no_buckets():
    split = Split(np.zeros((50, 1, 9)), np.zeros(50, int))
    one, two = (epoch_order(split, 10, np.random.default_rng(4), bucket) for bucket in (False, True))
    np.testing.assert_array_equal(one, two)


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
    assert fingerprint(three(Split(x.reshape(6, 9, 1), y, lengths)))["val"] != whole["val"]
    assert fingerprint(three(Split(np.asfortranarray(x), y.repeat(2)[::2], lengths[::-1][::-1]))) == whole
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


@pytest.mark.parametrize(
    ("network", "objective", "change", "words"),
    [
        (LINES, "classification", lambda x, y, n: (x[:0], y[:0], n[:0]), r"x must have shape \[N, 1, L\]; got \(0, 1, 12\)"),
        (LINES, "classification", lambda x, y, n: (x[..., :0], y, n), r"x must have shape \[N, 1, L\]"),
        (LINES, "classification", lambda x, y, n: (x.astype(int), y, n), "x must hold floats; got dtype int64"),
        (LINES, "classification", lambda x, y, n: (np.where(x > 0, np.inf, x), y, n), "not finite, first in example 0"),
        (LINES, "classification", lambda x, y, n: (x, y.astype(float), n), "y must be 7 whole numbers"),
        (LINES, "classification", lambda x, y, n: (x, y[:, None], n), "y must be 7 whole numbers"),
        (LINES, "classification", lambda x, y, n: (x, y, n * 0), "lengths must be 7 numbers between 1 and 12"),
        (LINES, "classification", lambda x, y, n: (x, y, n + 12), "lengths must be 7 numbers between 1 and 12"),
        (LINES, "classification", lambda x, y, n: (x, y, n[:5]), r"lengths must be 7 numbers .* got shape \(5,\)"),
        (LINES, "multilabel", lambda x, y, n: (x, y.astype(int), n), r"y must be floats 0 or 1 of shape \(7, 3\)"),
        (LINES, "multilabel", lambda x, y, n: (x, y[:, :2], n), r"y must be floats 0 or 1 of shape \(7, 3\)"),
        (PIXELS, "density", lambda x, y, n: (x, y[..., 1:], n), r"y must be floats between -1 and 1 of shape \(7, 1, 12\)"),
        (PIXELS, "density", lambda x, y, n: (x, y.astype(int), n), "y must be floats between -1 and 1"),
        (TOKENS, "classification", lambda x, y, n: (x.astype(float), y, n), "x must hold tokens between 0 and 4; got float64"),
        (TOKENS, "classification", lambda x, y, n: (x[:, None], y, n), r"x must have shape \[N, L\] of tokens"),
    ],
)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_arrays_of_the_wrong_kind_are_refused_in_every_part(network, objective, change, words, part, rng):
    x = rng.integers(0, 5, (7, 12)) if network is TOKENS else rng.uniform(-1, 1, (7, 1, 12))
    y = {"classification": rng.integers(0, 3, 7), "multilabel": rng.integers(0, 2, (7, 3)).astype(float), "density": x}[objective]
    good = Split(x, y, rng.integers(1, 13, 7))
    check_splits(network, three(good), objective)
    with pytest.raises((TypeError, ValueError), match=f"^{part}: {words}|^{part}: .*{words}"):
        check_splits(network, three(good) | {part: Split(*change(good.x, good.y, good.lengths))}, objective)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_cast_and_integers_stay(dtype, rng):
    x, y, n = rng.standard_normal((4, 1, 9)), rng.random((4, 3)).astype("float32"), np.arange(1, 5)
    found = cast(Split(x, y, n), dtype)
    assert (found.x.dtype, found.y.dtype) == (dtype, dtype)
    np.testing.assert_array_equal(found.x, x.astype(dtype))
    np.testing.assert_array_equal(found.lengths, n)
    tokens = cast(Split(np.arange(8).reshape(4, 2), np.arange(4)), dtype)
    assert (tokens.x.dtype.kind, tokens.y.dtype.kind, tokens.lengths) == ("i", "i", None)


def test_examples_are_taken_with_all_that_belongs_to_them(rng):
    split = Split(rng.standard_normal((5, 2, 9)), np.arange(5), np.array([9, 2, 4, 1, 3]))
    index = np.array([4, 2, 1])
    for crop, L in ((False, 9), (True, 4)):
        taken = split.take(index, crop=crop)
        np.testing.assert_array_equal(taken.x, split.x[index][:, :, :L])
        np.testing.assert_array_equal(taken.y, index)
        np.testing.assert_array_equal(taken.lengths, [3, 4, 2])
    assert Split(split.x, split.y).take(index, crop=True).x.shape == (3, 2, 9)


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


def test_a_density_knows_how_many_values_there_are(rng):
    """The network's; 256 where there is no network."""
    out, x = rng.standard_normal((2, 6, 5)), rng.integers(0, 5, (2, 1, 5)) / 2 - 1
    for network, n_values in ((replace(PIXELS, n_values=5), 5), (PIXELS, 256), (None, 256)):
        objective = get_objective("density", network)
        assert objective.loss(out, x) == mixture_nll(out, x, n_values)
        assert (objective.name, objective.score_name, objective.summed) == ("density", "bits_per_dim", True)
    assert mixture_nll(out, x, 5) != mixture_nll(out, x, 256)


def test_buckets_without_lengths_are_refused(tmp_path, rng):
    split = Split(rng.standard_normal((8, 1, 12)), rng.integers(0, 3, 8))
    training = TrainingConfig(1, 4, 0.01, bucket=True)
    with pytest.raises(ValueError, match="bucket needs sequences of unequal length"):
        fit(LINES, training, three(split), get_objective("classification"), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_both_ends_of_the_pixels_are_pixels():
    """-1 and 1 are values of the grid, and no others are larger."""
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(1, 1, 12)
    network = NetworkConfig(1, 6, 4, 1, max_length=12, kind="autoregressive")
    check_splits(network, {name: Split(x, x.copy()) for name in ("train", "val", "test")}, "density")
