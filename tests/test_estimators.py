"""The classifier and the regressor: scikit-learn's own checks, and what they promise for series."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from multires_ref import load_model, save_model
from multires_ref.estimators.classifier import MultiresClassifier
from multires_ref.estimators.regressor import MultiresRegressor
from multires_ref.network.streaming import Stream
from multires_ref.training.checkpoint import read_checkpoint, save_checkpoint

SMALL = {"d_model": 8, "n_layers": 1, "features": False, "random_state": 0}  # a network alone; both: test_combination.py


EXACT = SMALL | {"dtype": "float64"}  # a check allows 1e-7 between batches of other sizes: less than float32's last digit


@pytest.mark.slow
@parametrize_with_checks([MultiresClassifier(max_epochs=30, **EXACT), MultiresRegressor(max_epochs=60, **EXACT)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def waves(n=40, L=32, channels=1, seed=0):
    """Half of the series hold a slow wave, half a fast one: X [n, channels, L], labels."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["fast", "slow"], n // 2)
    rate = np.where(y == "fast", 1.0, 0.2)[:, None, None]
    return np.sin(rate * np.arange(L) + rng.uniform(0, 6, (n, channels, 1))) + 0.1 * rng.standard_normal((n, channels, L)), y


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_of_any_kind_and_series_of_several_channels(channels):
    X, y = waves(channels=channels)
    for labels in (y, y == "fast", np.where(y == "fast", -7, 100)):
        found = MultiresClassifier(max_epochs=60, **SMALL).fit(X, labels)
        assert found.score(X, labels) > 0.9
        assert found.predict(X).dtype == labels.dtype
        np.testing.assert_allclose(found.predict_proba(X).sum(axis=1), 1, rtol=1e-12)
        assert np.array_equal(found.classes_[found.predict_proba(X).argmax(axis=1)], found.predict(X))


def test_series_of_unequal_lengths():
    """Each is predicted as it would be alone: the padding does not show."""
    X, y = waves()
    X = [x[:, : 20 + i % 13] for i, x in enumerate(X)]
    model = MultiresClassifier(max_epochs=60, **SMALL).fit(X, y)
    assert model.score(X, y) > 0.9
    together = model.predict_proba(X)
    alone = np.concatenate([model.predict_proba([x]) for x in X])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)
    assert model.predict_proba([np.ones((1, 3)), np.ones((1, 200))]).shape == (2, 2)  # lengths that fit never saw


def test_a_seed_fixes_the_network_bit_by_bit():
    X, y = waves()
    one, two, other = (MultiresClassifier(max_epochs=3, **SMALL | {"random_state": s}).fit(X, y) for s in (0, 0, 1))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scale_and_offset_of_each_channel_do_not_matter(dtype):
    X, y = waves(channels=2)
    model = MultiresClassifier(max_epochs=3, dtype=dtype, **SMALL)
    moved = X * np.array([[1000.0], [0.01]]) + np.array([[5.0], [-3.0]])
    one, other = (model.fit(data, y).predict_proba(data) for data in (X, moved))
    np.testing.assert_allclose(one, other, rtol=1e-3 if dtype == "float32" else 1e-8)
    assert model.model_.params["decoder"]["weight"].dtype == dtype


def test_a_constant_channel_is_only_centred():
    X, y = waves(channels=2)
    X[:, 1] = 1e9
    model = MultiresClassifier(max_epochs=3, **SMALL).fit(X, y)
    assert model.scale_[1] == 1.0
    assert np.isfinite(model.predict_proba(X)).all()


def test_early_stopping_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 16)), rng.integers(0, 2, 60)  # nothing to learn
    model = MultiresClassifier(validation_fraction=0.5, patience=3, max_epochs=200, **SMALL).fit(X, y)
    scores = [(line["val_accuracy"], -line["val_loss"]) for line in model.history_]
    assert len(scores) < 200
    assert scores.index(max(scores)) == len(scores) - 1 - 3


def test_max_time_ends_training_and_keeps_what_was_learned():
    X, y = waves()
    model = MultiresClassifier(max_epochs=100_000, max_time=0.5, **SMALL).fit(X, y)
    assert 0 < len(model.history_) < 100_000
    assert model.predict(X).shape == y.shape
    first = MultiresClassifier(max_time=0.0, **SMALL).fit(X, y)  # one step, and no whole epoch
    assert first.history_ == []


def test_class_weight_changes_what_is_drawn():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 12)), np.repeat([0, 1], [50, 10])
    plain, heavy = (MultiresClassifier(max_epochs=20, class_weight=w, **SMALL).fit(X, y) for w in (None, {0: 1.0, 1: 1000.0}))
    assert (heavy.predict(rng.standard_normal((200, 12))) == 1).mean() > 0.9
    assert (plain.predict(rng.standard_normal((200, 12))) == 1).mean() < 0.5


def test_pipelines_searches_clones_and_pickles():
    X, y = waves()
    model = make_pipeline(FunctionTransformer(lambda X: X[..., ::2]), MultiresClassifier(max_epochs=60, **SMALL))
    assert model.fit(X, y).score(X, y) > 0.9
    search = GridSearchCV(MultiresClassifier(max_epochs=5, **SMALL), {"kernel_size": [2, 4]}, cv=2).fit(X, y)
    assert search.best_params_["kernel_size"] in (2, 4)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()
    assert np.array_equal(pickle.loads(pickle.dumps(search)).predict(X), search.predict(X))
    scores = [cross_val_score(MultiresClassifier(max_epochs=5, **SMALL), X, y, cv=2, n_jobs=n) for n in (1, 2)]
    assert np.array_equal(*scores)


@pytest.mark.parametrize("targets", [1, 3])
def test_regression(targets):
    rng = np.random.default_rng(0)
    amplitude = rng.uniform(100, 300, (80, targets))
    X = amplitude @ np.stack([np.sin((0.3 + k) * np.arange(32)) for k in range(targets)]) + rng.standard_normal((80, 32))
    y = amplitude[:, 0] if targets == 1 else amplitude
    model = MultiresRegressor(max_epochs=600, **SMALL | {"d_model": 16}).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"d_model": 0}, "d_model must be at least 1; got 0"),
        ({"norm": "bach"}, "norm must be one of .*did you mean 'batch'"),
        ({"max_epochs": 0.5}, "max_epochs must be an integer"),
        ({"max_time": -1}, "max_time must be between 0.0"),
        ({"validation_fraction": 2}, "validation_fraction must be between 0.0 and 1.0; got 2"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"device": "tpu"}, "device must be one of 'cpu', 'gpu'; got 'tpu'"),
        ({"verbose": 3}, "verbose must be True or False; got 3"),
        ({"wavelet": "db99"}, "wavelet must be one of"),
        ({"class_weight": "balance"}, "class_weight"),
    ],
)
def test_bad_settings_are_named(settings, words):
    X, y = waves()
    with pytest.raises((TypeError, ValueError), match=words):
        MultiresClassifier(**settings).fit(X, y)


def test_bad_data_are_named():
    X, y = waves()
    with pytest.raises(ValueError, match="y must hold at least two classes; got only one class"):
        MultiresClassifier().fit(X, np.full(len(X), "slow"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MultiresClassifier().fit(X, y[:-1])
    model = MultiresClassifier(max_epochs=1, **SMALL)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(X, y)
    with pytest.raises(ValueError, match="X must have 1 channels, as in fit; got 2"):
        model.predict(np.ones((2, 2, 32)))
    flat = MultiresClassifier(max_epochs=1, **SMALL).fit(X[:, 0], y)
    with pytest.raises(ValueError, match="X has 31 features, but MultiresClassifier is expecting 32"):
        flat.predict(X[:, 0, 1:])
    assert flat.predict(list(X[:, 0, 1:-3]) + [X[0, 0]]).shape == (41,)
    assert flat.predict(list(X[:, 0, 1:-3])).shape == (40,)  # of one length, which is not that of fit
    ragged = MultiresClassifier(max_epochs=1, **SMALL).fit([x[: 20 + i] for i, x in enumerate(X[:, 0, :])], y)
    assert ragged.predict(X[:, 0]).shape == (40,)


def test_a_wavelet_sets_the_number_of_taps():
    X, y = waves()
    model = MultiresClassifier(wavelet="db3", max_epochs=1, **SMALL).fit(X, y)
    assert model.model_.config.kernel_size == 6


LABELS = (["a", "b"], [True, False], [3, -1], [1.0, 2.0], np.array(["a", "b"], object))


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_a_saved_classifier_is_the_same_one(labels, tmp_path):
    X, y = waves(channels=2)
    labels = np.asarray(labels)[(y == "fast").astype(int)]
    model = MultiresClassifier(max_epochs=2, **SMALL).fit(X, labels)
    model.save(tmp_path / "m.safetensors")
    again = MultiresClassifier.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.predict(X).dtype == labels.dtype
    assert np.array_equal(again.classes_, model.classes_)
    assert (again.history_, again.n_features_in_, again.n_iter_) == (model.history_, 2, 2)
    assert again.get_params() == model.get_params()


def test_a_saved_classifier_opens_the_packages_doors(tmp_path):
    """load_model reads its network; `Stream` gives the classes while the samples arrive."""
    X, y = waves()
    model = MultiresClassifier(max_epochs=2, **SMALL).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    network = load_model(tmp_path / "m.safetensors")
    x = ((X - model.mean_[:, None]) / model.scale_[:, None]).astype("float32")
    assert np.array_equal(network(x), model.model_(x))
    stream = Stream(network, batch=len(x))
    for n in range(x.shape[-1]):
        logits = stream.step(x[:, :, n])
    np.testing.assert_allclose(softmax(logits, axis=1), model.predict_proba(X), rtol=1e-4, atol=1e-5)


def test_a_saved_regressor_is_the_same_one(tmp_path):
    X, y = waves()
    for targets in (X[:, 0, 0], X[:, 0, :3]):
        model = MultiresRegressor(max_epochs=2, **SMALL).fit(X, targets)
        model.save(tmp_path / "m.safetensors")
        assert np.array_equal(MultiresRegressor.load(tmp_path / "m.safetensors").predict(X), model.predict(X))


def test_files_that_are_refused(tmp_path):
    X, y = waves()
    model = MultiresClassifier(max_epochs=1, **SMALL)
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "m.safetensors")
    model.fit(X, y)
    with pytest.raises(ValueError, match="path must end in .safetensors"):
        model.save(tmp_path / "m.pkl")
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="holds a MultiresClassifier; MultiresRegressor.load cannot read it"):
        MultiresRegressor.load(tmp_path / "m.safetensors")
    save_model(model.model_, tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match="n.safetensors"):
        MultiresClassifier.load(tmp_path / "n.safetensors")
    tensors, about = read_checkpoint(tmp_path / "m.safetensors")
    zero = tensors | {"estimator.scale": np.zeros(1)}
    for name, changed, said in (
        ("labels", about["estimator"] | {"labels": ["a"]}, "holds 1 labels; its network has 2 outputs"),
        ("dtype", about["estimator"] | {"labels_dtype": "O8"}, None),
        ("code", about["estimator"] | {"labels": [["a"], {}], "labels_dtype": "object"}, "labels of dtype object must be texts"),
        ("settings", about["estimator"] | {"settings": {"deep": 3}}, "its settings are not those of a MultiresClassifier"),
    ):
        save_checkpoint(tmp_path / f"{name}.safetensors", tensors, about | {"estimator": changed})
        if said:
            with pytest.raises(ValueError, match=said):
                MultiresClassifier.load(tmp_path / f"{name}.safetensors")
    save_checkpoint(tmp_path / "scale.safetensors", zero, about)
    with pytest.raises(ValueError, match="estimator.scale must be above 0"):
        MultiresClassifier.load(tmp_path / "scale.safetensors")
