"""MultiresFeatures: the numbers by hand and by two engines, series of every shape, bad input, and scikit-learn's own checks."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from multires_ref.engines import set_num_threads
from multires_ref.estimators.bank import as_pairs, draw_bank
from multires_ref.estimators.features import MultiresFeatures
from multires_ref.estimators.series import as_series
from multires_ref.estimators.standard import learn_standard, standardised
from multires_ref.estimators.summaries import SUMMARIES, window

SAME = {"float64": 1e-12, "float32": 2e-5}  # between engines: rounding of coefficients that are sums of a few dozen products
FEW = 900  # features


def small(**settings):
    return MultiresFeatures(**{"n_features": FEW, "random_state": 0, "engine": "tree", **settings})


def two_classes(rng, n=40, L=60):
    y = np.arange(n) % 2
    return np.sin(np.arange(L) * (0.4 + 0.15 * y[:, None]) + rng.uniform(0, 6, (n, 1))) + 0.5 * rng.normal(size=(n, L)), y


# The numbers


def by_hand(x, features, p, i, kind):
    """The summaries of one row by loops over time: x [channels, L] of one series, standardised as `features` has learnt."""
    bank, L = features.bank_, x.shape[1]
    x = (x - features.standard_.mean[:, None]) * features.standard_.factor[:, None]
    assert not bank.of_differences[p]
    K, step = bank.taps[p], bank.spacing[p]
    h0, h1 = bank.h0[p], bank.h1[p]
    a = {n: sum(bank.mix[p, c] * x[c, n] for c in range(len(x))) for n in range(L)}
    span = (K - 1) * step * (2**i - 1)
    for level in range(1, i + 1):
        h = h1 if level == i and kind == 1 else h0
        a = {n: sum(h[k] * a.get(n - k * step * 2 ** (level - 1), 0.0) for k in range(K)) for n in range(L + span)}
    first, end = window(p, i, K, step, L)
    row = [a[n] for n in range(first, end)]
    t = features.thresholds_[list(bank.rows()).index((p, i, kind))]
    shares = [sum(v > level for v in row) / len(row) for level in t]
    high = t[1 if (p + p // 8) % 2 == 0 else 3]
    runs = "".join("#" if v > high else " " for v in row).split()
    crossed = sum((u > t[2]) != (v > t[2]) for u, v in zip(row[1:], row[:-1], strict=True))
    return [*shares, max(row), min(row), max(map(len, runs), default=0) / len(row), crossed / len(row)]


def test_features_are_the_summaries_written_as_loops(rng):
    X = rng.normal(size=(5, 2, 23)) + [[3.0], [-1.0]]
    features = small(n_features=1500).fit(X)
    rows, out = list(features.bank_.rows()), features.transform(X).reshape(5, -1, len(SUMMARIES))
    checked = [r for r, (p, _, _) in enumerate(rows) if not features.bank_.of_differences[p]]
    for r in checked[::5]:
        assert_allclose(out[3, r], by_hand(X[3], features, *rows[r]), atol=1e-12)


def test_features_of_differences_are_those_of_the_differences(rng):
    """A bank of given filters has each pair twice; the second is that of the series of differences."""
    X = rng.normal(size=(6, 30))
    D = np.diff(X, axis=1, prepend=X[:, :1])
    D /= np.sqrt((D**2).mean())
    features = small(filters="db2").fit(X)
    half = len(features.thresholds_) // 2
    assert_array_equal(features.bank_.of_differences, [0, 1])
    other = small(filters="db2").fit(X)
    other.standard_ = other.standard_._replace(mean=np.zeros(1), factor=np.ones(1))
    other.bank_ = other.bank_._replace(of_differences=np.array([1, 0]))
    a = features.transform(X).reshape(6, 2, half, 9)[:, 1]
    assert_allclose(a, other.transform(D).reshape(6, 2, half, 9)[:, 1], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("filters", ["random", "db2", ["haar", "sym4"], (np.array([0.5, 0.5]), np.array([0.5, -0.5]))])
def test_compiled_features_are_the_same(rng, dtype, filters):
    pytest.importorskip("numba", reason="Numba is not installed")
    for X in (rng.normal(size=(19, 40)), rng.normal(size=(7, 3, 15)), [rng.normal(size=(2, L)) for L in (1, 9, 30, 9)]):
        X = X.astype(dtype) if isinstance(X, np.ndarray) else [x.astype(dtype) for x in X]
        plain, fused = (small(filters=filters, engine=engine).fit(X) for engine in ("tree", "fused"))
        assert_allclose(fused.thresholds_, plain.thresholds_, atol=SAME[dtype])
        fused.thresholds_ = plain.thresholds_
        A, B = plain.transform(X), fused.transform(X)
        assert A.dtype == B.dtype == dtype
        assert_allclose(B, A, atol=SAME[dtype])


def test_quantiles_cut_the_training_rows_where_they_say(rng):
    """With one series, the share above a threshold is 1 - its quantile, and quantiles cover (0, 1) evenly."""
    features = small(n_features=5000).fit(rng.normal(size=(1, 2000)))
    shares = features.transform(rng.normal(size=(1, 2000))).reshape(-1, 9)[:, :5]
    assert abs(shares.mean() - 0.5) < 0.02
    assert (np.diff(features.thresholds_, axis=1) >= 0).all()
    counts, _ = np.histogram(shares, bins=4, range=(0, 1))
    assert counts.min() > 0.7 * counts.mean()


# Series of every shape


def test_each_series_of_unequal_length_is_as_if_alone(rng):
    X = [rng.normal(size=(2, L)) for L in (40, 1, 7, 40, 23)]
    features = small().fit(X)
    together = features.transform(X)
    for x, row in zip(X, together, strict=True):
        assert_allclose(features.transform([x])[0], row, atol=1e-13)
        assert_allclose(features.transform(x[None])[0], row, atol=1e-13)


def test_one_channel_has_three_layouts(rng):
    X = rng.normal(size=(6, 20))
    expected = small().fit_transform(X)
    for other in (X[:, None], list(X), list(X[:, None]), X.tolist(), np.asfortranarray(X), X.astype(object)):
        assert_array_equal(small().fit_transform(other), expected)


def test_a_padded_series_is_another_series(rng):
    """Lengths are no padding: zeros behind a series change its features."""
    x = rng.normal(size=30)
    features = small().fit([x, rng.normal(size=50)])
    assert not np.allclose(features.transform([x]), features.transform([np.r_[x, np.zeros(20)]]))


def test_longer_series_are_longer_only_where_lengths_differ_in_fit(rng):
    X = rng.normal(size=(4, 40))
    equal, unequal = small().fit(X), small().fit([*X, X[0, :20]])
    shares = np.char.startswith(equal.get_feature_names_out().astype(str), "tree0_b1_share")
    assert equal.transform(X[:, :20])[:, shares].max() <= 1
    names = unequal.get_feature_names_out().astype(str)
    first = np.char.startswith(names, "tree0_b1_share")
    assert unequal.transform(X[:, :20])[:, first].max() <= 0.5


@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, None]))
def test_any_shape_gives_finite_features_of_one_number(n, channels, L, seed, level):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, channels, L)).astype(np.float32)
    features = small(n_features=200, level=level)
    out = features.fit_transform(X)
    assert out.shape == (n, len(features.get_feature_names_out()))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_any_lengths_by_both_engines(lengths, seed):
    pytest.importorskip("numba", reason="Numba is not installed")
    rng = np.random.default_rng(seed)
    X = [np.round(rng.normal(size=L), 1) for L in lengths]  # with ties, and constant stretches
    plain, fused = (small(n_features=200, engine=engine).fit(X) for engine in ("tree", "fused"))
    assert_allclose(fused.transform(X), plain.transform(X), atol=SAME["float64"])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e20, -3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_channel_says_nothing(rng, value, dtype):
    X = np.full((5, 1, 12), value, dtype=dtype)
    assert not small().fit_transform(X).any()
    noise = rng.normal(size=(5, 1, 12)).astype(dtype)
    both = np.concatenate([noise, X], axis=1)
    features = small().fit(both)
    assert features.standard_.factor[1] == 0
    assert np.isfinite(features.transform(both)).all()


def test_scale_and_offset_of_a_channel_do_not_matter(rng):
    X = rng.normal(size=(8, 2, 30))
    scaled = X * [[4.0], [0.25]] + [[8.0], [-2.0]]  # powers of two: the same rounding
    assert_allclose(small().fit_transform(scaled), small().fit_transform(X), atol=1e-9)


def test_integers_count_as_float64(rng):
    X = rng.integers(0, 100, (6, 20))
    expected = small().fit_transform(X.astype(np.float64))
    for dtype in ("int64", "uint8", "float16"):
        out = small().fit_transform(X.astype(dtype))
        assert out.dtype == np.float64
        assert_array_equal(out, expected)


# Filters and budget


def test_random_pairs_are_as_documented(rng):
    bank = draw_bank("random", 3, 100, None, 1000, rng)
    assert set(bank.taps) == set(range(2, 10))
    assert_allclose(bank.h1.sum(1), 0, atol=1e-13)
    assert_allclose(np.abs(bank.h0).sum(1), 1)
    assert_allclose(np.abs(bank.h1).sum(1), 1)
    assert ((bank.h0[bank.first_kind == 1][:, :2] == 0.5).all(1)).all()
    assert set(bank.spacing) == {1, 3}
    assert set(np.unique(bank.mix)) == {0, 1}
    assert (bank.mix.sum(1) >= 1).all()
    assert len(list(bank.rows())) <= 1000


@pytest.mark.parametrize("n_features", [9, 100, 1000, 10_000])
@pytest.mark.parametrize("L", [1, 24, 300])
def test_the_number_of_features_stays_within_the_budget(n_features, L):
    features = MultiresFeatures(n_features=n_features, random_state=0, engine="tree").fit(np.eye(2, L))
    count = len(features.get_feature_names_out())
    assert count <= n_features or features.bank_.taps.size == 1
    assert n_features < 1000 or count > 0.9 * n_features


def test_given_filters_are_all_used_and_levels_limited(rng):
    X = rng.normal(size=(3, 50))
    features = small(filters=["haar", "db4", ([1, 1], [1, -1])], n_features=9, level=2).fit(X)
    assert_array_equal(features.bank_.taps, [2, 8, 2, 2, 8, 2])
    assert_array_equal(features.bank_.levels, 2)
    names = features.get_feature_names_out()
    assert names[0] == "tree0_a1_share0"
    assert names[-1] == "tree5_b2_crossings"
    assert len(names) == 6 * 4 * 9


@pytest.mark.parametrize(
    ("filters", "taps"),
    [
        ("db3", [6]),
        (("haar", "db2"), [2, 4]),
        (["haar"], [2]),
        (([1, 2, 3], [1, 0, -1]), [3]),
        (np.ones((2, 3)), [3]),
        (np.ones((5, 2, 4)), [4] * 5),
        ([([1, 2], [1, -1]), ([1, 2, 3], [1, 0, -1])], [2, 3]),
        (["db2", (np.ones(3), np.ones(3))], [4, 3]),
    ],
)
def test_filters_are_understood(filters, taps):
    assert [len(pair.h0) for pair in as_pairs(filters)] == taps


def test_the_random_state_decides(rng):
    X = rng.normal(size=(6, 30))
    a = small(random_state=3).fit_transform(X)
    assert_array_equal(small(random_state=3).fit_transform(X), a)
    assert not np.array_equal(small(random_state=4).fit_transform(X), a)
    assert_array_equal(small(random_state=np.random.default_rng(3)).fit_transform(X), a)
    legacy = [small(random_state=np.random.RandomState(3)).fit_transform(X) for _ in range(2)]
    assert_array_equal(*legacy)


# Bad input


BAD = [
    (np.zeros(5), ValueError, r"X must be an array \[n, L\] or .*its shape is \(5,\)"),
    (np.zeros((2, 3, 4, 5)), ValueError, "its shape is"),
    (3.0, ValueError, "its shape is"),
    (np.zeros((0, 5)), ValueError, "at least one series"),
    (np.zeros((3, 0)), ValueError, "at least one sample"),
    (np.zeros((3, 0, 4)), ValueError, "at least one sample"),
    ([], ValueError, "its shape is"),
    ([np.zeros(3), np.zeros(0)], ValueError, r"X\[1\] must hold at least one sample"),
    ([np.zeros(3), np.zeros((2, 4))], ValueError, "all of one rank"),
    ([np.zeros((2, 3)), np.zeros((1, 4))], ValueError, "the same number of channels"),
    (np.zeros((2, 3), complex), ValueError, "Complex data not supported"),
    ([np.zeros(2), np.zeros(3, complex)], ValueError, r"Complex data not supported: X\[1\]"),
    (np.array([["a", "b"]]), ValueError, "X must hold numbers"),
    (np.array([[{}, {}]], object), TypeError, "X must hold real numbers"),
    (np.ma.masked_invalid([[1.0, np.nan]]), TypeError, "masked"),
    (np.array([[0.0, np.nan]]), ValueError, "series 0, channel 0 holds NaN at sample 1"),
    (np.array([[[0.0, 1], [np.inf, 0]]]), ValueError, "series 0, channel 1 holds infinity at sample 0"),
    ([np.zeros(2), np.array([1.0, 2.0, -np.inf])], ValueError, "series 1, channel 0 holds -infinity at sample 2"),
    (np.array([[1e300, -1e300]]), ValueError, "too large"),
]


@pytest.mark.parametrize(("X", "error", "words"), BAD)
def test_bad_series_are_refused_by_name(X, error, words):
    with pytest.raises(error, match=words):
        small().fit(X)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"filters": "db99"}, ValueError, "wavelet must be one of"),
        ({"filters": ["haar", "hear"]}, ValueError, "'hear'"),
        ({"filters": 3}, TypeError, "filters must be 'random', a wavelet"),
        ({"filters": []}, TypeError, "filters must be"),
        ({"filters": ([1.0], [1.0])}, ValueError, "at least 2"),
        ({"filters": ([1.0, 2], [1.0, 2, 3])}, ValueError, "one length K"),
        ({"filters": [([1.0, 2], [1.0, np.nan])]}, ValueError, r"filters\[0\] must hold finite numbers"),
        ({"filters": [7]}, TypeError, r"filters\[0\] must be a pair"),
        ({"n_features": 8}, ValueError, "n_features must be at least 9"),
        ({"n_features": 1e4}, TypeError, "n_features must be an integer"),
        ({"level": 0}, ValueError, "level must be between 1"),
        ({"engine": "fast"}, ValueError, "engine must be one of"),
        ({"random_state": -1}, ValueError, "random_state must be at least 0"),
        ({"random_state": "0"}, TypeError, "random_state must be an integer"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, error, words):
    with pytest.raises(error, match=words):
        small(**settings).fit(np.eye(4))


def test_transform_wants_the_channels_of_fit(rng):
    features = small().fit(rng.normal(size=(3, 2, 10)))
    with pytest.raises(ValueError, match="X must have 2 channels, as in fit; got 1"):
        features.transform(rng.normal(size=(3, 10)))


def test_values_too_large_for_their_dtype_are_refused():
    X = np.array([[0.0, 1.0, 2.0]], np.float32)
    with pytest.raises(ValueError, match="too large for float32"):
        small().fit(1e-10 * X).transform(np.float32(1e35) * X)


# scikit-learn

OTHER_LENGTHS = "series of other lengths than in fit are welcome, so transform does not refuse another X.shape[1]"
NOT_FOR_SEQUENCES = {"check_n_features_in_after_fitting": OTHER_LENGTHS, "check_transformer_general": OTHER_LENGTHS}


@parametrize_with_checks([small(n_features=90)], expected_failed_checks=lambda estimator: NOT_FOR_SEQUENCES)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_what_else_check_transformer_general_asks_for(rng):
    """All of it but its last line, which wants another X.shape[1] to be refused."""
    X, y = two_classes(rng)
    a = small().fit_transform(X, y)
    assert_array_equal(small().fit(X).transform(X), a)
    assert_array_equal(small().fit(X.tolist(), y.tolist()).transform(X.tolist()), a)
    assert_array_equal(clone(small()).fit_transform(X), a)


def test_in_a_pipeline_it_tells_classes_apart(rng):
    X, y = two_classes(rng)
    pipeline = make_pipeline(small(), StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    assert pipeline.fit(X[:20], y[:20]).score(X[20:], y[20:]) > 0.9
    scores = cross_val_score(pipeline, X.astype(np.float32), y, cv=2, n_jobs=2)
    assert scores.mean() > 0.8
    search = GridSearchCV(pipeline, {"multiresfeatures__filters": ["random", "db2"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


def test_it_can_be_kept(rng):
    X, _ = two_classes(rng, n=10)
    features = small().fit(X)
    expected, file = features.transform(X), io.BytesIO()
    assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), expected)
    joblib.dump(features, file)
    file.seek(0)
    assert_array_equal(joblib.load(file).transform(X), expected)


def test_output_can_be_a_table(rng):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, _ = two_classes(rng, n=6)
    table = small().set_output(transform="pandas").fit_transform(X)
    assert isinstance(table, pandas.DataFrame)
    assert table.columns[0] == "tree0_a1_share0"


def test_features_do_not_depend_on_the_number_of_threads(rng):
    pytest.importorskip("numba", reason="Numba is not installed")
    X = rng.normal(size=(30, 400))
    results = []
    for threads in (1, 2):
        set_num_threads(threads)
        results.append(MultiresFeatures(random_state=0, n_features=2000, engine="fused").fit_transform(X))
    set_num_threads(None)
    assert_array_equal(*results)


def test_compiled_features_in_other_processes(rng):
    pytest.importorskip("numba", reason="Numba is not installed")
    X = rng.normal(size=(12, 30))
    features = small(engine="fused").fit(X)
    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(features.transform)(part) for part in (X[:6], X[6:]))
    assert_array_equal(np.concatenate(parts), features.transform(X))


def test_very_long_series_of_float32_are_counted_in_float64(rng, monkeypatch):
    numba_loops = pytest.importorskip("multires_ref.estimators.features_numba", reason="Numba is not installed")
    X = rng.normal(size=(3, 50)).astype(np.float32)
    features = small(engine="fused").fit(X)
    expected = features.transform(X)
    monkeypatch.setattr(numba_loops, "EXACT", 49)
    out = features.transform(X)
    assert out.dtype == np.float32
    assert_allclose(out, expected, atol=SAME["float32"])


FORKED = """
import multiprocessing, warnings
import numpy as np
from multires_ref.estimators.features import MultiresFeatures

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks in processes with threads
X = np.random.default_rng(0).normal(size=(40, 300))
features = MultiresFeatures(n_features=2000, random_state=0, engine="fused").fit(X)
expected = features.transform(X)  # by several threads
with multiprocessing.get_context("fork").Pool(1) as pool:
    assert np.array_equal(pool.map(features.transform, [X])[0], expected)
print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_compiled_features_in_a_forked_process():
    pytest.importorskip("numba", reason="Numba is not installed")
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300)
    assert done.stdout == "same\n", done.stderr


def test_engine_fused_without_numba_is_one_clear_line(monkeypatch):
    monkeypatch.setattr("multires_ref.base.compiled.numba_problem", lambda: "pip install numba")
    with pytest.raises(ImportError, match="engine 'fused' needs Numba: pip install numba"):
        small(engine="fused").fit(np.eye(3))
    small(engine="auto", n_features=90).fit(np.eye(3))


def test_standardised_channels_have_mean_0_and_deviation_1(rng):
    X = as_series([rng.normal(5, 3, size=(2, L)) for L in (3, 50, 20)])
    flat = standardised(X, learn_standard(X))
    every, every_change = (np.concatenate(list(X._replace(flat=part).series()), axis=1) for part in flat)
    assert_allclose(every.mean(1), 0, atol=1e-12)
    assert_allclose(every.std(1), 1)
    changes = np.concatenate([np.diff(x, prepend=x[:, :1]) for x in X.series()], axis=1)
    assert_allclose(every_change, changes / np.sqrt((changes**2).mean(1, keepdims=True)))
