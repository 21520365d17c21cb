"""Networks and ridge regression on features together: what each learns from, the weights of the two, and their file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimators import waves

from multires_ref import MultiresClassifier, MultiresFeatures, MultiresRegressor, load_model
from multires_ref.estimators.augmentation import augment
from multires_ref.estimators.cross_fitting import PRIOR, folds, weights_of_logits, weights_of_numbers
from multires_ref.estimators.ridge import ALPHAS, fit_ridge
from multires_ref.training.checkpoint import read_checkpoint, save_checkpoint
from multires_ref.training.data import Split

FEW = MultiresFeatures(n_features=90, random_state=0)
SMALL = {"d_model": 4, "n_layers": 1, "max_epochs": 3, "random_state": 0, "features": FEW}


EXACT = SMALL | {"dtype": "float64"}  # as in test_estimators.py


@pytest.mark.slow
@parametrize_with_checks([MultiresClassifier(**EXACT), MultiresRegressor(**EXACT)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 1500), classes=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_series_is_held_out_as_often_as_promised(n, classes, seed):
    strata = np.random.default_rng(seed).integers(0, classes, n)
    parts = folds(n, strata, np.random.default_rng(seed))
    out = np.concatenate([held_out for _, held_out in parts])
    for train, held_out in parts:
        assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(n))
    assert len(np.unique(out)) == len(out)
    assert len(out) == (0 if n < 10 else n if n <= 1000 else -(-n // 10))
    assert len(parts) == (3 if 10 <= n <= 1000 else 1)


def test_the_weights_are_where_the_loss_is_smallest():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    network, ridge = rng.standard_normal((2, 60, 3)) + np.array([[[0.5]], [[1.0]]]) * np.eye(3)[y]
    a, b = weights_of_logits(network, ridge, y)

    def loss(a, b):
        priors = PRIOR @ (np.array([a, b]) * [network.std(), ridge.std()]) ** 2
        return priors - log_softmax(a * network + b * ridge, axis=1)[np.arange(60), y].sum()

    for da, db in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert loss(a, b) < loss(a + da, b + db)


def test_what_is_wrong_gets_no_weight():
    y = np.arange(90) % 3
    right = np.eye(3)[y]
    assert weights_of_logits(-right, right, y)[0] == 0
    assert weights_of_numbers(-right, right, right).tolist() == [0.0, 1.0]


def test_the_left_out_outputs_are_those_of_all_others():
    """By fitting once for every series: fixed features, since the thresholds are learnt from all series."""
    X, y = waves(n=12)
    targets = np.where(y == "fast", 1.0, -1.0)[:, None]
    weights = np.linspace(0.5, 1.5, 12)
    ridge, left_out = fit_ridge(MultiresFeatures(n_features=90, random_state=0), list(X), targets, weights)
    table = ridge.features.transform(X)
    table = (table - table.mean(axis=0)) / np.where(table.std(axis=0) > 1e-12, table.std(axis=0), 1.0)
    errors = []
    for alpha in ALPHAS:
        fits = [Ridge(alpha).fit(table[keep], targets[keep], weights[keep]) for keep in ~np.eye(12, dtype=bool)]
        expected = np.stack([fit.predict(table[[i]])[0] for i, fit in enumerate(fits)]).reshape(12, 1)
        errors.append(abs(expected - left_out).max())
    assert min(errors) < 1e-9


def test_the_outputs_are_the_weighted_sum():
    X, y = waves()
    model = MultiresClassifier(**SMALL).fit(X, y)
    assert len(model.models_) == 3
    x = ((X - model.mean_[:, None]) / model.scale_[:, None]).astype("float32")
    network = np.mean([m(x).astype(float) for m in model.models_], axis=0)
    logits = model.weights_[0] * network + model.weights_[1] * model.ridge_.outputs(X)
    np.testing.assert_allclose(model.decision_function(X), logits[:, 1] - logits[:, 0], rtol=1e-12, atol=1e-12)
    assert model.score(X, y) > 0.9
    assert {line["network"] for line in model.history_} == {1, 2, 3}


def test_the_networks_learn_from_their_part_only():
    """Targets that the first network has not seen change the others alone: +1 and -1, so that mean and scale stay the same."""
    X, _ = waves(n=30)
    y = np.tile([1.0, -1.0], 15)
    _, held_out = folds(30, None, np.random.default_rng(np.random.RandomState(0).randint(2**31 - 1)))[0]
    changed = y.copy()
    changed[held_out] = np.sort(y[held_out])
    assert not np.array_equal(changed, y)
    one, other = (MultiresRegressor(**SMALL).fit(X, targets) for targets in (y, changed))
    same = [
        np.array_equal(a(X.astype("float32")), b(X.astype("float32"))) for a, b in zip(one.models_, other.models_, strict=True)
    ]
    assert same == [True, False, False]


@pytest.mark.parametrize("targets", [1, 2])
def test_regression(targets):
    rng = np.random.default_rng(0)
    size = rng.uniform(1, 3, (60, targets))
    X = size @ np.stack([np.sin((0.3 + k) * np.arange(32)) for k in range(targets)])
    y = size[:, 0] if targets == 1 else size
    model = MultiresRegressor(**SMALL | {"features": True}).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.95


def test_one_series_is_learned_without_features():
    model = MultiresRegressor(**SMALL).fit(np.ones((1, 8)), [3.0])
    assert model.ridge_ is None
    assert model.predict(np.ones((1, 8))).shape == (1,)


def test_features_that_are_wrong():
    with pytest.raises(TypeError, match="features must be True, False or a MultiresFeatures; got 'yes'"):
        MultiresClassifier(features="yes").fit(*waves())
    with pytest.raises(TypeError, match="augment"):
        MultiresClassifier(augment="yes", max_epochs=1).fit(*waves())


@pytest.mark.parametrize("ragged", [False, True])
def test_a_saved_combination_is_the_same_one(ragged, tmp_path):
    X, y = waves(channels=2)
    X = [x[:, : 20 + i % 13] for i, x in enumerate(X)] if ragged else X
    model = MultiresClassifier(**SMALL).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    again = MultiresClassifier.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.features.get_params() == FEW.get_params()
    assert load_model(tmp_path / "m.safetensors").config == model.model_.config
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()
    regressor = MultiresRegressor(**SMALL | {"features": True}).fit(X, np.arange(40.0))
    regressor.save(tmp_path / "r.safetensors")
    assert np.array_equal(MultiresRegressor.load(tmp_path / "r.safetensors").predict(X), regressor.predict(X))


def test_damaged_features_are_refused(tmp_path):
    X, y = waves()
    MultiresClassifier(**SMALL).fit(X, y).save(tmp_path / "m.safetensors")
    tensors, about = read_checkpoint(tmp_path / "m.safetensors")
    levels = tensors["ridge.bank.levels"]
    for name, array, said in (
        ("ridge.bank.levels", levels + 50, "bank.levels.0. must be between 1 and"),
        ("ridge.bank.h0", tensors["ridge.bank.h0"][:, :1], "bank.h1 must hold finite numbers"),
        ("ridge.coef", tensors["ridge.coef"][:, 1:], "coef must hold"),
        ("ridge.thresholds", tensors["ridge.thresholds"][:, :4], "thresholds must hold"),
        ("ridge.weights", -np.ones(2), "ridge.weights must hold two numbers of at least 0"),
    ):
        save_checkpoint(tmp_path / "bad.safetensors", tensors | {name: np.ascontiguousarray(array)}, about)
        with pytest.raises(ValueError, match=said):
            MultiresClassifier.load(tmp_path / "bad.safetensors")
    for changes, said in (
        ({"networks": 9}, "blocks"),
        ({"networks": "many"}, "must hold 1 to 100 networks; it says 'many'"),
        ({"features": {"length": 2**60}}, "length must be between 1 and"),
        ({"features": {}}, "its features cannot be read"),
    ):
        changed = about | {"estimator": about["estimator"] | changes}
        save_checkpoint(tmp_path / "bad.safetensors", tensors, changed)
        with pytest.raises(ValueError, match=said):
            MultiresClassifier.load(tmp_path / "bad.safetensors")


@settings(max_examples=30, deadline=None)
@given(B=st.integers(1, 4), channels=st.integers(1, 3), L=st.integers(1, 20), ragged=st.booleans(), seed=st.integers(0, 99))
def test_changed_series_keep_shape_dtype_and_padding(B, channels, L, ragged, seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, L + 1, B) if ragged else None
    x = rng.standard_normal((B, channels, L)).astype("float32")
    if ragged:
        x[np.broadcast_to((np.arange(L) >= lengths[:, None])[:, None], x.shape)] = 0
    batch = augment(Split(x, np.arange(B), lengths), rng)
    assert batch.x.shape == x.shape
    assert batch.x.dtype == x.dtype
    assert np.array_equal(batch.y, np.arange(B))
    if ragged:
        assert all((row[:, n:] == 0).all() for row, n in zip(batch.x, lengths, strict=True))


def test_changed_series_are_the_series_stretched_shifted_and_scaled(monkeypatch):
    """With one change at a time, on a straight line, where interpolation is exact."""
    from multires_ref.estimators import augmentation

    line = Split(np.arange(100.0)[None, None], np.zeros(1))
    for name, inside in (("STRETCH", slice(30, 70)), ("SHIFT", slice(30, 70)), ("SIZE", slice(0, 100))):
        for other in ("STRETCH", "SHIFT", "SIZE", "NOISE"):
            monkeypatch.setattr(augmentation, other, 0.1 if other == name else 0.0)
        x = augment(line, np.random.default_rng(3)).x[0, 0][inside]
        t = np.arange(100.0)[inside]
        slope, offset = np.polyfit(t, x, 1)
        np.testing.assert_allclose(x, slope * t + offset, atol=1e-9)
        fixed = {"STRETCH": 50 * slope + offset - 50, "SHIFT": slope - 1, "SIZE": offset}[name]  # what this change leaves alone
        assert abs(fixed) < 1e-9
        assert not np.allclose(x, t)
