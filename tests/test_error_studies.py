"""The error studies: the truth is the truth, what they show is there, and their pictures are drawn."""

import json

import numpy as np
import pytest
from scipy.fft import irfft, next_fast_len, rfft

from multires_ref import multires_conv, multires_conv_loops
from multires_ref.cli import main
from multires_ref.interop import error_study
from multires_ref.interop.error_study import (
    arguments,
    by_engine,
    engines_here,
    error_by_depth,
    error_by_length,
    error_by_peak,
    format_study,
    truth,
)
from multires_ref.interop.errors import measure
from multires_ref.interop.report import Report, Row, Section
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


def test_error_by_layer_marks_what_departs():
    right, wrong = (measure(np.ones(3) + off, np.ones(3), 1e-12) for off in (0.0, 1.0))
    rows = [Row("encoder", right, right), Row("blocks.0.conv", wrong), Row("decoder", gradient=wrong)]
    ax = plot_error_by_layer(Report("r", [Section("float64", "float64", rows)]))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["encoder", "blocks.0.conv", "decoder"]
    ringed = [x for line in ax.lines if line.get_markersize() == 11 for x in line.get_xdata()]
    assert sorted(ringed) == [1, 2]
