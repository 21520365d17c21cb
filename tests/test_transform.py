"""The causal stationary transform and its inverse."""

import numpy as np
import pytest
import pywt
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import causal_delay, causal_iswt, causal_swt
from multires_ref.base.layer_checks import wavelet_names

EXACT = {"rtol": 1e-12, "atol": 1e-12}
PERFECT = {"rtol": 0, "atol": 1e-10}  # the digits of PyWavelets' filter tables


@pytest.mark.parametrize("wavelet", [name for name in wavelet_names() if name != "dmey"])
def test_perfect_reconstruction(wavelet, rng):
    x = rng.standard_normal((2, 37))
    coeffs = causal_swt(x, wavelet, 2, tail=True)
    late = causal_delay(wavelet, 2)
    back = causal_iswt(coeffs, wavelet)
    np.testing.assert_allclose(back[:, late:], x, **PERFECT)
    np.testing.assert_allclose(back[:, :late], 0, **PERFECT)


@given(st.integers(1, 70), st.integers(1, 5), st.sampled_from(["haar", "db3", "sym4", "bior2.2"]))
def test_any_length_without_tail(L, J, wavelet):
    """Without the tail the beginning of x comes back: the rest is still inside the tree."""
    x = np.random.default_rng(L).standard_normal(L)
    late = causal_delay(wavelet, J)
    back = causal_iswt(causal_swt(x, wavelet, J), wavelet)
    assert back.shape == x.shape
    np.testing.assert_allclose(back[late:], x[: max(L - late, 0)], **PERFECT)


def test_coefficients_are_swt_of_the_padded_signal(rng):
    x, J, F = rng.standard_normal(45), 3, pywt.Wavelet("db2").dec_len
    padded = np.pad(x, (0, 80 - 45))  # 80 >= 45 + 7 * 3, and 8 divides it
    for (a, d), (cA, cD), j in zip(causal_swt(x, "db2", J), pywt.swt(padded, "db2", J), (3, 2, 1), strict=True):
        shift = (2**j - 1) * F // 2
        np.testing.assert_allclose(a, np.roll(cA, shift)[:45], **EXACT)
        np.testing.assert_allclose(d, np.roll(cD, shift)[:45], **EXACT)


def test_energy_of_an_orthogonal_wavelet(rng):
    """|a_1|^2 + |d_1|^2 = 2 |x|^2 when nothing is cut off, and level by level the same: a tight frame."""
    x = rng.standard_normal(50)
    (a2, d2), (a1, d1) = causal_swt(x, "db4", 2, tail=True)
    np.testing.assert_allclose((a1**2).sum() + (d1**2).sum(), 2 * (x**2).sum(), rtol=1e-10)
    np.testing.assert_allclose((a2**2).sum() + (d2**2).sum(), 2 * (a1**2).sum(), rtol=1e-10)


def test_dtypes():
    assert causal_swt(np.ones(9, np.float32), "db2", 2)[0][0].dtype == np.float32
    assert causal_swt(np.arange(9), "db2", 2)[0][0].dtype == np.float64
    assert causal_swt(np.ones(9, np.float32), "db2", 2, tail=True)[1][1].dtype == np.float32
    assert causal_iswt(causal_swt(np.ones(9, np.float32), "db2", 2), "db2").dtype == np.float32
    for narrow in (np.array([True, False, True]), np.array([1, 0, 1], np.uint8)):
        (got,), (wanted,) = causal_swt(narrow, "db2", 1), causal_swt(narrow.astype(float), "db2", 1)
        assert got[0].dtype == np.float64
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 9000), st.integers(1, 14), st.sampled_from(["haar", "db3", "sym4", "bior2.2"]))
def test_compiled_levels_are_the_tree(dtype, rows, L, J, wavelet):
    """Lengths around the block of 4,096 samples, and dilations beyond the signal."""
    pytest.importorskip("numba", reason="Numba is not installed")
    x = np.random.default_rng(L).standard_normal((rows, L)).astype(dtype)
    tree, fused = (causal_swt(x, wavelet, J, engine=engine) for engine in ("tree", "fused"))
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for ours, theirs in zip(fused, tree, strict=True):
        for p, q in zip(ours, theirs, strict=True):
            assert p.dtype == dtype
            np.testing.assert_allclose(p, q, rtol=0, atol=tolerance * np.abs(tree[0][0]).max() + tolerance)


def test_auto_compiles_for_long_signals_only(monkeypatch):
    from multires_ref.engines import pyramid

    monkeypatch.setattr(pyramid, "numba_works", lambda: True)
    assert pyramid.compiles("auto", np.zeros(2**16), 80)
    assert pyramid.compiles("auto", np.zeros((64, 2**10)), 80)  # of all rows together
    assert not pyramid.compiles("auto", np.zeros(2**10), 80)
    monkeypatch.setattr(pyramid, "numba_works", lambda: False)
    monkeypatch.setattr("multires_ref.base.compiled.numba_problem", lambda: "pip install numba")
    assert not pyramid.compiles("auto", np.zeros(2**16), 80)
    with pytest.raises(ImportError, match="pip install numba"):
        pyramid.compiles("fused", np.zeros(2**16), 80)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: causal_swt(np.ones(4), "db99", 1), ValueError, ["wavelet", "'db99'", "db9"]),
        (lambda: causal_swt(np.array(["1"] * 4), "haar", 1), TypeError, ["x must", "<U1"]),
        (lambda: causal_swt(np.ones(0), "haar", 1), ValueError, ["x must", "(0,)"]),
        (lambda: causal_swt(np.ones(4), "haar", 0), ValueError, ["0", "between 1 and"]),
        (lambda: causal_swt(np.ones(4), "haar", 2.5), TypeError, ["integer", "2.5"]),
        (lambda: causal_swt(np.ones(4), "haar", 1, engine="fft"), ValueError, ["engine", "'fft'"]),
        (lambda: causal_iswt([], "haar"), ValueError, ["coeffs", "empty"]),
        (lambda: causal_iswt([(np.ones(4), np.ones(5))], "haar"), ValueError, ["coeffs", "(5,)"]),
        (lambda: causal_iswt([(np.ones(4), np.ones(4), np.ones(4))], "haar"), TypeError, ["coeffs[0]", "pair"]),
        (lambda: causal_iswt([(np.ones(4), np.ones(4))] * 2 + [(np.ones(4),)], "haar"), TypeError, ["coeffs[2]", "pair"]),
        (lambda: causal_iswt([(np.ones(4), np.ones(4)), (np.ones(4), np.array(["1"] * 4))], "haar"), TypeError, ["coeffs[1][1]"]),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_wavelet_of_ones_own(rng):
    """A `pywt.Wavelet` is taken as it is, also where its name says nothing: orthogonal filters by a rotation."""
    c, s = np.cos(0.3), np.sin(0.3)
    lo, hi = [c, s], [-s, c]
    own = pywt.Wavelet("own", filter_bank=[lo, hi, lo[::-1], hi[::-1]])
    x = rng.standard_normal(20)
    ((a, d),) = causal_swt(x, own, 1)
    late = np.concatenate(([0.0], x[:-1]))
    np.testing.assert_allclose(a, c * x + s * late, **EXACT)
    np.testing.assert_allclose(d, -s * x + c * late, **EXACT)
    assert causal_delay(own, 3) == 7


def test_the_engine_asked_for_computes(monkeypatch):
    """ "fused" is the compiled loops and "tree" is not, however short the signal."""
    pytest.importorskip("numba", reason="Numba is not installed")
    from multires_ref.engines.numba import levels

    asked, loops = [], levels.pyramid_levels
    monkeypatch.setattr(levels, "pyramid_levels", lambda *args: asked.append(args[3]) or loops(*args))
    for engine, seen in (("tree", []), ("auto", []), ("fused", [2])):
        causal_swt(np.ones(9), "db2", 2, engine=engine)
        assert asked == seen


def test_what_a_tail_would_take_counts_all_rows():
    """(a, d) of 30 levels, the signal and the padded signal: 62 arrays of 5 rows of 100 + 2^30 - 1 numbers of 4 bytes."""
    with pytest.raises(ValueError, match=f"would take {62 * 5 * (99 + 2**30) * 4:,} bytes"):
        causal_swt(np.ones((5, 100), np.float32), "haar", 30, tail=True)
