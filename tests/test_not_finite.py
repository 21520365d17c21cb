"""NaN, infinity and overflow stay causal in every engine: they reach what depends on them, and nothing before it."""

import numpy as np
import pytest
from cases import gradients_of, random_arguments
from hypothesis import given, settings
from hypothesis import strategies as st

import multires_ref as mr
from multires_ref import engines
from multires_ref.definition import multires_conv_loops
from multires_ref.engines import fft, not_finite, tree
from multires_ref.ops.multires_conv import multires_conv_traced
from multires_ref.tree import kept_per_level

PATHS = (*engines.usable_engines(), "traced")
BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}  # of the largest finite number
shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 24))


def forward(path, args, **select):
    if path == "traced":
        return multires_conv_traced(*args, **select)
    return mr.multires_conv(*args, **select, engine=path)


def backward(path, g, args, **select):
    """The five gradients; those of the written-out layer by autograd."""
    if path != "traced":
        return gradients_of(g, args, **select, engine=path)
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp

    return tuple(make_vjp(lambda five: multires_conv_traced(*five, **select), traced_tuple(args))[0](g))


def same_where_finite(got, wanted, tolerance):
    """The same numbers are finite, and they agree."""
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    scale = max(1.0, np.abs(wanted[finite]).max(initial=0))
    np.testing.assert_allclose(got[finite], wanted[finite], rtol=0, atol=tolerance * scale)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says so where it meets them
@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=25, deadline=None)
@given(
    shape=shapes,
    K=st.integers(2, 4),
    J=st.integers(1, 6),
    m=st.integers(0, 12),
    bad=st.lists(st.tuples(st.sampled_from(sorted(BAD)), st.integers(0, 10**6)), min_size=1, max_size=3),
    dtype=st.sampled_from(("float32", "float64")),
    seed=st.integers(0, 99),
)
def test_outputs_are_the_oracles(path, shape, K, J, m, bad, dtype, seed):
    """NaN and infinity anywhere in x: the same outputs are finite as by the loops, and they are the same numbers."""
    args = random_arguments(np.random.default_rng(seed), *shape, K=K, J=J, m=m or None, dtype=dtype)
    for name, place in bad:
        args[0].flat[place % args[0].size] = BAD[name]
    select = {"tree_select": "uniform" if m else "fading", "depth": J}
    same_where_finite(forward(path, args, **select), multires_conv_loops(*args, **select), TOLERANCE[dtype])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=25, deadline=None)
@given(
    shape=shapes,
    K=st.integers(2, 4),
    J=st.integers(1, 6),
    m=st.integers(0, 12),
    where=st.sampled_from(("g", "x")),
    name=st.sampled_from(sorted(BAD)),
    place=st.integers(0, 10**6),
    seed=st.integers(0, 99),
)
def test_gradients_look_forward_only(path, shape, K, J, m, where, name, place, seed):
    """dx[n] depends on g[n], g[n + 1], ... and on no x: what is later than a bad g, and other rows, stay what they were.

    A filter's gradient sums over time and batch: it is bad wherever the tree's is, in this channel and in no other.
    """
    rng = np.random.default_rng(seed)
    args = random_arguments(rng, *shape, K=K, J=J, m=m or None)
    g, select = rng.standard_normal(shape), {"tree_select": "uniform" if m else "fading", "depth": J}
    clean = backward("tree", g, args, **select)
    (b, d, n), array = np.unravel_index(place % g.size, shape), {"g": g, "x": args[0]}[where]
    array[b, d, n] = BAD[name]
    wanted, got = backward("tree", g, args, **select), backward(path, g, args, **select)
    same_where_finite(got[0], wanted[0], TOLERANCE["float64"])
    assert np.isfinite(got[0]).sum() == g.size - (0 if where == "x" else np.sum(~np.isfinite(wanted[0][b, d, : n + 1])))
    others = np.arange(shape[1]) != d
    for part, reference, before in zip(got[1:], wanted[1:], clean[1:], strict=True):
        assert not np.isfinite(part[~np.isfinite(reference)]).any()
        if path == "fft":  # which leaves such sums to the tree
            same_where_finite(part, reference, TOLERANCE["float64"])
        np.testing.assert_allclose(part[others], before[others], rtol=0, atol=1e-11 * max(1, np.abs(before).max()))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.9, -1e-2])  # of the largest number there is: sums overflow at once, or in a transform
def test_overflow_does_not_reach_the_past(path, dtype, share):
    args = random_arguments(np.random.default_rng(4), B=2, D=3, L=200, K=2, J=7, dtype=dtype)
    args[1][:] /= np.abs(args[1]).sum(axis=1, keepdims=True)
    g = np.random.default_rng(5).standard_normal(args[0].shape).astype(dtype)
    quiet_y, quiet_dx = forward("tree", args, depth=7), backward("tree", g, args)[0]
    args[0][0, 1, 120:130] = g[1, 2, 60:70] = share * np.finfo(dtype).max
    y, dx = forward(path, args, depth=7), backward(path, g, args)[0]
    for got, wanted in ((y[0, 1, :120], quiet_y[0, 1, :120]), (dx[1, 2, 70:], quiet_dx[1, 2, 70:])):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE[dtype] * np.abs(wanted).max())
    for got, wanted in ((y[1], quiet_y[1]), (dx[0], quiet_dx[0])):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE[dtype] * np.abs(wanted).max())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_auto_keeps_the_past_where_it_takes_transforms():
    """A uniform memory of many weights: the engine is fft, and the 63 outputs before a NaN at the end are what they were."""
    x, h0, h1, w, w_skip = random_arguments(np.random.default_rng(0), B=1, D=1, L=64, K=2, J=10, m=900)
    select = {"tree_select": "uniform", "depth": 10}
    assert engines.choose("auto", x, 10, kept_per_level(10, 2, "uniform", 900), 2) == "fft"
    before = mr.multires_conv(x, h0, h1, w, w_skip, **select)
    x[0, 0, 63] = np.nan
    after = mr.multires_conv(x, h0, h1, w, w_skip, **select)
    assert np.isnan(after[0, 0, 63])
    np.testing.assert_allclose(after[0, 0, :63], before[0, 0, :63], rtol=1e-12, atol=1e-12 * np.abs(before).max())


def test_ordinary_rows_are_transformed(monkeypatch):
    """The tree is asked for the bad rows alone, so that an ordinary batch costs and gives what it did."""
    asked = []
    monkeypatch.setattr(tree, "forward", lambda x, *rest: asked.append(x.shape) or x)
    rng = np.random.default_rng(1)
    x, h0, q = rng.standard_normal((4, 3, 50)), rng.standard_normal((5, 3, 2)), [rng.standard_normal((3, 2))] * 5
    fft.forward(x, h0, q, np.ones(3))
    assert asked == []
    x[2, 1, 7] = np.nan
    fft.forward(x, h0, q, np.ones(3))
    assert asked == [(1, 1, 50)]


def test_growth_bounds_what_the_layer_can_do():
    """No array inside the tree exceeds the bound times the largest input, and one input reaches it."""
    h0, q, w_a = np.array([[[2.0, 1.0]], [[3.0, -1.0]]]), [np.array([[1.0]]), np.array([[0.5, 0.5]])], np.array([2.0])
    # a_1 at most 3, a_2 at most 12; y at most 1 + 3 + 24; dx at most ((2 * 4) + 1) * 3 + 1
    np.testing.assert_array_equal(not_finite.growth(h0, q, w_a, L=10), [28.0])
    np.testing.assert_array_equal(not_finite.growth(h0, q, w_a, L=2), [2 * 3 * 3 + 1 + 0.5 * 3])  # level 2: its newest tap
    silent = [0 * q_i for q_i in q]
    np.testing.assert_array_equal(not_finite.growth(h0, silent, 0.01 * w_a, L=10), [12.0])  # a_2, of which little is read


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("where", [0, 1])
def test_sums_that_a_transform_would_spoil_are_the_trees(where):
    """Numbers so large, in one sequence of the batch, that their transform overflows where the filters' gradients do not."""
    args = random_arguments(np.random.default_rng(6), B=2, D=2, L=64, K=2, J=3, dtype="float32")
    g = np.random.default_rng(7).standard_normal(args[0].shape).astype("float32")
    for h in args[1:3]:
        h *= np.float32(0.25)
    args[0][where, 1, 5], g[where, 1, :20], g[where, 1, 20:] = 1e38, 0.5, 0  # 1e38 times 20 times 0.5 is too much
    for got, wanted in zip(backward("fft", g, args), backward("tree", g, args), strict=True):
        same_where_finite(got, wanted, 1e-5)
