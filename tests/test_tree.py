"""The tree against the oracle, and what must hold of it whatever the filters."""

import numpy as np
import pytest
from cases import random_arguments
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import depth_for, memory, memory_rows, multires_conv, multires_conv_traced, pyramid, receptive_field
from multires_ref.definition import memory_loops, multires_conv_loops, pyramid_loops
from multires_ref.tree import delay, kept_per_level

EXACT = {"rtol": 1e-12, "atol": 1e-12}
ROUNDING = 1e-13  # of the sum of sizes: some hundred operations in float64
SINGLE = {"rtol": 2e-5, "atol": 2e-5}


@given(st.integers(1, 24), st.integers(2, 5), st.integers(1, 6), st.sampled_from(["fading", "uniform"]), st.data())
def test_memory_is_the_oracle(L, K, J, tree_select, data):
    m = J + 1 if tree_select == "fading" else data.draw(st.integers(1, 40))
    rng = np.random.default_rng(L * 1000 + K * 100 + J)
    x, h0, h1 = rng.standard_normal(L), rng.standard_normal(K), rng.standard_normal(K)
    z, rows = memory(x, h0, h1, J, tree_select, m)
    levels = pyramid_loops(x, h0, h1, J)
    expected = np.array([memory_loops(levels, n, K, tree_select, m) for n in range(L)]).T
    np.testing.assert_allclose(z, expected, **EXACT)
    assert z.shape == (len(rows), L) == (m, L)


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("tree_select", ["fading", "uniform"])
@settings(max_examples=40)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 21), st.integers(2, 5), st.integers(1, 7), st.integers(1, 30))
def test_layer_is_the_oracle(tree_select, untied, B, D, L, K, J, m):
    m = J + 1 if tree_select == "fading" else m
    args = random_arguments(np.random.default_rng(L + 100 * K + 1000 * J), B, D, L, K, J, m, untied)
    options = {"tree_select": tree_select, "depth": J}
    sizes = multires_conv_loops(*map(np.abs, args), **options)  # the sum of the sizes of all that is added up to a number of y
    difference = np.abs(multires_conv(*args, **options, engine="tree") - multires_conv_loops(*args, **options))
    assert (difference <= ROUNDING * sizes).all()


@pytest.mark.parametrize("tree_select", ["fading", "uniform"])
def test_causal(rng, tree_select):
    """What comes after time n cannot change y[n]; what comes at n does."""
    args = random_arguments(rng, L=40, J=4, m=5)
    later = args[0].copy()
    later[:, :, 20:] += rng.standard_normal(later[:, :, 20:].shape)
    options = {"tree_select": tree_select, "depth": 4}
    y, changed = (multires_conv(x, *args[1:], **options) for x in (args[0], later))
    np.testing.assert_array_equal(y[..., :20], changed[..., :20])
    assert np.all(y[..., 20] != changed[..., 20])


def test_shift(rng):
    """A later signal gives the same output later."""
    args = random_arguments(rng, L=40, J=4)
    y = multires_conv(*args)
    np.testing.assert_allclose(multires_conv(delay(args[0], 7), *args[1:]), delay(y, 7), **EXACT)


def test_linear_in_each_argument(rng):
    """Linear in the signal, and in the weights (w, w_skip) together."""
    x, h0, h1, w, s = random_arguments(rng)
    x2, _, _, w2, s2 = random_arguments(rng)
    np.testing.assert_allclose(
        multires_conv(2 * x - 3 * x2, h0, h1, w, s),
        2 * multires_conv(x, h0, h1, w, s) - 3 * multires_conv(x2, h0, h1, w, s),
        **EXACT,
    )
    np.testing.assert_allclose(
        multires_conv(x, h0, h1, w - w2, s - s2), multires_conv(x, h0, h1, w, s) - multires_conv(x, h0, h1, w2, s2), **EXACT
    )


def test_channels_do_not_mix(rng):
    args = random_arguments(rng, D=4)
    alone = multires_conv(*(a[:, 2:3] if a.ndim == 3 else a[2:3] for a in args))
    np.testing.assert_allclose(multires_conv(*args)[:, 2:3], alone, **EXACT)


def test_untied_of_equal_filters_is_tied(rng):
    x, h0, h1, w, s = random_arguments(rng, J=3)
    np.testing.assert_allclose(
        multires_conv(x, np.stack([h0] * 3), np.stack([h1] * 3), w, s), multires_conv(x, h0, h1, w, s), **EXACT
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(rng, dtype):
    args = random_arguments(rng, dtype=dtype)
    exact = multires_conv(*(a.astype("float64") for a in args))
    y = multires_conv(*args)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, exact, **(SINGLE if dtype == "float32" else EXACT))
    z, _ = memory(*args[:3], depth=3)
    assert z.dtype == dtype
    assert all(c.dtype == dtype for pair in pyramid(*args[:3], depth=3) for c in pair)


def test_depth_beyond_the_sequence(rng):
    """Levels whose dilation exceeds the sequence see one sample each: a deep tree is a shallow one with scaled weights."""
    x, h0, h1, w, s = random_arguments(rng, L=5, K=2, J=20)
    np.testing.assert_allclose(multires_conv(x, h0, h1, w, s), multires_conv_loops(x, h0, h1, w, s), **EXACT)


@given(st.integers(1, 5000), st.integers(2, 9))
def test_depth_covers_the_length_and_is_the_smallest(L, K):
    J = depth_for(L, K)
    assert receptive_field(J, K) >= L
    assert J == 1 or receptive_field(J - 1, K) < L


@given(st.integers(1, 12), st.integers(2, 6), st.integers(1, 200))
def test_uniform_takes_what_a_coarser_level_was_made_from(J, K, m):
    """The details kept of level i are spaced 2^i and, cut or not, never reach beyond the receptive field."""
    rows = memory_rows(J, K, "uniform", m)
    assert len(rows) == m
    taps = kept_per_level(J, K, "uniform", m)
    assert sum(taps) + 1 == m - sum(row.kind == "unused" for row in rows)
    assert all(row.lag + receptive_field(row.level, K) <= receptive_field(J, K) for row in rows if row.level)
    full = [1]
    while len(full) < J:
        full.append(2 * (full[-1] - 1) + K)
    assert all(t <= f for t, f in zip(taps[::-1], full, strict=True))


def test_a_million_steps(rng):
    args = random_arguments(rng, B=1, D=1, L=2**20, K=2, J=20, dtype="float32")
    y = multires_conv(*args[:1], *(a * np.float32(0.5) for a in args[1:]))
    assert y.shape == (1, 1, 2**20)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("held", [2, 4, 5])
def test_untied_filters_are_one_pair_a_level(held):
    """Neither too few nor too many: the surplus would be ignored without a word."""
    x, h0, h1, w, w_skip = random_arguments(np.random.default_rng(0), J=3, untied=True)
    h0, h1 = (np.concatenate([h, h])[:held] for h in (h0, h1))
    for call in (
        lambda: pyramid(x, h0, h1, 3),
        lambda: memory(x, h0, h1, 3),
        lambda: multires_conv(x, h0, h1, w, w_skip, depth=3),
    ):
        with pytest.raises(ValueError, match="one filter a level: depth is 3"):
            call()


def test_untied_filters_are_used_fine_to_coarse(rng):
    """The coefficients by name, the memory, and the layer written out, against the loops: three different pairs of filters."""
    x, h0, h1, w, w_skip = random_arguments(rng, B=1, D=2, L=30, J=3, untied=True)
    levels, (z, rows) = pyramid(x, h0, h1, 3), memory(x, h0, h1, 3)
    for d in range(2):
        by_loops = pyramid_loops(x[0, d], h0[:, d], h1[:, d], 3)
        for pair, wanted in zip(levels, by_loops, strict=True):
            np.testing.assert_allclose([c[0, d] for c in pair], wanted, **EXACT)
        for row, numbers in zip(rows, z[0, d], strict=True):
            np.testing.assert_allclose(numbers, by_loops[row.level - 1]["ab".index(row.kind)], **EXACT)
    wanted = multires_conv_loops(x, h0, h1, w, w_skip)
    for layer in (multires_conv, multires_conv_traced):
        np.testing.assert_allclose(layer(x, h0, h1, w, w_skip), wanted, **EXACT)
