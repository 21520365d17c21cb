"""The error studies: the truth is the truth, what they show is there, and their pictures are drawn."""

import json

import numpy as np
import pytest
from scipy.fft import irfft, next_fast_len, rfft

from multires_ref import multires_conv, multires_conv_loops
from multires_ref.base.agreement import measure
from multires_ref.cli import main
from multires_ref.diagnose import error_study
from multires_ref.diagnose.error_study import (
    arguments,
    by_engine,
    engines_here,
    error_by_depth,
    error_by_length,
    error_by_peak,
    format_study,
    truth,
)
from multires_ref.diagnose.report import Report, Row, Section
from multires_ref.plots.errors import plot_error_by_layer, plot_error_studies, plot_error_study

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def test_the_truth_is_the_definition(rng):
    arrays = arguments(rng, depth=3, length=20, batch=1, channels=2)
    exact = truth(arrays)
    assert exact.dtype == np.longdouble
    np.testing.assert_allclose(exact.astype(float), multires_conv_loops(*arrays), rtol=1e-13, atol=1e-14)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="longdouble is no wider than float64 here")
def test_the_truth_has_more_digits(rng):
    """Against exact rational arithmetic, at one channel."""
    from fractions import Fraction

    arrays = arguments(rng, depth=3, length=12, batch=1, channels=1)
    x, h0, h1, w, w_skip = ([Fraction(float(v)) for v in a.ravel()] for a in arrays)
    a, details = x, []
    for s in (1, 2, 4):
        past = [a[n - s] if n >= s else Fraction(0) for n in range(12)]
        details.append([h1[0] * now + h1[1] * then for now, then in zip(a, past, strict=True)])
        a = [h0[0] * now + h0[1] * then for now, then in zip(a, past, strict=True)]
    memory = [a, *details[::-1]]
    exact = [sum(weight * row[n] for weight, row in zip(w, memory, strict=True)) + w_skip[0] * x[n] for n in range(12)]
    ours = truth(arrays)[0, 0]
    for value, fraction in zip(ours, exact, strict=True):
        high = float(value)
        assert abs(Fraction(high) + Fraction(float(value - high)) - fraction) < Fraction(1, 2**62)


@pytest.mark.parametrize("dtype", EPS)
def test_every_engine_stays_within_a_few_ulp(dtype):
    """float32 stays float32: its errors are those of 24 bits, and of float64 those of 53."""
    for row in error_by_depth([1, 5, 9], length=512, dtypes=[dtype]):
        assert row.relative <= 16 * EPS[dtype], row
        assert row.relative >= EPS[dtype] / 64, row  # an error of nothing would be a study of nothing


def test_by_length_the_depth_covers_the_length():
    rows = error_by_length([8, 64, 512], engines=["tree"], dtypes=["float32"])
    assert [(row.length, row.depth) for row in rows] == [(8, 3), (64, 6), (512, 9)]


def test_a_row_holds_the_errors_of_its_engine(monkeypatch):
    """Engines that are off by a known amount at one place: every field of a row by hand, and each engine with its own error."""
    off = {"a": 1e-3, "b": 0.5}

    def planted(engine, arrays):
        y = truth(arrays)
        y[0, 1, 4] += off[engine]
        return y

    monkeypatch.setattr(error_study, "run_engine", planted)
    arrays = arguments(np.random.default_rng(1), depth=3, length=16, batch=1, channels=2, kernel_size=3)
    arrays[0][0, 1, 2] = -7.5  # the largest value is a negative one
    rows = error_study.study(arrays, ["a", "b"], ["float64", "float32"])
    assert [(row.engine, row.dtype) for row in rows] == [("a", "float64"), ("b", "float64"), ("a", "float32"), ("b", "float32")]
    for row in rows:
        exact = truth([a.astype(row.dtype) for a in arrays]).astype(float)
        assert (row.depth, row.length, row.peak) == (3, 16, 7.5)
        assert row.largest == pytest.approx(off[row.engine], rel=1e-9)
        assert row.relative == pytest.approx(off[row.engine] / np.linalg.norm(exact), rel=1e-9)
        assert row.ulp == pytest.approx(off[row.engine] / float(np.spacing(np.abs(exact).max().astype(row.dtype))), rel=1e-9)
    early = error_study.study(arrays, ["a"], ["float64"], until=4)
    late = error_study.study(arrays, ["a"], ["float64"], until=5)
    assert (early[0].largest, late[0].largest) == (0.0, pytest.approx(1e-3, rel=1e-9))
    table = format_study(rows).splitlines()
    assert table[2].split() == ["b", "float64", "3", "16", "7.5e+00", f"{rows[1].relative:.1e}", "5.0e-01", f"{rows[1].ulp:.1f}"]


def test_the_arguments_are_drawn_as_a_network_starts():
    """Uniform within sqrt(1 / K) for the filters and sqrt(1 / (m + 1)) for the weights; the signal normal."""
    x, h0, h1, w, w_skip = arguments(np.random.default_rng(0), depth=4, length=500, batch=3, channels=400, kernel_size=5)
    assert [a.shape for a in (x, h0, h1, w, w_skip)] == [(3, 400, 500), (400, 5), (400, 5), (400, 5), (400,)]
    for array, bound in ((h0, 5), (h1, 5), (w, 6), (w_skip, 6)):
        assert 0.95 < np.abs(array).max() * bound**0.5 <= 1
        assert abs(array.mean()) < 0.1
    assert abs(x.std() - 1) < 0.01
    assert not np.array_equal(h0, h1)


def test_each_study_takes_what_it_is_given(monkeypatch):
    """Engines (all of this machine where none are named), dtypes, a generator; the spike is where the docstring says."""
    monkeypatch.setattr(error_study, "engines_here", lambda: ["tree", "numba"])
    seen = []
    monkeypatch.setattr(error_study, "run_engine", lambda engine, arrays: seen.append((engine, arrays)) or truth(arrays))
    studies = {
        "depth": lambda **given: error_by_depth([2, 3], 32, **given),
        "length": lambda **given: error_by_length([16, 32], **given),
        "peak": lambda **given: error_by_peak([1.0, 50.0], 32, 3, **given),
    }
    for name, run in studies.items():
        seen.clear()
        rows = run()
        dtypes = ["float32"] if name == "peak" else ["float32", "float64"]
        assert {(row.engine, row.dtype) for row in rows} == {(engine, d) for engine in ("tree", "numba") for d in dtypes}
        assert {str(arrays[0].dtype) for _, arrays in seen} == set(dtypes)
        default = [arrays[1] for _, arrays in seen]
        assert [getattr(row, name) for row in rows] == sorted(getattr(row, name) for row in rows)
        assert len({getattr(row, name) for row in rows}) == 2
        seen.clear()
        assert [row.engine for row in run(engines=["other"], dtypes=["float64"], rng=np.random.default_rng(7))] == ["other"] * 2
        assert not np.allclose(seen[0][1][1], default[0])
        seen.clear()
        run()
        np.testing.assert_array_equal(seen[0][1][1], default[0])  # without a generator the same numbers every time
    spiked = seen[-1][1][0]
    assert np.all(spiked[..., 24] == 50)
    assert np.abs(spiked[..., :24]).max() < 10


def test_pytorch_is_studied_too():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert engines_here()[-1] == "PyTorch"
    for row in error_by_depth([1, 6], 64, engines=["PyTorch"]):
        assert EPS[row.dtype] / 64 <= row.relative <= 16 * EPS[row.dtype]
    rows = error_by_peak([1.0, 1e6], 64, 4, engines=["PyTorch"])
    assert rows[0].relative == rows[1].relative


def by_fourier(arrays):
    """The layer as one long kernel, by a Fourier transform in the arrays' dtype."""
    x, w = arrays[0], arrays[3]
    impulse = np.zeros_like(x[:1])
    impulse[..., 0] = 1
    kernel = multires_conv(impulse, *arrays[1:], engine="tree")
    n = next_fast_len(2 * x.shape[-1], real=True)
    assert w.dtype == x.dtype
    return irfft(rfft(x, n) * rfft(kernel, n), n)[..., : x.shape[-1]]


def test_a_spike_costs_a_fourier_engine_digits_before_it_comes(monkeypatch):
    """eps times the largest value, everywhere: from 1 to 10^6 the error grows 10^5-fold or more; the tree's does not move."""
    right = error_study.run_engine
    monkeypatch.setattr(
        error_study, "run_engine", lambda engine, arrays: by_fourier(arrays) if engine == "fourier" else right(engine, arrays)
    )
    rows = error_by_peak([1.0, 1e3, 1e6], length=512, depth=8, engines=["tree", "fourier"])
    errors = {engine: e for (engine, _), (_, e) in by_engine(rows, "peak").items()}
    assert errors["tree"][0] == errors["tree"][2]
    assert errors["fourier"][2] > 1e4 * errors["fourier"][0]


def test_the_fft_engine_shows_it_too():
    if "fft" not in engines_here():
        pytest.skip("the FFT engine is not installed")
    low, high = error_by_peak([1.0, 1e6], length=1024, depth=10, engines=["fft"])
    assert high.relative > 100 * low.relative


def test_causal_engines_do_not_see_the_spike():
    engines = [engine for engine in engines_here() if engine != "fft"]
    rows = error_by_peak([1.0, 1e6], length=256, depth=6, engines=engines)
    for _, errors in by_engine(rows, "peak").values():
        assert errors[0] == errors[1]


def test_tables_and_pictures():
    only = {"engines": ["tree"], "length": 32}
    depth = error_by_depth([1, 2], **only)
    length = error_by_length([16, 32], engines=["tree"])
    peak = error_by_peak([1.0, 10.0], depth=3, **only)
    assert len(format_study(depth).splitlines()) == 5
    axes = plot_error_studies(depth, length, peak)
    assert [ax.get_xscale() for ax in axes] == ["linear", "log", "log"]
    curves = [[line for line in ax.lines if len(line.get_xdata())] for ax in axes]
    assert [len(lines) for lines in curves] == [2, 2, 1]
    assert list(curves[0][0].get_ydata()) == [row.relative for row in depth if row.dtype == "float32"]
    with pytest.raises(ValueError, match="x must be one of 'depth', 'length', 'peak'"):
        plot_error_study(depth, "size")


def test_the_command_writes_tables_and_the_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(error_study, "engines_here", lambda: ["tree"])
    assert main(["verify", "errors", "--longest", "32", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["error_studies.json", "error_studies.png"]
    rows = json.loads((tmp_path / "error_studies.json").read_text())
    assert {name: len(study) for name, study in rows.items()} == {"depth": 10, "length": 4, "peak": 7}
    assert capsys.readouterr().out.count("relative error") == 3


def test_error_by_layer_marks_what_differs():
    right, wrong = (measure(np.ones(3) + off, np.ones(3), 1e-12) for off in (0.0, 1.0))
    rows = [Row("encoder", right, right), Row("blocks.0.conv", wrong), Row("decoder", gradient=wrong)]
    ax = plot_error_by_layer(Report("r", [Section("float64", "float64", rows)]))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["encoder", "blocks.0.conv", "decoder"]
    ringed = [x for line in ax.lines if line.get_markersize() == 11 for x in line.get_xdata()]
    assert sorted(ringed) == [1, 2]
