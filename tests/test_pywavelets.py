"""Relations A to I between PyWavelets and the causal tree, over all its discrete wavelets; and that the checks can fail."""

import numpy as np
import pytest

from multires_ref import check_pywavelets
from multires_ref.base.layer_checks import wavelet_names
from multires_ref.interop import pywavelets


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
    for pairs in ([], [(np.zeros(0), np.zeros(0))], [(np.full(3, np.nan), np.full(3, np.nan))], [(np.ones(3), np.ones(2))]):
        assert not pywavelets.worst(pairs) <= 1e-9
