"""`causal_swt` and `causal_iswt` with PyWavelets' options: relations A and B hold for each of them, over several wavelets."""

import numpy as np
import pytest
import pywt
from hypothesis import given
from hypothesis import strategies as st

from multires_ref import causal_delay, causal_iswt, causal_swt, depth_for

WAVELETS = ["haar", "db3", "sym4", "coif1", "bior2.2"]
EXACT = {"rtol": 1e-11, "atol": 1e-11}
PERFECT = {"rtol": 0, "atol": 1e-9}
ORTHOGONAL = ["haar", "db3", "sym4", "coif1"]


def padded_swt(x, wavelet, J, m=0, **options):
    """Relation B: `pywt.swt` of the padded signal, moved right by 2^m (2^j - 1) F / 2: [(a_J, d_J), ..., (a_1, d_1)]."""
    F, N = pywt.Wavelet(wavelet).dec_len, x.shape[-1]
    unit = 2 ** (J + m)
    M = -(-(N + 2**m * (2**J - 1) * (F - 1)) // unit) * unit
    theirs = pywt.swt(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, M - N)]), wavelet, J, start_level=m, **options)
    shifts = [2**m * (2**j - 1) * F // 2 for j in range(J, 0, -1)]
    return [tuple(np.roll(c, shift, axis=-1)[..., :N] for c in pair) for pair, shift in zip(theirs, shifts, strict=True)]


def assert_pairs(ours, theirs, **tolerance):
    for pair, other in zip(ours, theirs, strict=True):
        for p, q in zip(pair, other, strict=True):
            np.testing.assert_allclose(p, q, **tolerance)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("m", [0, 1, 3])
@pytest.mark.parametrize("engine", ["tree", "auto"])
def test_start_level_is_pywts(wavelet, m, engine, rng):
    x = rng.standard_normal((2, 45))
    assert_pairs(causal_swt(x, wavelet, 2, start_level=m, engine=engine), padded_swt(x, wavelet, 2, m), **EXACT)


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_levels_in_two_parts(wavelet, rng):
    """Levels 2 and 3 of x are levels 1 and 2, from start_level 1 on, of a_1; the same bits."""
    x = rng.standard_normal(53)
    whole = causal_swt(x, wavelet, 3, engine="tree")
    for pair, other in zip(causal_swt(whole[2][0], wavelet, 2, start_level=1, engine="tree"), whole[:2], strict=True):
        np.testing.assert_array_equal(pair, other)


@pytest.mark.parametrize("wavelet", ORTHOGONAL)
def test_norm_is_pywts_and_keeps_energy_and_variance(wavelet, rng):
    x = rng.standard_normal(64)
    assert_pairs(causal_swt(x, wavelet, 3, norm=True), padded_swt(x, wavelet, 3, norm=True), **EXACT)
    coeffs = causal_swt(x, wavelet, 3, norm=True, trim_approx=True, tail=True)
    np.testing.assert_allclose(sum((c**2).sum() for c in coeffs), (x**2).sum(), rtol=1e-9)
    theirs = pywt.swt(x, wavelet, 3, norm=True, trim_approx=True)  # periodic: the same partition, on average
    assert len(coeffs) == len(theirs) == 4


def test_norm_of_other_wavelets_warns_as_pywt_does():
    x = np.arange(16.0)
    with pytest.warns(UserWarning, match="not orthogonal"):
        theirs = pywt.swt(x, "bior2.2", 1, norm=True)
    with pytest.warns(UserWarning, match="not orthogonal"):
        ((a, d),) = causal_swt(x, "bior2.2", 1, norm=True)
    np.testing.assert_allclose(np.roll(a, -3)[3:10], theirs[0][0][3:10], **EXACT)
    with pytest.warns(UserWarning, match="not orthogonal"):
        causal_swt(x, ([1, 1], [1, -1]), 1, norm=True)
    causal_swt(x, ([0.6, 0.8], [-0.8, 0.6]), 1, norm=True)  # no warning


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_axis_is_pywts(axis, rng):
    x = rng.standard_normal((5, 6, 7))
    ours = causal_swt(x, "db2", 2, axis=axis)
    theirs = causal_swt(np.moveaxis(x, axis, -1), "db2", 2)
    for pair, other in zip(ours, theirs, strict=True):
        for p, q in zip(pair, other, strict=True):
            np.testing.assert_array_equal(np.moveaxis(p, axis, -1), q)
    long = causal_swt(x, "db2", 2, axis=axis, tail=True)
    late = causal_delay("db2", 2)
    back = causal_iswt(long, "db2", axis=axis)
    assert back.shape[axis] == x.shape[axis] + late
    np.testing.assert_allclose(np.moveaxis(back, axis, -1)[..., late:], np.moveaxis(x, axis, -1), **PERFECT)


@given(
    st.sampled_from(WAVELETS),
    st.integers(1, 60),
    st.integers(1, 3),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_inverse_with_every_option(wavelet, L, J, m, norm, trim, complex_too):
    rng = np.random.default_rng(L)
    x = rng.standard_normal((2, L)) + (1j * rng.standard_normal((2, L)) if complex_too else 0)
    norm = norm and wavelet in ORTHOGONAL
    coeffs = causal_swt(x, wavelet, J, norm=norm, trim_approx=trim, start_level=m, tail=True)
    late = causal_delay(wavelet, J, m)
    back = causal_iswt(coeffs, wavelet, norm=norm, start_level=m)
    assert back.dtype == x.dtype
    np.testing.assert_allclose(back[:, late:], x, **PERFECT)
    np.testing.assert_allclose(back[:, :late], 0, **PERFECT)


def test_trimmed_and_arrays_of_pairs(rng):
    x = rng.standard_normal(40)
    pairs, trimmed = (causal_swt(x, "sym4", 3, trim_approx=trim) for trim in (False, True))
    for c, other in zip(trimmed, [pairs[0][0], *(d for _, d in pairs)], strict=True):
        np.testing.assert_array_equal(c, other)
    expected = causal_iswt(pairs, "sym4")
    for form in (trimmed, tuple(trimmed), np.array(pairs), [list(pair) for pair in pairs]):
        np.testing.assert_array_equal(causal_iswt(form, "sym4"), expected)


@pytest.mark.parametrize(("L", "wavelet"), [(1, "haar"), (2, "haar"), (1024, "haar"), (1025, "haar"), (100, "db4"), (101, "db4")])
def test_the_level_that_is_taken(L, wavelet):
    """The smallest whose coarsest coefficient sees all of x: one level fewer does not answer the first sample at the end."""
    x, F = np.eye(1, L)[0], pywt.Wavelet(wavelet).dec_len
    coeffs = causal_swt(x, wavelet)
    assert len(coeffs) == depth_for(L, F)
    assert (F - 1) * (2 ** len(coeffs) - 1) + 1 >= L
    if len(coeffs) > 1:
        assert (F - 1) * (2 ** (len(coeffs) - 1) - 1) + 1 < L
        assert coeffs[1][0][-1] == 0 != coeffs[0][0][-1]
    assert len(causal_swt(np.ones(64), "haar", start_level=2)) == depth_for(16, 2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("bool", "float64"), ("int8", "float64"), ("uint64", "float64"), ("float16", "float32"), ("float32", "float32"),
        ("float64", "float64"), ("longdouble", "float64"), ("complex64", "complex64"), ("complex128", "complex128"),
        ("clongdouble", "complex128"),
    ],
)  # fmt: skip
def test_dtypes_are_pywts(given, kept):
    x = np.array([1, 0, 1, 1, 0, 0, 1, 1]).astype(given)
    ((a, d),), ((cA, cD),) = causal_swt(x, "haar", 1), pywt.swt(x, "haar", 1)
    assert a.dtype == d.dtype == cA.dtype == kept
    np.testing.assert_allclose(a[1:], cA[:-1], rtol=1e-6)
    np.testing.assert_allclose(d[1:], cD[:-1], rtol=1e-6)
    assert causal_iswt([(a, d)], "haar").dtype == kept


def test_lists_and_complex_numbers(rng):
    x = rng.standard_normal((2, 20)) + 1j * rng.standard_normal((2, 20))
    ours, real, imaginary = (causal_swt(part, "db2", 2) for part in (x, x.real.tolist(), x.imag))
    for pair, re, im in zip(ours, real, imaginary, strict=True):
        for p, q, r in zip(pair, re, im, strict=True):
            np.testing.assert_array_equal(p.real, q)
            np.testing.assert_array_equal(p.imag, r)
    mixed = [(ours[0][0].real, ours[0][1]), *ours[1:]]  # as pywt.iswt, which takes the dtype that holds all
    assert causal_iswt(mixed, "db2").dtype == np.complex128


def test_nan_and_infinity_stay_in_their_part():
    x = np.ones(40, complex)
    x[20] = complex(1, np.inf)
    (a, d), _ = causal_swt(x, "haar", 2)
    assert np.isfinite(a[:20]).all()
    assert np.isfinite(a.real).all()  # not even the real part of that sample
    assert np.isinf(a[20])
    assert np.isfinite(a[24:]).all()
    (b, _), _ = causal_swt([1.0, np.nan, 1, 1, 1, 1, 1], "haar", 2)
    assert np.isnan(b).tolist() == [False, True, True, True, True, False, False]


def test_filters_of_ones_own(rng):
    w, x = pywt.Wavelet("bior2.2"), rng.standard_normal((2, 30))
    own = (w.dec_lo, w.dec_hi, np.array(w.rec_lo), w.rec_hi)
    for wavelet in (own, list(own), own[:2]):
        for pair, other in zip(causal_swt(x, wavelet, 2), causal_swt(x, "bior2.2", 2), strict=True):
            np.testing.assert_array_equal(pair, other)
    coeffs = causal_swt(x, own[:2], 2, tail=True)
    np.testing.assert_array_equal(causal_iswt(coeffs, own), causal_iswt(coeffs, "bior2.2"))
    assert causal_delay(own, 2) == causal_delay("bior2.2", 2)
    with pytest.raises(ValueError, match=r"give \(h0, h1, g0, g1\), or a wavelet"):
        causal_iswt(coeffs, own[:2])
    with pytest.raises(ValueError, match="do not reconstruct.*wrong by"):
        causal_iswt(coeffs, (own[0], own[1], own[2], own[3][::-1]))
    own_of_three = ([0.5, 0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, -1.0])  # an odd number of taps
    late = causal_delay(own_of_three, 3)
    assert late == 14
    back = causal_iswt(causal_swt(x, own_of_three, 3, tail=True), own_of_three)
    np.testing.assert_allclose(back[:, late:], x, **EXACT)


def test_absurd_levels_are_refused_before_memory_is_asked_for():
    x = np.broadcast_to(np.float64(1), (2**26,))  # takes no memory itself
    with pytest.raises(ValueError, match=r"level=60 would take .* at most 26 levels see more of 67,108,864 samples"):
        causal_swt(x, "haar", 60)
    for wrong in (61, 10**9, -1):
        with pytest.raises(ValueError, match="level must be between 1 and 60"):
            causal_swt(np.ones(8), "haar", wrong)
    with pytest.raises(ValueError, match="start_level must be between 0 and 58"):
        causal_swt(np.ones(8), "haar", 2, start_level=59)
    assert causal_swt(np.arange(8.0), "haar", 1, start_level=59)[0][0][5] == pytest.approx(5 * 2**-0.5)  # sees x[n] alone


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"axis": 2}, ValueError, "axis must be between -2 and 1; got 2"),
        ({"axis": 0.5}, TypeError, "axis must be an integer"),
        ({"norm": 1}, TypeError, "norm must be True or False"),
        ({"trim_approx": None}, TypeError, "trim_approx must be True or False"),
        ({"start_level": -1}, ValueError, "start_level must be between 0 and"),
        ({"start_level": 1.0}, TypeError, "start_level must be an integer"),
        ({"wavelet": ([1, 1],)}, ValueError, "got 1 filters"),
        ({"wavelet": ([1, 1], [1, 1, 1])}, ValueError, r"one length .* got \[2, 3\] taps"),
        ({"wavelet": ([1], [1])}, ValueError, "h0 of wavelet must hold at least 2"),
        ({"wavelet": ([1, np.nan], [1, 1])}, ValueError, "h0 of wavelet must hold at least 2 finite"),
        ({"wavelet": ([1, 1j], [1, 1])}, TypeError, "h0 of wavelet must be an array of real numbers"),
        ({"x": 3.0}, ValueError, "x must be a non-empty array"),
        ({"x": np.array([1, 2], object)}, TypeError, "x must be an array of numbers"),
        ({"x": [[1, 2], [3]]}, ValueError, "x must be an array; its rows do not fit"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        causal_swt(**{"x": np.ones((2, 8)), "wavelet": "haar", "level": 1} | options)
