"""Responses against convolution, the Fourier transform, and the layer itself."""

import numpy as np
import pytest
from cases import random_arguments

from multires_ref import equivalent_kernel, frequency_responses, impulse_responses, multires_conv, pyramid, wavelet_filters
from multires_ref.filters import energy_centre
from multires_ref.memories import memory_matrix
from multires_ref.plots import plot_impulse_responses, plot_kernel

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def test_impulse_responses_convolve_to_the_pyramid(rng):
    x, (h0, h1) = rng.standard_normal(60), wavelet_filters("db3")
    for (g, d), (a, b) in zip(impulse_responses(h0, h1, 3), pyramid(x, h0, h1, 3), strict=True):
        np.testing.assert_allclose(np.convolve(x, g)[:60], a, **EXACT)
        np.testing.assert_allclose(np.convolve(x, d)[:60], b, **EXACT)


def test_impulse_responses_by_hand():
    (g1, d1), (g2, d2) = impulse_responses(np.array([1.0, 2.0]), np.array([3.0, 4.0]), 2)
    np.testing.assert_array_equal(g1, [1, 2])
    np.testing.assert_array_equal(d1, [3, 4])
    np.testing.assert_array_equal(g2, [1, 2, 2, 4])  # (1 + 2 z)(1 + 2 z^2)
    np.testing.assert_array_equal(d2, [3, 6, 4, 8])  # (1 + 2 z)(3 + 4 z^2)


@pytest.mark.parametrize("untied", [False, True])
def test_frequency_responses_are_the_transforms(rng, untied):
    _, h0, h1, _, _ = random_arguments(rng, D=2, K=4, J=3, untied=untied)
    f, pairs = frequency_responses(h0, h1, 3, frequencies=17)
    assert f[0] == 0
    assert f[-1] == 0.5
    for impulse, response in zip(impulse_responses(h0, h1, 3), pairs, strict=True):
        for g, G in zip(impulse, response, strict=True):
            lags = np.arange(g.shape[-1])
            np.testing.assert_allclose(G, g @ np.exp(-2j * np.pi * np.outer(lags, f)), rtol=1e-11, atol=1e-11)


def test_orthogonal_filters_share_the_power():
    """|A_1|^2 + |B_1|^2 = 2 at every frequency for an orthogonal wavelet."""
    _, ((A, B),) = frequency_responses(*wavelet_filters("sym4"), 1)
    np.testing.assert_allclose(abs(A) ** 2 + abs(B) ** 2, 2, rtol=1e-10)


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize(("tree_select", "m"), [("fading", 4), ("uniform", 4), ("uniform", 9), ("uniform", 40)])
def test_equivalent_kernel_is_the_layer(rng, tree_select, m, untied):
    x, h0, h1, w, s = random_arguments(rng, B=1, L=50, K=3, J=3, m=m, untied=untied)
    kernel = equivalent_kernel(h0, h1, w, s, tree_select=tree_select, depth=3)
    assert kernel.shape == (3, 2 * 7 + 1)
    y = multires_conv(x, h0, h1, w, s, tree_select=tree_select, depth=3)
    for d in range(3):
        np.testing.assert_allclose(np.convolve(x[0, d], kernel[d])[:50], y[0, d], **EXACT)


def test_minimum_delay_keeps_the_magnitude_and_comes_earlier():
    for name in ("db2", "db8", "coif2", "sym6"):
        late, early = wavelet_filters(name), wavelet_filters(name, order="minimum_delay")
        assert energy_centre(early[0]) <= energy_centre(late[0])
        _, ((A, B),) = frequency_responses(*late, 1)
        _, ((A2, B2),) = frequency_responses(*early, 1)
        np.testing.assert_allclose(abs(A), abs(A2), **EXACT)
        np.testing.assert_allclose(abs(B), abs(B2), **EXACT)
        for filters in zip(impulse_responses(*early, 4), impulse_responses(*late, 4), strict=True):
            for g, d in zip(*filters, strict=True):
                assert energy_centre(g) <= energy_centre(d)  # approximations and details alike
    assert energy_centre(wavelet_filters("db8")[0]) > 12  # maximum phase: the energy of dec_lo sits late
    assert energy_centre(wavelet_filters("db8", order="minimum_delay")[0]) < 3


K2 = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: frequency_responses(np.ones(1), np.ones(1), 2), ValueError, ["h0", "K of at least 2", "(1,)"]),
        (lambda: frequency_responses(np.ones(2), np.ones(3), 2), ValueError, ["h1 must have the shape of h0", "(2,)", "(3,)"]),
        (lambda: frequency_responses(K2, K2, 2, np.ones((2, 2))), ValueError, ["frequencies", "[N]", "(2, 2)"]),
        (lambda: frequency_responses(K2, K2.astype("float32"), 2), TypeError, ["h1", "float32"]),
        (lambda: impulse_responses(np.ones(2), np.ones(3), 2), ValueError, ["h1", "(3,)"]),
        (lambda: impulse_responses(K2, K2, 40), ValueError, ["depth=40", "bytes", "at most 22 levels"]),
        (lambda: equivalent_kernel(K2[None], K2[None], np.ones((3, 3)), np.ones(3)), ValueError, ["w must", "[D, m]", "(3, 3)"]),
        (lambda: equivalent_kernel(K2[None], K2[None], np.ones((1, 3)), np.ones(4)), ValueError, ["w_skip", "(4,)"]),
        (lambda: equivalent_kernel(K2[None], K2[None], np.ones(3), np.ones(1)), ValueError, ["w must", "(3,)"]),
        (lambda: equivalent_kernel(K2, K2, np.ones((1, 3)), np.ones(1)), ValueError, ["h0 must have shape [D, K]"]),
        (lambda: equivalent_kernel(K2[None], K2[None], np.ones((1, 3)), np.ones(1), depth=50), ValueError, ["size 51"]),
        (
            lambda: equivalent_kernel(K2[None], K2[None], np.ones((1, 3)), np.ones(1), tree_select="uniform"),
            ValueError,
            ["depth must be given"],
        ),
        (
            lambda: equivalent_kernel(K2[None], K2[None], np.ones((1, 3)), np.ones(1), tree_select="uniform", depth=50),
            ValueError,
            ["depth=50", "GiB"],
        ),
        (
            lambda: plot_kernel(*np.ones((2, 48, 2)), np.ones((48, 5)), np.ones(48)),
            ValueError,
            ["w must", "one channel", "(48, 5)"],
        ),
        (lambda: plot_kernel(*np.ones((2, 48, 2)), np.ones(5), 0.0), ValueError, ["depth is 4", "48"]),
        (lambda: plot_kernel(K2, K2, np.ones(5), np.ones(2)), ValueError, ["w_skip must be a number", "(2,)"]),
        (lambda: plot_kernel(K2, K2, np.ones(50), 0.0), ValueError, ["depth=49", "GiB"]),
        (lambda: plot_kernel(np.ones((2, 3, 4)), K2, np.ones(3), 0.0), ValueError, ["h0 must have shape [K]", "(2, 3, 4)"]),
        (lambda: memory_matrix(K2, K2, 45), ValueError, ["depth=45", "GiB"]),
        (lambda: plot_impulse_responses(K2, K2, 40), ValueError, ["depth=40", "GiB"]),
    ],
)
def test_bad_input_is_named_before_memory_is_asked_for(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_plot_kernel_of_untied_filters(rng):
    """The black line is the layer's kernel, tied or untied."""
    _, h0, h1, w, s = random_arguments(rng, D=2, K=3, J=3, untied=True)
    ax = plot_kernel(h0[:, 1], h1[:, 1], w[1], s[1])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), equivalent_kernel(h0, h1, w, s)[1], **EXACT)


def test_frequencies_of_ones_own_by_hand():
    """A list of them, kept to the last digit: H(f) = h[0] + h[1] exp(-2 pi i f), and level 2 is H(f) H(2 f)."""
    f, ((A1, B1), (A2, B2)) = frequency_responses(np.array([1.0, 2.0]), np.array([3.0, -4.0]), 2, frequencies=[0.1, 0.3])
    np.testing.assert_array_equal(f, [0.1, 0.3])
    once, twice = np.exp(-2j * np.pi * f), np.exp(-4j * np.pi * f)
    for got, wanted in (
        (A1, 1 + 2 * once),
        (B1, 3 - 4 * once),
        (A2, (1 + 2 * once) * (1 + 2 * twice)),
        (B2, (1 + 2 * once) * (3 - 4 * twice)),
    ):
        np.testing.assert_allclose(got, wanted, **EXACT)


def test_float32_is_kept():
    h0, h1, w, s = (np.ones(shape, np.float32) for shape in ((2, 3), (2, 3), (2, 4), (2,)))
    assert {c.dtype for pair in impulse_responses(h0, h1, 3) for c in pair} == {np.dtype("float32")}
    assert equivalent_kernel(h0, h1, w, s).dtype == np.float32


@pytest.mark.parametrize(("D", "levels"), [(1, 22), (64, 16)])
def test_all_channels_count_in_what_would_not_fit(D, levels):
    """40 levels of two coefficients in float64 take 640 bytes for each channel and sample of the receptive field."""
    with pytest.raises(ValueError, match=f"depth=40 .* at most {levels} levels fit in 4 GiB"):
        impulse_responses(np.ones((D, 2)), np.ones((D, 2)), 40)


def test_levels_and_memory_count_in_what_would_not_fit():
    """100 coefficients and 3 rows of the memory, for 4 channels in float64: 3,296 bytes a sample, so 2^20 samples."""
    h, w = np.ones((4, 2)), np.ones((4, 3))
    with pytest.raises(ValueError, match="depth=50 .* at most 20 levels fit in 4 GiB"):
        equivalent_kernel(h, h, w, np.ones(4), tree_select="uniform", depth=50)
