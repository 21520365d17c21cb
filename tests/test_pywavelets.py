"""Relations A to I between PyWavelets and the causal tree, over all its discrete wavelets; and that the checks can fail."""

import numpy as np
import pytest

from multires_ref import check_pywavelets
from multires_ref.base.layer_checks import wavelet_names
from multires_ref.diagnose import pywavelets


@pytest.mark.parametrize("length", [200, 131])
@pytest.mark.parametrize("wavelet", wavelet_names())
def test_all_relations(wavelet, length):
    for row in check_pywavelets(wavelet, np.random.default_rng(length).standard_normal(length)):
        assert row.passed, row


def test_every_relation_is_checked_somewhere():
    rows = check_pywavelets("db4")
    assert [row.name for row in rows] == ["A", "A'", "B", "C", "D", "E", "F", "G", "H", "I"]
    assert all(row.error is not None for row in rows)


@pytest.mark.parametrize("wrong", ["shift", "dec_len"])
def test_a_wrong_shift_is_caught(monkeypatch, wrong):
    if wrong == "shift":
        monkeypatch.setattr(pywavelets, "shift", lambda wavelet, j: (2**j - 1) * wavelet.dec_len // 2 + 1)
        caught = {"A", "A'", "B", "D"}
    else:
        monkeypatch.setattr(pywavelets, "causal_delay", lambda wavelet, j: (2**j - 1) * wavelet.dec_len)
        caught = {"F"}
    assert {row.name for row in check_pywavelets("db4") if not row.passed} == caught


def test_swapped_filters_are_caught(monkeypatch):
    right = pywavelets.tree_zero
    monkeypatch.setattr(pywavelets, "tree_zero", lambda *args: [(d, a) for a, d in right(*args)])
    assert {row.name for row in check_pywavelets("db4") if not row.passed} == {"B", "C", "F"}


def test_bad_input():
    with pytest.raises(ValueError, match="did you mean"):
        check_pywavelets("db-4")
    with pytest.raises(ValueError, match="2\\^level = 8 samples"):
        check_pywavelets("haar", np.ones(5))


@pytest.mark.parametrize("error", [1e-9, np.nan])
@pytest.mark.parametrize("side", ["ours", "pywt"])
def test_a_small_error_and_nan_are_caught(error, side, monkeypatch):
    """A billionth in one coefficient, or one NaN: every relation that reads it fails."""
    import pywt

    def spoil(pairs):
        (a, d), *rest = pairs
        a = np.array(a)
        a[len(a) // 2] = np.nan if np.isnan(error) else a[len(a) // 2] + error * np.abs(a).max()
        return [(a, d), *rest]

    if side == "ours":
        for name in ("tree_zero", "tree_periodic"):
            right = getattr(pywavelets, name)
            monkeypatch.setattr(pywavelets, name, lambda *args, right=right: spoil(right(*args)))
        caught = {"A", "A'", "B"}
    else:
        right = pywt.swt
        monkeypatch.setattr(pywt, "swt", lambda *args, **options: spoil(right(*args, **options)[::-1])[::-1])
        caught = {"A", "A'", "B"}
    assert caught <= {row.name for row in check_pywavelets("db4") if not row.passed}


def test_nothing_to_compare_is_no_agreement():
    good, lost = (np.ones(3), np.ones(3)), (np.full(3, np.nan), np.full(3, np.nan))
    for pairs in (
        [good, lost],
        [lost, good],
        [good, (np.ones(3), np.ones(2))],
    ):  # not the number beside a NaN
        assert pywavelets.worst(pairs) == np.inf
    for pairs in ([], [(np.zeros(0), np.zeros(0))], [(np.full(3, np.nan), np.full(3, np.nan))], [(np.ones(3), np.ones(2))]):
        assert not pywavelets.worst(pairs) <= 1e-9


LIMITS = {"A": 1e-12, "A'": 1e-12, "B": 1e-11, "C": 1e-12, "D": 1e-12, "E": 1e-12, "F": 1e-10, "G": 1e-12, "H": 1e-12, "I": 1e-12}


def test_what_each_relation_allows():
    rows = check_pywavelets("db4")
    assert {row.name: row.tolerance for row in rows} == LIMITS
    for row in rows:
        assert row._replace(error=row.tolerance).passed
        assert not row._replace(error=1.001 * row.tolerance).passed
        assert not row._replace(error=np.nan).passed
        assert not row._replace(error=np.inf).passed
        assert row._replace(error=None).passed


SPOILT = {  # what is made wrong by three times what the relation allows, and the relations that must say so
    "swt": {"A", "A'", "B", "I"},
    "wavedec": {"C", "D"},
    "dwt": {"E"},
    "upcoef": {"G"},
    "mra": {"H"},
}


@pytest.mark.parametrize("function", SPOILT)
@pytest.mark.parametrize("place", ["first", "last"])
def test_every_array_of_pywavelets_is_read(function, place, monkeypatch):
    """One number of the first or the last array, off by little: each relation that rests on it fails, and no other."""
    import pywt

    right = getattr(pywt, function)

    def spoil(array):
        array = np.array(array)
        array[len(array) // 3] += 4e-11 * np.linalg.norm(array)
        return array

    def wrong(*args, **options):
        found = right(*args, **options)
        if isinstance(found, np.ndarray):
            return spoil(found)
        found = list(found)
        which = 0 if place == "first" else -1
        found[which] = tuple(spoil(a) for a in found[which]) if isinstance(found[which], tuple) else spoil(found[which])
        return found

    monkeypatch.setattr(pywt, function, wrong)
    assert {row.name for row in check_pywavelets("db4") if not row.passed} == SPOILT[function]


def test_wavefun_and_each_mode_are_read(monkeypatch):
    import pywt

    right = pywt.dwt
    for bad in ("symmetric", "reflect", "periodic", "smooth", "constant", "antisymmetric", "antireflect"):
        monkeypatch.setattr(pywt, "dwt", lambda x, w, mode, bad=bad: [c * (1 + 1e-9 * (mode == bad)) for c in right(x, w, mode)])
        assert {row.name for row in check_pywavelets("db4") if not row.passed} == {"E"}, bad


@pytest.mark.parametrize("function", ["causal_iswt", "impulse_responses"])
def test_our_side_is_read(function, monkeypatch):
    right = getattr(pywavelets, function)

    def wrong(*args):
        found = right(*args)
        return found * (1 + 2e-10) if isinstance(found, np.ndarray) else [(g, d * (1 + 1e-9)) for g, d in found]

    monkeypatch.setattr(pywavelets, function, wrong)
    assert {row.name for row in check_pywavelets("db4") if not row.passed} == {{"causal_iswt": "F"}.get(function, "G")}


def test_where_a_relation_does_not_apply():
    """A', G, H and I are of orthogonal wavelets; F needs perfect reconstruction, which dmey's tables do not give."""
    none = {
        name: {row.name for row in check_pywavelets(name) if row.error is None} for name in ("db4", "bior2.2", "dmey", "coif2")
    }
    assert none == {"db4": set(), "bior2.2": {"A'", "G", "H", "I"}, "dmey": {"F"}, "coif2": set()}


def test_the_signal_and_the_levels_are_those_given(monkeypatch):
    """By default 200 samples of seeded noise and three levels; float32 and lists are computed in float64."""
    seen = []

    def remember(x, wavelet, J):
        seen.append((x, wavelet.name, J))
        return [(np.ones(3), np.ones(3))]

    monkeypatch.setattr(pywavelets, "RELATIONS", [("Z", "a relation", 1e-3, remember)])
    check_pywavelets("db2")
    check_pywavelets("db2", [1, 2, 3, 4, 5], level=2)
    check_pywavelets("db2", np.ones(8, np.float32), 3)
    (x, name, J), (given, _, two), (narrow, _, _) = seen
    assert (name, J, two) == ("db2", 3, 2)
    np.testing.assert_array_equal(x, np.random.default_rng(0).standard_normal(200))
    np.testing.assert_array_equal(given, [1, 2, 3, 4, 5])
    assert (given.dtype, narrow.dtype) == (np.float64, np.float64)
    for bad in (np.ones((2, 8)), np.ones(7)):
        with pytest.raises(ValueError, match=r"at least 2\^level = 8 samples"):
            check_pywavelets("db2", bad, 3)
    for level in (0, 17):
        with pytest.raises(ValueError, match="level"):
            check_pywavelets("db2", level=level)


def test_the_worst_pair_counts(monkeypatch):
    """The largest relative error of all pairs, each by its own size; as printed, with its tolerance and verdict."""
    ones = np.ones(4)
    assert pywavelets.worst([(ones, ones), (1e-9 * 1.5 * ones, 1e-9 * ones), (1.25 * ones, ones)]) == pytest.approx(0.5)
    assert pywavelets.worst([(2 * ones, ones)]) == pytest.approx(1.0)  # of the size of PyWavelets' side
    assert pywavelets.worst(None) is None
    rows = [pywavelets.Relation("A", "one", 2e-13, 1e-12), pywavelets.Relation("B", "two", 2e-3, 1e-11)]
    rows.append(pywavelets.Relation("F", "three", None, 1e-10))
    lines = [line.split() for line in pywavelets.format_relations(rows, "db4").split("\n")]
    assert lines == [
        ["PyWavelets", "against", "the", "causal", "tree:", "db4"],
        ["A", "2.0e-13", "(<=", "1e-12)", "ok", "one"],
        ["B", "2.0e-03", "(<=", "1e-11)", "FAIL", "two"],
        ["F", "n/a", "(<=", "1e-10)", "ok", "three"],
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_the_scaling_function_and_the_wavelet_are_read(which):
    import pywt

    class Wrong(pywt.Wavelet):
        def wavefun(self, level=8):
            found = list(super().wavefun(level=level))
            found[which] = found[which] * (1 + 1e-9)
            return found

    assert {row.name for row in check_pywavelets(Wrong("db4")) if not row.passed} == {"G"}
