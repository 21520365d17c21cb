"""Every engine against the definition and against each other: values, gradients, dtypes, shapes at their ends, threads."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
from cases import conv_case, conv_cases, distance, gradients_of, random_arguments
from hypothesis import given, settings
from hypothesis import strategies as st

import multires_ref as mr
from multires_ref import engines
from multires_ref.base import code_cache, threads
from multires_ref.engines import fft, fused, tree
from multires_ref.engines.numba import rows

CPU = engines.usable_engines()
TIGHT = 1e-12  # relative to the largest number, float64
LOOSE = 2e-5  # the same, float32: sums of a few thousand terms, and the rounding of a transform

pytest.importorskip("numba", reason="Numba is not installed")


def far(got, wanted):
    """How far apart, relative to the size of what is wanted; two empty arrays of one shape are not apart."""
    assert np.shape(got) == np.shape(wanted)
    return distance(got, wanted) if np.size(wanted) else 0.0


def seam_arguments(rng, B, D, L, K, Qs, dtype="float64"):
    """Arguments of an engine: g, x, h0, q, w_a."""
    J = len(Qs)
    g, x = rng.standard_normal((2, B, D, L)).astype(dtype)
    h0 = (rng.standard_normal((J, D, K)) / K).astype(dtype)
    q = [rng.standard_normal((D, Q)).astype(dtype) for Q in Qs]
    return g, x, h0, q, rng.standard_normal(D).astype(dtype)


def flat(parts):
    """The gradients dx, dh0, dq, dw_a in one row, without the empty ones."""
    dx, dh0, dq, dw_a = parts
    return [dx, dh0, *(part for part in dq if part.size), dw_a]


def check_engine(engine, args, tolerance):
    """Forward and backward equal the tree engine's, in the same dtypes."""
    g, *rest = args
    y = engine.forward(*rest)
    assert y.dtype == rest[0].dtype
    assert far(y, tree.forward(*rest)) < tolerance
    for part, wanted in zip(flat(engine.backward(g, *rest)), flat(tree.backward(g, *rest)), strict=True):
        assert part.dtype == wanted.dtype
        assert far(part, wanted) < tolerance


# Against the authors' numbers and the loops


@pytest.mark.parametrize("engine", CPU)
@pytest.mark.parametrize("name", conv_cases())
def test_authors_cases(name, engine):
    case = conv_case(name)
    y = mr.multires_conv(*case["args"], **case["options"], engine=engine)
    assert far(y, case["y"]) < TIGHT
    gradients = gradients_of(case["dy"], case["args"], **case["options"], engine=engine)
    for got, wanted in zip(gradients, case["grads"], strict=True):
        assert far(got, wanted) < TIGHT


@settings(max_examples=40, deadline=None)
@given(
    engine=st.sampled_from(CPU),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 20)),
    K=st.integers(2, 6),
    J=st.integers(1, 7),
    m=st.integers(0, 12),
    untied=st.booleans(),
    seed=st.integers(0, 99),
)
def test_loops(engine, shape, K, J, m, untied, seed):
    """The definition, for both memories (m = 0 stands for fading): L = 1, K beyond L and dilations beyond L among them."""
    args = random_arguments(np.random.default_rng(seed), *shape, K=K, J=J, m=m or None, untied=untied)
    select = {"tree_select": "uniform" if m else "fading", "depth": J}
    assert far(mr.multires_conv(*args, **select, engine=engine), mr.multires_conv_loops(*args, **select)) < TIGHT


# The seam: any readout filters


@settings(max_examples=40, deadline=None)
@given(
    engine=st.sampled_from((fft, fused)),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 40)),
    K=st.integers(2, 7),
    Qs=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    dtype=st.sampled_from(("float32", "float64")),
    seed=st.integers(0, 99),
)
def test_any_readout(engine, shape, K, Qs, dtype, seed):
    """Readout filters of any lengths, 0 included, one filter a level, both dtypes."""
    args = seam_arguments(np.random.default_rng(seed), *shape, K, [max(Qs[0], 1), *Qs[1:]], dtype)
    check_engine(engine, args, TIGHT if dtype == "float64" else LOOSE)


@pytest.mark.parametrize("engine", [fft, fused])
def test_depth_of_sixty(engine):
    """Dilations up to 2^59 are far beyond any sequence: nothing overflows."""
    check_engine(engine, seam_arguments(np.random.default_rng(0), 1, 2, 9, 12, [3] * 60), TIGHT)


@pytest.mark.parametrize("engine", CPU)
def test_strided_and_read_only_arrays(engine):
    """Views of any strides, reversed ones and broadcast ones give what copies give, and are not written to."""
    rng = np.random.default_rng(1)
    args = random_arguments(rng, B=4, D=6, L=24)
    wide = [np.repeat(a, 2, axis=-1) for a in args]
    views = [a[..., ::2] for a in wide]
    views[0] = np.asfortranarray(args[0])
    for a in views:
        a.flags.writeable = False
    wanted = mr.multires_conv(*args, engine="tree")
    assert far(mr.multires_conv(*views, engine=engine), wanted) < TIGHT
    g = np.broadcast_to(np.ones(1), wanted.shape)  # strides of zero, read-only: what the sum's gradient looks like
    for got, want in zip(gradients_of(g, views, engine=engine), gradients_of(g.copy(), args, engine="tree"), strict=True):
        assert far(got, want) < TIGHT


@pytest.mark.parametrize("engine", CPU)
def test_inputs_stay_as_they_are(engine):
    rng, record = np.random.default_rng(2), engines.get_engine(engine)
    args = random_arguments(rng, B=2, D=3, L=30, K=3, J=3)
    g = rng.standard_normal(args[0].shape)
    before = [np.copy(a) for a in (g, *args)]
    record.forward(*args, (1, 1, 1))
    record.backward(g, *args, (1, 1, 1))
    for now, then in zip((g, *args), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("engine", CPU)
def test_nan_and_inf_stay_visible_and_causal(engine):
    """NaN reaches what depends on it and nothing before it (more of this: test_not_finite.py)."""
    x, h0, h1, w, w_skip = random_arguments(np.random.default_rng(3), B=2, D=2, L=16)
    x[0, 1, 8] = np.nan
    x[1, 0, 3] = np.inf
    with np.errstate(invalid="ignore"):
        y = mr.multires_conv(x, h0, h1, w, w_skip, engine=engine)
    assert np.isnan(y[0, 1, 8])
    assert not np.isfinite(y[1, 0, 3])
    for untouched in (y[0, 1, :8], y[1, 0, :3], y[0, 0], y[1, 1]):
        assert np.isfinite(untouched).all()


# Short and long sequences


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("B", "L"), [(16, 16), (17, 40), (50, 21), (33, 5), (100, 64)])
def test_short_sequences_share_rows(B, L, dtype):
    """In squares of 16 sequences and 16 samples, and one by one where there are fewer; the last row of a batch is not full."""
    args = seam_arguments(np.random.default_rng(8), B, 3, L, 3, [3] * 3, dtype)
    found = rows.whole((B, 3, L), args[2], args[3])
    assert found.lanes % rows.SIDE == 0
    assert -(-B // found.lanes) * found.lanes - B < found.lanes
    check_engine(fused, args, TIGHT if dtype == "float64" else LOOSE)


@pytest.fixture
def short_rows(monkeypatch):
    """Sequences of more than 64 samples count as long."""
    for name, value in {"LONG": 64, "FORWARD": rows.Sizes(48, 24, 4), "BACKWARD": rows.Sizes(32, 16, 4)}.items():
        monkeypatch.setattr(rows, name, value)


@pytest.mark.parametrize("Qs", [[2] * 12, [3, 0, 4, 1] + [3] * 9, [2] * 3])
@pytest.mark.parametrize("L", [300, 257, 1024])
def test_long_sequences_are_cut(L, Qs, short_rows):
    """Blocks for the fine levels, blocks of phases for the next, whole phases for the coarse ones."""
    args = seam_arguments(np.random.default_rng(4), 2, 3, L, 3, Qs)
    for sizes in (rows.FORWARD, rows.BACKWARD):
        ends = rows.cuts(L, args[2], args[3], sizes)
        assert ends[0] == 0
        assert ends[-1] == len(Qs)
        assert ends == sorted(set(ends))
        assert len(ends) > (3 if len(Qs) > 3 else 2)
    check_engine(fused, args, TIGHT)


def test_a_block_of_mostly_halo_is_not_cut(short_rows):
    args = seam_arguments(np.random.default_rng(5), 1, 2, 100, 3, [40, 30, 20, 3])
    assert rows.cuts(100, args[2], args[3], rows.FORWARD) == rows.cuts(100, args[2], args[3], rows.BACKWARD) == []
    check_engine(fused, args, TIGHT)


def test_a_long_sequence_as_it_is():
    args = seam_arguments(np.random.default_rng(6), 1, 2, 80001, 2, [2] * 16, "float32")
    assert len(rows.cuts(80001, args[2], args[3], rows.BACKWARD)) > 2
    check_engine(fused, args, LOOSE)


def test_blocks_of_the_tree_engine(monkeypatch):
    args = seam_arguments(np.random.default_rng(6), 3, 5, 20, 2, [2, 2, 4])
    wanted = flat(tree.backward(*args)), tree.forward(*args[1:])
    for size in (1, 45, 110):
        monkeypatch.setattr(tree, "BLOCK", size)
        assert far(tree.forward(*args[1:]), wanted[1]) < TIGHT
        for got, want in zip(flat(tree.backward(*args)), wanted[0], strict=True):
            assert far(got, want) < TIGHT


# Threads


def bits(args):
    return [a.tobytes() for a in (fused.forward(*args[1:]), *flat(fused.backward(*args)))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("L", "Qs"), [(50, [3] * 5), (37, [1, 0, 4]), (400, [2] * 8)])
def test_same_bits_whatever_the_number_of_threads(monkeypatch, short_rows, L, Qs, dtype):
    """Units shared out among any number of threads, and one thread; L = 400 is cut into rows."""
    args = seam_arguments(np.random.default_rng(7), 6, 5, L, 3, Qs, dtype)
    one = bits(args)  # so small that it is worth one thread
    monkeypatch.setattr(threads, "WORTH", 1)
    for n in (2, 3, 5):
        monkeypatch.setattr(threads, "num_threads", lambda n=n: n)
        assert bits(args) == one


@pytest.mark.parametrize("B", [1, 2, 5, 23, 40])
@pytest.mark.parametrize("L", [1, 2, 37, 64, 600])
def test_short_sequences_share_a_row(L, B):
    """Batches that fill their rows and batches that leave places empty; each sequence gives the bits that it gives alone."""
    args = seam_arguments(np.random.default_rng(8), B, 3, L, 3, [3, 1, 2])
    check_engine(fused, args, TIGHT)
    y = fused.forward(*args[1:])
    for b in range(B):
        np.testing.assert_array_equal(fused.forward(args[1][b : b + 1], *args[2:])[0], y[b])


def test_thread_settings(monkeypatch):
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for name in ("MULTIRES_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert engines.num_threads() == allowed
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    assert engines.num_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setenv("MULTIRES_NUM_THREADS", "100000")
    assert engines.num_threads() == allowed  # never more than the processors allowed
    engines.set_num_threads(1)
    assert engines.num_threads() == 1
    engines.set_num_threads(None)
    with pytest.raises(ValueError, match="n must be at least 1"):
        engines.set_num_threads(0)


# Loading, and other arrays


def test_importing_the_package_loads_no_engine():
    code = "import multires_ref.engines, sys; print([m for m in ('numba', 'scipy', 'cupy', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_an_engine_for_other_arrays():
    args = random_arguments(np.random.default_rng(9))
    with pytest.raises(TypeError, match="engine 'gpu' runs on CuPy arrays; x is a NumPy array"):
        mr.multires_conv(*args, engine="gpu")


# What single mistakes in the loops would do


@pytest.mark.parametrize("K", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("L", [1, 50, 5000])
def test_every_tap_of_the_compiled_levels(K, L):
    """Odd and even numbers of taps, lengths below and above a block: all levels equal the readable tree's."""
    from multires_ref.engines.numba.levels import pyramid_levels

    rng = np.random.default_rng(K)
    x, h0, h1 = rng.standard_normal((2, L)), rng.standard_normal(K), rng.standard_normal(K)
    for pair, wanted in zip(pyramid_levels(x, h0, h1, 4), mr.pyramid(x, h0, h1, 4), strict=True):
        for got, want in zip(pair, wanted, strict=True):
            assert far(got, want) < TIGHT


@pytest.mark.parametrize("Qs", [[1, 1, 1], [5, 1, 1], [1, 7, 2], [2, 2, 9], [0, 4, 0]])
@pytest.mark.parametrize("K", [2, 4])
def test_reach_is_the_furthest_sample_that_matters(Qs, K):
    """The answer to a single 1, all taps being positive, ends exactly there."""
    h0 = np.ones((3, 1, K))
    q = [np.ones((1, Q)) for Q in Qs]
    x = np.zeros((1, 1, 200))
    x[..., 0] = 1
    answer = tree.forward(x, h0, q, np.ones(1))[0, 0]
    assert rows.reach(h0, q, 3) == np.flatnonzero(answer)[-1]


@pytest.mark.parametrize(("B", "D"), [(63, 1), (65, 8), (130, 9), (200, 20), (2, 600)])
def test_batches_that_the_pieces_of_work_do_not_divide(B, D):
    check_engine(fused, seam_arguments(np.random.default_rng(8), B, D, 12, 2, [2, 3]), TIGHT)


@pytest.mark.parametrize(("B", "D", "L"), [(16, 5, 1500), (64, 3, 1100)])
def test_channels_are_transformed_a_few_at_a_time(B, D, L):
    """So many numbers that two channels are a block, the last block being shorter; and that even one is more than a block."""
    check_engine(fft, seam_arguments(np.random.default_rng(8), B, D, L, 2, [2, 3]), TIGHT)


def test_kept_code_is_out_of_date_when_a_neighbouring_file_changes(tmp_path, monkeypatch):
    """Compiled loops take constants and records from other files of their folder, which Numba itself does not look at."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "loops_of_a_test.py").write_text(
        "from constants_of_a_test import N\nfrom multires_ref.base.compiled import njit\n\n@njit()\ndef n():\n    return N\n"
    )
    for number in (5, 7):
        (tmp_path / "constants_of_a_test.py").write_text(f"N = {number}  {'#' * number}\n")
        for name in ("loops_of_a_test", "constants_of_a_test"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        code_cache.digest.cache_clear()
        code_cache.prepared.cache_clear()
        assert importlib.import_module("loops_of_a_test").n() == number
