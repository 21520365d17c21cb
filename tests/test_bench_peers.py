"""`multires-ref bench peers`: what it keeps, where it goes on, its tables, its picture; without aeon."""

import importlib.util
import json

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from multires_ref.bench import peers, peers_data
from multires_ref.cli import main
from multires_ref.plots.peers import plot_peers


class Flat:
    """A nearest neighbour of flattened series, which refuses lists."""

    def __init__(self, regression):
        self.inner = (KNeighborsRegressor if regression else KNeighborsClassifier)(1)

    def set_params(self):
        return self

    def fit(self, X, y):
        if isinstance(X, list):
            raise ValueError("no series of unequal lengths\nmore words")
        self.inner.fit(X.reshape(len(X), -1), y)

    def predict(self, X):
        return self.inner.predict(X.reshape(len(X), -1))


@pytest.fixture
def replaced(monkeypatch):
    """Two methods and three made-up data sets; counts how often each set is loaded."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 1, 8)) + np.arange(20)[:, None, None]
    y = np.arange(20) // 10
    sets = {
        "GunPoint": (X, y, X[::2] + 0.1, y[::2]),
        "JapaneseVowels": (list(X), y, list(X), y),
        "Covid3Month": (X, np.arange(20.0), X[:5], np.array([0.0, 1, 2, 3, 10])),
    }
    calls = []
    monkeypatch.setattr(peers, "load", lambda name: calls.append(name) or sets[name])
    monkeypatch.setattr(peers, "require_aeon", lambda: None)
    monkeypatch.setattr(peers, "METHODS", {"MiniRocket": lambda regression, seed: Flat(regression)})
    return calls


def test_scores_refusals_and_going_on(replaced, tmp_path, capsys):
    words = ["bench", "peers", "--seeds", "2", "--out", str(tmp_path), "--data", "GunPoint", "JapaneseVowels"]
    assert main(words) == 0
    results = json.loads((tmp_path / "peers.json").read_text())["results"]
    assert [r.get("score") for r in results] == [1.0, 1.0, None, None]
    assert results[2]["refused"] == "no series of unequal lengths"
    assert (tmp_path / "peers.svg").exists()
    assert len(replaced) == 4
    assert main([*words, "Covid3Month"]) == 0
    assert replaced[4:] == ["Covid3Month"] * 2  # what is in the file is not measured again
    results = json.loads((tmp_path / "peers.json").read_text())["results"]
    assert results[-1]["score"] == pytest.approx(1 - 36 / np.var([0, 1, 2, 3, 10]) / 5)  # by hand: the last is 4, not 10
    printed = capsys.readouterr().out
    assert "refused" in printed
    assert "mean (accuracy, 1)" in printed


def test_the_tables_count_what_all_methods_can_do():
    def result(data, method, seed, **values):
        return {"data": data, "method": method, "seed": seed} | values

    times = {"fit_seconds": 2.0, "predict_seconds": 0.5}
    results = [
        result("GunPoint", "MiniRocket", 0, score=0.9, **times),
        result("GunPoint", "MiniRocket", 1, score=1.0, **times | {"fit_seconds": 4.0}),
        result("GunPoint", "RDST", 0, score=0.5, **times),
        result("JapaneseVowels", "MiniRocket", 0, refused="no"),
        result("JapaneseVowels", "RDST", 0, score=0.7, **times),
    ]
    text = "\n".join(peers.lines(results)).replace("  ", " ")
    assert [line.split() for line in text.splitlines() if "mean (" in line] == [["mean", "(accuracy,", "1)", ".950", ".500"]]
    assert "3.0 + 0.50" in text


def test_the_picture_has_a_row_for_each_set_and_a_key_for_each_method():
    results = [
        {"data": d, "method": m, "seed": s, "score": 0.5 + 0.1 * s} for d in ("A", "B") for m in ("x", "y", "z") for s in (0, 1)
    ]
    ax = plot_peers([*results, {"data": "B", "method": "refuses", "seed": 0, "refused": "no"}])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "y", "z"]
    marks = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() not in ("None", None)]
    assert marks == [[0.55]] * 6


def test_one_line_where_aeon_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aeon", None)
    assert main(["bench", "peers"]) == 2
    assert capsys.readouterr().err.strip().endswith("bench peers needs aeon: pip install 'multires-ref[peers]'")


@pytest.mark.parametrize("regression", [False, True])
def test_our_own_methods_learn(regression):
    y = np.arange(12) // 6
    X = np.random.default_rng(0).standard_normal((12, 1, 16)) + 9 * y[:, None, None] * np.sin(np.arange(16))
    for make in (peers.networks, peers.features):
        estimator = make(regression, 0)
        if make is peers.networks:
            assert {k for k, v in estimator.get_params().items() if v != type(estimator)().get_params()[k]} == {"random_state"}
            estimator.set_params(max_epochs=1, d_model=4, n_layers=1)
        assert peers.one_result(estimator, (X, y, X, y), regression)["score"] > 0.9


@pytest.mark.skipif(importlib.util.find_spec("aeon") is None, reason="aeon is not installed")
@pytest.mark.parametrize("name", [name for name in peers_data.DATA if name != "MNIST-1D"])
def test_the_sets_that_come_with_aeon(name):
    X, y, X_test, y_test = peers_data.load(name)
    assert len(X) == len(y)
    assert len(X_test) == len(y_test)
    assert f"{len(X)} training series" in peers_data.DATA[name].what
