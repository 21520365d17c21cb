"""Wavelet filters as PyWavelets gives them, random ones as the authors draw them."""

import numpy as np
import pytest
import pywt

from multires_ref import random_filters, wavelet_filters
from multires_ref.base.layer_checks import as_wavelet, wavelet_names
from multires_ref.filters import energy_centre


@pytest.mark.parametrize("name", wavelet_names())
def test_every_wavelet_in_lag_order(name):
    h0, h1 = wavelet_filters(name)
    wavelet = pywt.Wavelet(name)
    np.testing.assert_array_equal(h0, wavelet.dec_lo)
    np.testing.assert_array_equal(h1, wavelet.dec_hi)
    assert len(h0) == as_wavelet(name).dec_len
    x = np.arange(1.0, 21.0)
    cA, cD = pywt.dwt(x, wavelet, mode="zero")  # cA[m] = (lo * x)[2 m + 1]
    np.testing.assert_allclose(np.convolve(h0, x)[1 : 2 * len(cA) : 2], cA, atol=1e-11)
    np.testing.assert_allclose(np.convolve(h1, x)[1 : 2 * len(cD) : 2], cD, atol=1e-11)


def test_there_are_106_wavelets_or_more():
    assert len(wavelet_names()) >= 106


@pytest.mark.parametrize("name", ["db4", "bior2.4", "haar", "coif2", "db20"])
def test_orders_are_time_reverses(name):
    analysis, reverse, early = (wavelet_filters(name, order=order) for order in ("analysis", "reversed", "minimum_delay"))
    for h, back, first in zip(analysis, reverse, early, strict=True):
        np.testing.assert_array_equal(back, h[::-1])
        assert np.array_equal(first, h) or np.array_equal(first, h[::-1])
        assert energy_centre(first) <= min(energy_centre(h), energy_centre(back))


def test_minimum_delay_reverses_the_low_pass_of_daubechies_only():
    (lo, hi), (early_lo, early_hi) = wavelet_filters("db8"), wavelet_filters("db8", order="minimum_delay")
    np.testing.assert_array_equal(early_lo, lo[::-1])
    np.testing.assert_array_equal(early_hi, hi)


def test_dtype():
    assert wavelet_filters("db4", dtype="float32")[0].dtype == np.float32


def test_random_filters_fill_their_range(rng):
    h0, h1 = random_filters(rng, D=2000, K=8)
    assert h0.dtype == h1.dtype == np.float32
    bound = np.sqrt(2 / 16)
    for h in (h0, h1):
        assert 0.99 * bound < np.abs(h).max() <= bound
        assert abs(h.mean()) < 0.02 * bound
    assert random_filters(rng, D=3, K=2, J=5)[0].shape == (5, 3, 2)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(ValueError, match="wavelet must be one of .* got 'db3x' \\(did you mean 'db3'"):
        wavelet_filters("db3x")
    with pytest.raises(ValueError, match="order must be one of 'analysis', 'reversed', 'minimum_delay'; got 'synthesis'"):
        wavelet_filters("db3", order="synthesis")
    for dtype in ("int32", "float16", "complex128", None):
        with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64'; got "):
            wavelet_filters("db3", dtype=dtype)


@pytest.mark.parametrize(("dtype", "J"), [("float32", None), ("float64", 3)])
def test_random_filters_are_two_draws_of_the_generator(dtype, J):
    """h0 first, then h1, uniform between -1 / sqrt(K) and 1 / sqrt(K)."""
    by_hand, shape = np.random.default_rng(5), (4, 9) if J is None else (J, 4, 9)
    for h in random_filters(np.random.default_rng(5), D=4, K=9, J=J, dtype=dtype):
        assert h.dtype == dtype
        np.testing.assert_array_equal(h, by_hand.uniform(-1 / 3, 1 / 3, shape).astype(dtype))


def test_the_levels_count_among_the_numbers_drawn_at_once():
    with pytest.raises(ValueError, match=r"D, K and J must ask for at most 134,217,728 elements; got .*\(1000000+, 1, 2\)"):
        random_filters(np.random.default_rng(0), D=1, K=2, J=10**15)


def test_the_centre_of_the_energy_by_hand():
    assert energy_centre(np.array([-2.0, 0.0, 1.0])) == pytest.approx(2 / 5)
