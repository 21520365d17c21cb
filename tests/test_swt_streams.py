"""The streams give, bit for bit, what the whole-signal functions give, however the samples come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import CausalISWT, CausalSWT, causal_delay, causal_iswt, causal_swt
from multires_ref.base.compiled import numba_works

ENGINES = ["numpy", "numba"] if numba_works() else ["numpy"]
DTYPES = ["float32", "float64", "complex64", "complex128"]
OWN = ([0.5, 0.5, 0.25], [-0.5, 0.5, 0.125])


def signal(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if dtype.startswith("complex") else x).astype(dtype)


def pieces(total, sizes):
    """(first, last) of pieces of these sizes in turn; a size of 0 is a single sample, given by `step`."""
    first, places = 0, []
    while first < total:
        size = sizes[len(places) % len(sizes)]
        places.append((first, min(first + max(size, 1), total), size == 0))
        first = places[-1][1]
    return places


def through(stream, x, sizes):
    """All coefficients of x, given in pieces."""
    found = []
    for first, last, one in pieces(x.shape[-1], sizes):
        if one:
            found.append([tuple(np.asarray(c)[..., None] for c in pair) for pair in stream.step(x[..., first])])
        else:
            found.append(stream.push(x[..., first:last]))
    return [tuple(np.concatenate(parts, axis=-1) for parts in zip(*level, strict=True)) for level in zip(*found, strict=True)]


def back_through(stream, coeffs, sizes):
    """The signal of these coefficients, given in pieces."""
    found = []
    for first, last, one in pieces(coeffs[0][0].shape[-1], sizes):
        if one:
            y = stream.step([tuple(c[..., first] for c in pair) for pair in coeffs])
            found.append(np.asarray(y)[..., None])
        else:
            found.append(stream.push([tuple(c[..., first:last] for c in pair) for pair in coeffs]))
    return np.concatenate(found, axis=-1)


def assert_same(ours, theirs):
    for pair, other in zip(ours, theirs, strict=True):
        for p, q in zip(pair, other, strict=True):
            assert p.dtype == q.dtype
            np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 80), min_size=1, max_size=6), st.sampled_from(["haar", "db4", "bior2.2", "coif2"]), st.integers(1, 4),
    st.integers(0, 2), st.sampled_from(DTYPES), st.sampled_from([(), (3,), (2, 3)]), st.integers(1, 150),
)  # fmt: skip
def test_any_mixture_of_step_and_push(engine, sizes, wavelet, J, m, dtype, shape, L):
    x = signal((*shape, L), dtype, L)
    options = {"start_level": m}
    whole = causal_swt(x, wavelet, J, engine="tree", **options)
    forward = CausalSWT(wavelet, J, shape, dtype=dtype, engine=engine, **options)
    back = CausalISWT(wavelet, J, shape, dtype=dtype, engine=engine, **options)
    assert_same(through(forward, x, sizes), whole)
    y = back_through(back, whole, sizes)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, causal_iswt(whole, wavelet, **options))
    assert back.delay == causal_delay(wavelet, J, m)
    assert forward.time == back.time == L


@pytest.mark.parametrize("engine", ENGINES)
def test_chunks_longer_than_a_block_of_the_compiled_loops(engine, rng):
    x = rng.standard_normal(6000)
    for J in (3, 9):  # rings shorter and longer than a block
        whole = causal_swt(x, "db4", J, engine="tree")
        assert_same(through(CausalSWT("db4", J, engine=engine), x, [5000, 0, 7]), whole)
        np.testing.assert_array_equal(back_through(CausalISWT("db4", J, engine=engine), whole, [5000]), causal_iswt(whole, "db4"))


def test_beside_the_fused_engine_only_the_last_bits_differ(rng):
    """The bound that the docstring states: K J eps times the sum of the magnitudes."""
    pytest.importorskip("numba", reason="Numba is not installed")
    x, J = rng.standard_normal(20_000), 5
    ours, fused = through(CausalSWT("db4", J), x, [1024]), causal_swt(x, "db4", J, engine="fused")
    h = [np.abs(h) for h in CausalSWT("db4", J).filters]
    sizes = causal_swt(np.abs(x), tuple(h), J, engine="tree")
    for pair, other, most in zip(ours, fused, sizes, strict=True):
        for p, q, size in zip(pair, other, most, strict=True):
            assert (np.abs(p - q) <= 8 * J * np.finfo(float).eps * size).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_norm_trim_and_own_filters(engine, rng):
    x = rng.standard_normal((2, 50))
    stream = CausalSWT("sym4", 3, (2,), norm=True, trim_approx=True, engine=engine)
    whole = causal_swt(x, "sym4", 3, norm=True, trim_approx=True, engine="tree")
    back = CausalISWT("sym4", 3, (2,), norm=True, engine=engine)
    got = stream.push(x)
    for c, other in zip(got, whole, strict=True):
        np.testing.assert_array_equal(c, other)
    np.testing.assert_array_equal(back.push(got), causal_iswt(whole, "sym4", norm=True))
    for one, n in zip(CausalSWT("sym4", 3, norm=True, trim_approx=True, engine=engine).step(x[0, 0]), range(4), strict=True):
        assert one == whole[n][0, 0]
    assert_same(through(CausalSWT(OWN, 3, (2,), engine=engine), x, [0, 3]), causal_swt(x, OWN, 3, engine="tree"))
    with pytest.raises(ValueError, match="the inverse needs the filters of reconstruction"):
        CausalISWT(OWN, 3)


@pytest.mark.parametrize("cls", [CausalSWT, CausalISWT])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_saved_within_the_delay_restored_and_reset(cls, dtype, tmp_path):
    """After 20 of 300 samples, with a delay of 105, in memory and in a file; by the other engine too."""
    x = signal((3, 300), dtype)
    whole = causal_swt(x, "db4", 4, engine="tree")
    y = causal_iswt(whole, "db4")
    first = cls("db4", 4, (3,), dtype=dtype)

    def give(stream, begin, end):
        return (
            stream.push(x[:, begin:end])
            if cls is CausalSWT
            else stream.push([(a[:, begin:end], d[:, begin:end]) for a, d in whole])
        )

    def check(got, begin):
        if cls is CausalSWT:
            assert_same(got, [(a[:, begin:], d[:, begin:]) for a, d in whole])
        else:
            np.testing.assert_array_equal(got, y[:, begin:])

    give(first, 0, 20)
    state = first.state()
    first.save(tmp_path / "state.safetensors")
    check(give(first, 20, 300), 20)
    for engine in ENGINES:
        second = cls("db4", 4, (3,), dtype=dtype, engine=engine)
        second.restore(state)
        check(give(second, 20, 300), 20)
        second.load(tmp_path / "state.safetensors")
        assert second.time == 20
        check(give(second, 20, 300), 20)
        second.reset()
        assert second.time == 0
        assert not second.ring.any()
        check(give(second, 0, 300), 0)
    np.testing.assert_array_equal(state["time"], [20])  # a state stays what it was


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(tmp_path):
    stream = CausalSWT("db2", 3, (2,))
    stream.push(np.ones((2, 5)))
    state = stream.state()
    ring = state["ring"]
    for wrong, error, words in (
        ({"ring": ring}, ValueError, "state must hold"),
        ({"ring": ring[:1], "time": state["time"]}, ValueError, r"state\['ring'\] must have shape"),
        ({"ring": ring.astype("float32"), "time": state["time"]}, TypeError, "must have dtype float64"),
        ({"ring": ring + 1, "time": np.array([-1])}, ValueError, r"state\['time'\] must be at least 0"),
        ({"ring": ring + 1, "time": np.array([1.5])}, TypeError, r"state\['time'\] must be an integer"),
    ):
        with pytest.raises(error, match=words):
            stream.restore(wrong)
    np.testing.assert_array_equal(stream.state()["ring"], ring)
    stream.save(tmp_path / "a.safetensors")
    for other in (CausalSWT("sym2", 3, (2,), norm=True), CausalISWT("db2", 3, (2,)), CausalSWT("db2", 3, (2,), dtype="float32")):
        with pytest.raises(ValueError, match="holds the state of another stream"):
            other.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("wavelet", "K"), [("haar", 2), ("db4", 8), (OWN, 3)])
@pytest.mark.parametrize("J", [1, 5, 10])
def test_memory(wavelet, K, J):
    """(K - 1)(2^J - 1) numbers a channel; the inverse, whose details wait, (K - 1) J 2^J."""
    for shape, dtype, channels in (((), "float64", 1), ((2, 3), "float32", 6), ((3,), "complex64", 6)):
        stream = CausalSWT(wavelet, J, shape, dtype=dtype)
        assert stream.ring.size == channels * (K - 1) * (2**J - 1)
        stream.push(np.ones((*shape, 300), dtype))
        assert sum(array.size for array in stream.state().values()) == channels * (K - 1) * (2**J - 1) + 1
    if wavelet is not OWN:
        assert CausalISWT(wavelet, J, (3,)).ring.size == 3 * (K - 1) * J * 2**J


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: CausalSWT("db4", 40), ValueError, r"level=40 would take .* at most 26 levels fit in 4 GiB"),
        (lambda: CausalISWT("db4", 60, (2,)), ValueError, "levels fit in 4 GiB"),
        (lambda: CausalSWT("db4", 61), ValueError, "level must be between 1 and 60"),
        (lambda: CausalSWT("db4", 2, 3), TypeError, "shape must be a tuple"),
        (lambda: CausalSWT("db4", 2, (0,)), ValueError, r"shape\[0\] must be at least 1"),
        (lambda: CausalSWT("db4", 2, dtype="int32"), ValueError, "dtype must be one of 'float32'"),
        (lambda: CausalSWT("db4", 2, engine="fused"), ValueError, "engine must be one of"),
        (lambda: CausalSWT("db4", 2, trim_approx=1), TypeError, "trim_approx must be True or False"),
        (lambda: CausalSWT("db4", 2).step(np.ones(2)), ValueError, "x must have shape"),
        (lambda: CausalSWT("db4", 2).step(np.float32(1)), TypeError, "the stream's dtype float64; got float32"),
        (lambda: CausalSWT("db4", 2).step(1j), TypeError, "the stream's dtype float64; got complex128"),
        (lambda: CausalSWT("db4", 2).push(np.ones(0)), ValueError, "x must be a non-empty array"),
        (lambda: CausalSWT("db4", 2, (2,)).push(np.ones((3, 4))), ValueError, "x must have shape"),
        (lambda: CausalSWT("db4", 2).push(np.ma.ones(4)), TypeError, "masked"),
        (lambda: CausalISWT("db4", 2).step([(1.0, 2.0)]), ValueError, "a and 2 details"),
        (lambda: CausalISWT("db4", 1).push([(np.ones(3), np.ones(4))]), ValueError, "one length T"),
        (lambda: CausalISWT("db4", 1).push([(np.ones(3), np.ones(3, "float32"))]), TypeError, "d_1 of coeffs must have"),
        (lambda: CausalISWT("db4", 1).push(3), TypeError, "coeffs must be a list"),
    ],
)
def test_bad_input(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_what_a_sample_may_be():
    """Python's numbers, NumPy's of the same dtype, arrays without axes, and integers, which become float64."""
    expected = CausalSWT("haar", 1).step(2.0)
    for x in (2, np.float64(2), np.array(2.0), np.int8(2), np.array(2)):
        assert CausalSWT("haar", 1).step(x) == expected
    assert CausalSWT("haar", 1, dtype="float32").step(2.0)[0][0].dtype == np.float32
    assert CausalSWT("haar", 1, dtype="complex64").step(2j)[0][0].dtype == np.complex64
    assert CausalSWT("haar", 1, (2,)).step([1, 2])[0][0].shape == (2,)


def test_the_engine_that_is_asked_for_is_needed(monkeypatch):
    from multires_ref.base import compiled

    monkeypatch.setattr(compiled, "numba_problem", lambda: "pip install numba")
    with pytest.raises(ImportError, match="engine 'numba' needs Numba: pip install numba"):
        CausalSWT("haar", 1, engine="numba")
    assert not CausalSWT("haar", 1).compiled


@pytest.mark.parametrize("engine", ENGINES)
def test_nan_and_infinity_go_on_as_in_the_whole_signal(engine):
    x = np.ones(60)
    x[10], x[30] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        whole = causal_swt(x, "db2", 2, engine="tree")
        assert_same(through(CausalSWT("db2", 2, engine=engine), x, [0, 7]), whole)
        np.testing.assert_array_equal(back_through(CausalISWT("db2", 2, engine=engine), whole, [0, 7]), causal_iswt(whole, "db2"))
