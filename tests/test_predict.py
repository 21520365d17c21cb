"""`multires-ref predict`, and what `info` and `evaluate` say of estimators in files."""

import csv

import numpy as np
import pytest
from test_estimators import SMALL, waves

from multires_ref import MultiresClassifier, MultiresRegressor, load_model
from multires_ref.cli import main
from multires_ref.commands.evaluate import in_units
from multires_ref.estimators.describe import load_any
from multires_ref.network.streaming import Stream
from multires_ref.plots.predicted import plot_all_predicted
from multires_ref.training.checkpoint import read_checkpoint, save_checkpoint


@pytest.fixture
def saved(tmp_path):
    """A classifier and a regressor in files, with the series that they were fitted to."""
    X, y = waves(n=24, L=16)
    classifier = MultiresClassifier(max_epochs=3, **SMALL).fit(X, y)
    regressor = MultiresRegressor(max_epochs=3, **SMALL).fit(X, np.arange(24.0))
    classifier.save(tmp_path / "classifier.safetensors")
    regressor.save(tmp_path / "regressor.safetensors")
    return X, y, classifier, regressor


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def as_file(path, X, labels=None):
    arrays = {"X": X} | ({} if labels is None else {"y": labels})
    np.savez(path, **arrays)
    return str(path)


def test_labels_and_probabilities(saved, tmp_path, capsys):
    X, y, classifier, _ = saved
    out = tmp_path / "p.csv"
    assert (
        main(["predict", str(tmp_path / "classifier.safetensors"), as_file(tmp_path / "new.npz", X, y), "--out", str(out)]) == 0
    )
    head, *rows = rows_of(out)
    assert head == ["series", "predicted", "probability of fast", "probability of slow"]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 25)]
    assert [row[1] for row in rows] == classifier.predict(X).tolist()
    assert np.array_equal(np.array([row[2:] for row in rows], float), classifier.predict_proba(X))
    assert f"accuracy {classifier.score(X, y):.1%}".replace("%", " %") in capsys.readouterr().out


def test_numbers(saved, tmp_path, capsys):
    X, _, _, regressor = saved
    out, y = tmp_path / "p.csv", np.arange(24.0)
    assert main(["predict", str(tmp_path / "regressor.safetensors"), as_file(tmp_path / "new.npz", X, y), "--out", str(out)]) == 0
    head, *rows = rows_of(out)
    assert head == ["series", "predicted"]
    assert np.array_equal(np.array([row[1] for row in rows], float), regressor.predict(X))
    error = np.abs(regressor.predict(X) - y).mean()
    assert f"R^2 {regressor.score(X, y):.4f}, mean absolute error {error:.4g}" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "regressor.safetensors"), as_file(tmp_path / "new.npz", X), "--out", str(out)]) == 0
    assert "R^2" not in capsys.readouterr().out


def test_bad_input_is_one_line_and_nothing_is_written(saved, tmp_path, capsys):
    X, y, classifier, _ = saved
    estimator, out = str(tmp_path / "classifier.safetensors"), str(tmp_path / "p.csv")
    good = as_file(tmp_path / "good.npz", X, y)
    tensors, about = read_checkpoint(estimator)
    save_checkpoint(tmp_path / "other.safetensors", tensors, about | {"estimator": about["estimator"] | {"class": "Other"}})
    del about["estimator"]
    save_checkpoint(tmp_path / "network.safetensors", tensors, about)
    for run, file, said in (
        (str(tmp_path / "missing"), good, "missing"),
        (str(tmp_path / "network.safetensors"), good, "holds a network alone"),
        (str(tmp_path / "other.safetensors"), good, "holds a Other; MultiresClassifier, MultiresRegressor can be read"),
        (estimator, as_file(tmp_path / "two.npz", np.ones((3, 2, 16))), "two.npz must have 1 channels, as in training; it has 2"),
        (estimator, as_file(tmp_path / "nan.npz", np.full((3, 16), np.nan)), "nan.npz"),
        (estimator, str(tmp_path / "nothing.npz"), "nothing.npz"),
        (str(tmp_path / "regressor.safetensors"), good, "its labels must be 1 numbers for each series to be scored"),
    ):
        capsys.readouterr()
        status = main(["predict", run, file, "--out", out])
        printed = capsys.readouterr().err
        assert status == 2, said
        assert said in printed
        assert len(printed.strip().splitlines()) == 1
        assert not (tmp_path / "p.csv").exists()


def test_the_series_are_never_overwritten(saved, tmp_path, capsys):
    file = as_file(tmp_path / "good.npz", saved[0])
    assert main(["predict", str(tmp_path / "classifier.safetensors"), file, "--out", file]) == 2
    assert "--out must be another file" in capsys.readouterr().err


def test_info_shows_labels_and_standardisation(saved, tmp_path, capsys):
    _, _, classifier, regressor = saved
    for name, estimator in (("classifier", classifier), ("regressor", regressor)):
        assert main(["info", str(tmp_path / f"{name}.safetensors")]) == 0
        text = capsys.readouterr().out
        assert type(estimator).__name__ in text
        assert f"{estimator.mean_[0]:.6g}" in text
        assert f"{estimator.scale_[0]:.6g}" in text
        assert "max_epochs               3" in text
    assert "target 1" in text
    assert f"{regressor.y_scale_[0]:.6g}" in text


def test_info_of_networks_with_features(tmp_path, capsys):
    X, y = waves(n=24, L=16)
    model = MultiresClassifier(max_epochs=1, **SMALL | {"features": True}).fit(X, y)
    model.save(tmp_path / "m.safetensors")
    assert main(["info", str(tmp_path / "m.safetensors")]) == 0
    text = capsys.readouterr().out
    assert "labels                   'fast', 'slow'" in text
    assert "networks                 3" in text
    a, b = model.weights_
    assert f"{a:.4g} networks + {b:.4g} features" in text


def test_a_saved_estimator_opens_the_other_doors(saved, tmp_path, capsys):
    X, _, classifier, _ = saved
    path = str(tmp_path / "classifier.safetensors")
    assert np.array_equal(load_any(path).predict_proba(X), classifier.predict_proba(X))
    stream = Stream(load_model(path), batch=1)
    assert stream.step(np.zeros((1, 1), "float32")).shape == (1, 2)
    assert main(["figures", "--run", path, "--out", str(tmp_path / "figures")]) == 0
    assert list((tmp_path / "figures").glob("*.svg"))
    capsys.readouterr()
    assert main(["evaluate", path]) == 2
    assert f"multires-ref predict {path} FILE" in capsys.readouterr().err


def test_regression_is_drawn_when_it_is_evaluated(tmp_path, capsys):
    words = ["train", "adding", "--length", "16", "--scale", "tiny", "--quiet", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "predicted-test.png").exists()
    assert "mean absolute error" in capsys.readouterr().out


def test_outputs_come_back_in_the_unit_of_the_targets(saved, tmp_path):
    """The network's outputs are standardised: mean and standard deviation are put back, as the regressor does."""
    X, _, _, regressor = saved
    x = ((X - regressor.mean_[:, None]) / regressor.scale_[:, None]).astype("float32")
    (found,) = in_units(tmp_path / "regressor.safetensors", regressor.model_(x))
    np.testing.assert_allclose(found[:, 0], regressor.predict(X), rtol=1e-6)


def test_the_picture_shows_every_example_in_one_scale():
    rng = np.random.default_rng(0)
    true, predicted = rng.standard_normal((2, 20, 4))
    figure = plot_all_predicted(predicted, true, ["a", "b", "c", "d"])
    shown = [ax for ax in figure.axes if ax.lines]
    assert len(shown) == 4
    for t, ax in enumerate(shown):
        assert np.array_equal(ax.lines[1].get_xdata(), true[:, t])
        assert np.array_equal(ax.lines[1].get_ydata(), predicted[:, t])
        assert ax.get_xlim() == ax.get_ylim()
