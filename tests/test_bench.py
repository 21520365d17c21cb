"""The benchmark command: it takes turns, refuses implementations that disagree, and its chart shows what its file says."""

import argparse
import json
import os
import platform
import subprocess
import time
from functools import wraps
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from cases import plant_engine
from threadpoolctl import threadpool_info

from multires_ref.base.threads import num_threads
from multires_ref.bench import implementations, operator, processes, step, timing, training_step
from multires_ref.bench.timing import alternate, machine, summary, table, threads
from multires_ref.cli import main
from multires_ref.plots.speed import plot_bench


def test_implementations_take_turns():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = alternate(runs, repeats=2)
    assert calls == list("abc" * 3)  # one round to warm up, two that count
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_seconds_are_the_clocks(monkeypatch):
    now = iter([5.0, 9.0, 0.0, 1.0, 10.0, 13.0])  # the first call warms up
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    assert alternate({"a": lambda: None}, repeats=2) == {"a": [1.0, 3.0]}
    assert summary([1.0, 3.0])["median"] == 2.0


def row(median):
    return {"median": median, "low": 0.9 * median, "high": 1.5 * median, "rounds": 3}


def test_a_table_s_ratios_are_times_as_long_as_the_named_row():
    lines = table({"ours": row(0.002), "theirs": row(0.024)}, {"/ ours": "ours"}).splitlines()
    assert lines[1].split() == ["ours", "2.00", "1.80", "to", "3.00", "1.00x"]
    assert lines[2].split() == ["theirs", "24.00", "21.60", "to", "36.00", "12.00x"]


def test_the_operator_s_ratios():
    both = {"fused": 0.010, "fft": 0.040, "PyTorch conv1d": 1.0, "PyTorch tree": 0.2, "PyTorch fft": 0.1}
    result = {
        "shape": {"B": 1, "D": 2, "L": 3, "K": 2},
        "agreement": 1e-7,
        "forward": {"copying x once": row(0.002), "fused": row(0.007)},
        "forward and backward": {name: row(median) for name, median in both.items()},
    }
    assert [line.strip() for line in operator.operator_lines(result)[-5:]] == [
        "fused, forward, over copying x once: 3.50",
        "PyTorch conv1d over fused: 100.00",
        "the fastest in PyTorch over fused: 10.00",
        "PyTorch conv1d over fft: 25.00",
        "PyTorch fft over fft: 2.50",
    ]


def test_the_growth_of_the_time_a_step():
    """At twice the depth a step costs 3 times as much: 1.5 times the growth of J."""
    rows = [
        {"L": 1000, "D": 10, "J": 5, "engine": "fused", "forward and backward": row(0.010)},
        {"L": 4000, "D": 10, "J": 10, "engine": "fused", "forward and backward": row(0.120)},
        {"L": 8000, "D": 10, "J": 11, "engine": "fused", "forward and backward": row(0.080)},
    ]
    lines = "\n".join(operator.scaling_lines({"rows": rows})).splitlines()
    assert lines[3].split()[-3:] == ["3,000.00", "3.00", "2.00"]  # ns a step and channel, growth, growth of J
    assert lines[-1].endswith("at the worst length: 1.50")


def test_the_pyramid_s_and_the_step_s_ratios():
    rows = {"causal_swt": row(0.002), "pywt.swt": row(0.005)}
    assert operator.pyramid_lines({"L": 4096, "level": 6, "rows": rows})[-1].endswith("pywt.swt over causal_swt: 2.50")
    one = {"agreement": 1e-6, "seconds": {"ours": row(0.1), "PyTorch": row(0.8)}, "memory_gib": {"ours": 1.0, "PyTorch": 4.0}}
    lines = step.step_lines({"layers": 2, "rows": {"ptbxl": one}})
    assert any(line.endswith("a step in PyTorch eager over one here: 8.00") for line in lines)
    assert lines[-1].endswith("peak memory here over PyTorch's: 0.25")


def test_startup_is_compared_with_an_empty_process():
    rows = {"pass": row(0.01), "import numpy": row(0.1), "import multires_ref": row(0.02)}
    line = processes.startup_lines({"rows": rows})[-1].splitlines()[-1]
    assert line.split()[-2:] == ["2.00x", "0.20x"]


@pytest.mark.parametrize("wrong", ["y", "a gradient", "NaN", "all NaN", "an empty array"])
def test_nothing_is_timed_where_results_differ(wrong, monkeypatch):
    """`measure` itself refuses, not only the check: an answer of NaN agrees with nothing."""
    right = implementations.ours

    def spoil(array):
        array = np.array(array)
        if wrong == "NaN":
            array.flat[0] = np.nan
        elif wrong == "all NaN":
            array[...] = np.nan
        elif wrong == "an empty array":
            return array[:0]
        return array * 1.01

    def spoilt(args, g, engine):
        if args[0].dtype == np.float64:
            return right(args, g, engine)  # the exact one
        y, gradients = right(args, g, engine).both()
        if wrong == "y":
            y = spoil(y)
        else:
            gradients = [gradients[0], spoil(gradients[1]), *gradients[2:]]
        return implementations.Implementation(lambda: y, lambda: (y, gradients))

    monkeypatch.setattr(implementations, "ours", spoilt)
    monkeypatch.setattr(operator, "QUICK", (2, 3, 64, 2))
    monkeypatch.setattr(operator, "torch_implementations", lambda arguments, g: {})
    with pytest.raises(ValueError, match="and the tree engine in float64 disagree"):
        operator.measure_operator(argparse.Namespace(quick=True, repeats=1))


def test_repeats_are_the_rounds_that_count(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(operator, "QUICK", (2, 3, 64, 2))
    monkeypatch.setattr(operator, "torch_implementations", lambda arguments, g: {})
    assert main(["bench", "operator", "--quick", "--repeats", "3", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "bench.json").read_text())["operator"]
    assert {r["rounds"] for part in ("forward", "forward and backward") for r in results[part].values()} == {3}


def test_threads_are_limited_inside_only(monkeypatch):
    before = num_threads()
    with threads(1) as used:
        assert used == num_threads() == 1
        assert threadpoolctl_threads() <= {1}
        about = machine(used)
    assert num_threads() == before
    assert (about["threads"], about["cores"]) == (1, os.cpu_count())
    for name in ("numpy", "scipy", "autograd"):
        assert about["versions"][name] == version(name)
    monkeypatch.setattr(timing, "PACKAGES", ("a package that is not there",))
    assert set(machine(1)["versions"].values()) == {platform.python_version(), "not installed"}


def threadpoolctl_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_all_implementations_agree():
    arguments, g = implementations.operator_arguments(3, 4, 64, 2)
    assert implementations.largest_difference(implementations.our_implementations, arguments, g) < implementations.AGREE


def test_pytorchs_formulations_agree():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    arguments, g = implementations.operator_arguments(3, 4, 64, 3)

    def make(args, g):  # without compiling, which takes a minute
        import torch

        tensors = [torch.from_numpy(a).requires_grad_() for a in args]
        made = {}
        for name in ("torch_conv1d", "torch_tree", "torch_fft"):
            y = getattr(implementations, name)(*tensors)
            result = y.detach().numpy(), [d.numpy() for d in torch.autograd.grad(y, tensors, torch.from_numpy(g))]
            made[name] = implementations.Implementation(lambda result=result: result[0], lambda result=result: result)
        return made

    assert implementations.largest_difference(make, arguments, g) < implementations.AGREE


def spoilt(part, factor):
    """A implementation wrong in one part: the answer of one of its two functions, or the gradient of that number."""

    def make(args, g):
        right = implementations.ours(args, g, "tree")
        y, gradients = right.both()
        gradients = [factor * d if n == part else d for n, d in enumerate(gradients)]
        forward, both = (factor * y if part == name else y for name in ("forward", "both"))
        return {
            "right": right,
            "wrong": implementations.Implementation(lambda: forward, lambda: (both, gradients)),
            "last": right,
        }

    return make


@pytest.mark.parametrize("part", ["forward", "both", 0, 1, 2, 3, 4])
def test_a_wrong_implementation_is_refused(part):
    """Whatever part is wrong by a thousandth; what is within the tolerance is reported as the worst of all."""
    arguments, g = implementations.operator_arguments(3, 4, 64, 2)
    with pytest.raises(ValueError, match="wrong and the tree engine in float64 disagree"):
        implementations.largest_difference(spoilt(part, 1.001), arguments, g)
    assert implementations.largest_difference(spoilt(part, 1.0001), arguments, g) == pytest.approx(1e-4, rel=0.02)


def test_the_arguments_of_the_operator():
    """The depth that covers the length, filters that keep the size of the signal, of the type asked for, the same each time."""
    arguments, g = implementations.operator_arguments(2, 3, 65, 4, "float64")
    x, h0, h1, w, w_skip = arguments
    J = 5  # 3 (2^5 - 1) + 1 = 94 samples; one level less sees 46
    assert [a.shape for a in (x, h0, h1, w, w_skip, g)] == [(2, 3, 65), (3, 4), (3, 4), (3, J + 1), (3,), (2, 3, 65)]
    np.testing.assert_allclose(abs(h0).sum(axis=1), 1)
    assert {a.dtype for a in (*arguments, g)} == {np.dtype("float64")}
    assert {a.dtype for a in implementations.operator_arguments(2, 3, 65, 4)[0]} == {np.dtype("float32")}
    for a, b in zip(arguments, implementations.operator_arguments(2, 3, 65, 4, "float64")[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ["tree", "fft"])
def test_a_implementation_of_ours_is_the_engine_it_names(engine, monkeypatch):
    """Forward and backward, with the gradients of sum(g y) by finite differences."""
    arguments, g = implementations.operator_arguments(2, 3, 16, 2, "float64")
    right, engines = implementations.multires_conv, []
    monkeypatch.setattr(
        implementations, "multires_conv", lambda *args, engine: engines.append(engine) or right(*args, engine=engine)
    )
    one = implementations.ours(arguments, g, engine)
    y, gradients = one.both()
    np.testing.assert_allclose(one.forward(), y)
    assert engines == [engine] * 2
    for n, gradient in enumerate(gradients):
        ways = []
        for change in (1e-6, -1e-6):
            moved = [a + change * (k == n) for k, a in enumerate(arguments)]
            ways.append((g * right(*moved, engine="tree")).sum())
        np.testing.assert_allclose(gradient.sum(), (ways[0] - ways[1]) / 2e-6, rtol=1e-6, atol=1e-7)


def test_only_engines_that_can_run_are_implementations(monkeypatch):
    arguments, g = implementations.operator_arguments(1, 2, 16, 2)
    assert set(implementations.our_implementations(arguments, g)) >= {"tree", "fft"}
    plant_engine(monkeypatch, "fft", problem=lambda: "pip install something")
    here = implementations.our_implementations(arguments, g)
    assert "tree" in here
    assert not {"fft", "gpu"} & set(here)


def test_a_wrong_pyramid_is_refused(monkeypatch):
    right = operator.causal_swt
    monkeypatch.setattr(operator, "causal_swt", lambda *args: [(a, 1.001 * d) for a, d in right(*args)])
    with pytest.raises(ValueError, match="disagree at level"):
        operator.check_same(np.random.default_rng(0).standard_normal(512), 3)


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_the_command(tmp_path, capsys, monkeypatch, torch_is_there):
    """Operator and pyramid from the command line: a table, a file, a chart; with and without PyTorch."""
    if torch_is_there:
        pytest.importorskip("torch", reason="PyTorch is not installed")
        monkeypatch.setattr(implementations, "compiled", lambda implementation: {})  # it takes a minute
    else:
        monkeypatch.setattr(operator, "torch_implementations", lambda arguments, g: {})
    monkeypatch.setattr(operator, "QUICK", (2, 3, 64, 2))
    for part in ("operator", "pyramid", "busy"):
        assert main(["bench", part, "--quick", "--repeats", "1", "--out", str(tmp_path / part)]) == 0
    out = capsys.readouterr().out
    results = json.loads((tmp_path / "operator" / "bench.json").read_text())
    assert ("PyTorch conv1d" in out) is torch_is_there
    assert {"machine", "operator"} == set(results)
    assert results["operator"]["forward and backward"]["tree"]["rounds"] == 1
    assert (tmp_path / "pyramid" / "bench.svg").read_text().startswith("<?xml")


def test_the_chart_shows_the_file():
    rows = {
        name: {"median": t, "low": 0.9 * t, "high": 1.2 * t, "rounds": 3}
        for name, t in {"fused": 0.02, "PyTorch fft": 0.3, "copying x once": 0.005}.items()
    }
    shape = {"B": 1, "D": 2, "L": 3, "K": 2}
    figure = plot_bench({"operator": {"shape": shape, "forward": rows, "forward and backward": rows}})
    for ax in figure.axes:
        assert [tick.get_text() for tick in ax.get_yticklabels()] == ["copying x once", "fused", "PyTorch fft"]
        medians = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
        np.testing.assert_allclose(medians, np.repeat([5, 20, 300], 2))  # forward, and forward and backward
        assert ax.get_xlabel() == "time (ms, logarithmic)"


def test_the_step_compares_losses_first(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    task, network = step.setting("ptbxl", 1, quick=True)
    from dataclasses import replace

    network = replace(network, max_length=50)
    batch = training_step.random_batch(network, task)
    assert step.check_losses(network, task, batch) < step.AGREE
    monkeypatch.setattr(step, "torch_loss", lambda objective, network: lambda out, y: out.sum())
    with pytest.raises(ValueError, match="the first losses differ"):
        step.check_losses(network, task, batch)


def test_bad_arguments(capsys):
    assert main(["bench", "operator", "--repeats", "0"]) == 2
    assert "repeats must be at least 1" in capsys.readouterr().err


def test_the_neighbour_is_busy_and_goes(monkeypatch):
    """Another process uses CPU time inside, as much as it gets; afterwards there is none."""
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

        def communicate(self):
            try:
                super().communicate(timeout=10)
            finally:
                self.kill()

    monkeypatch.setattr(subprocess, "Popen", Popen)
    with processes.busy_neighbour():
        (process,) = started
        assert process.poll() is None
        used = Path(f"/proc/{process.pid}/stat")
        if used.exists():
            began, first = time.monotonic(), int(used.read_text().split()[13])
            while int(used.read_text().split()[13]) < first + 3:  # hundredths of a second
                assert time.monotonic() < began + 60
                time.sleep(0.01)
    assert process.returncode is not None
    with pytest.raises(ZeroDivisionError), processes.busy_neighbour():
        1 / 0  # noqa: B018
    assert started[1].returncode is not None


def test_ratios_are_the_right_way_up():
    seconds = {processes.IDLE: 2.0, processes.ONE: 4.0, processes.BUSY: 3.0, processes.ONE_BUSY: 6.0}
    result = {"rows": {name: summary([s]) for name, s in seconds.items()}}
    assert processes.busy_lines(result)[-3:] == [
        "  one busy neighbour / idle: 1.50",
        "  idle / one thread: 0.50",
        "  one busy neighbour / the same with one thread: 0.50",
    ]


def test_pytorch_has_the_same_threads_inside_and_its_own_again_afterwards():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_chart_is_written_from_what_was_measured(tmp_path, monkeypatch, capsys):
    """bench.svg is drawn of the same numbers that bench.json holds."""
    drawn = []
    monkeypatch.setattr("multires_ref.plots.speed.plot_bench", lambda results: drawn.append(results) or plot_bench(results))
    rows = {"causal_swt": row(0.002), "pywt.swt": row(0.005)}

    @wraps(operator.measure_pyramid)  # whose docstring is the text of --help
    def measured(args):
        return {"L": 4096, "level": 6, "rows": rows}

    monkeypatch.setattr(operator, "measure_pyramid", measured)
    assert main(["bench", "pyramid", "--out", str(tmp_path)]) == 0
    assert drawn == [json.loads((tmp_path / "bench.json").read_text())]
    assert f"wrote {tmp_path / 'bench.json'} and {tmp_path / 'bench.svg'}" in capsys.readouterr().out
    assert (tmp_path / "bench.svg").read_text().startswith("<?xml")
