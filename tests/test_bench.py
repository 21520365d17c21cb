"""The benchmark command: it takes turns, refuses implementations that disagree, and its chart shows what its file says."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from cases import plant_engine
from threadpoolctl import threadpool_info

from multires_ref.base.threads import num_threads
from multires_ref.bench import busy, implementations, operator, processes, step, threaded, timing, training_step
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
    assert [line.strip() for line in operator.operator_lines(result)[-6:]] == [
        "fused, forward, over copying x once: 3.50",
        "fused, forward and backward, over copying x once: 5.00",
        "PyTorch conv1d over fused: 100.00",
        "the fastest in PyTorch over fused: 10.00",
        "PyTorch conv1d over fft: 25.00",
        "PyTorch fft over fft: 2.50",
    ]


def test_the_time_a_sample_channel_and_level():
    """Of each pass of each series: over the smallest of that series, with the length at which it is largest."""

    def of(K, B, L, J, forward, both):  # the last two in ns
        sizes = {"L": L, "B": B, "D": 10, "J": J, "K": K, "engine": "fused"}
        each = 1e-9 * B * L * 10 * J
        return sizes | {"forward": row(forward * each), "forward and backward": row(both * each)}

    first = [of(2, 1, 1000, 5, 1.0, 4.0), of(2, 1, 4000, 10, 3.0, 2.0), of(2, 1, 8000, 11, 2.0, 3.0)]
    second = [of(8, 4, 1000, 5, 0.7, 7.0), of(8, 4, 4000, 10, 0.7, 10.5)]
    lines = "\n".join(operator.scaling_lines({"rows": first + second})).splitlines()
    assert lines[0] == "scaling: 1 sequence, K = 2; nanoseconds for one sample, channel and level"
    assert lines[2].split() == ["1,000", "10", "5", "fused", "1.000", "1.00x", "4.000", "2.00x"]
    assert lines[3].split() == ["4,000", "10", "10", "fused", "3.000", "3.00x", "2.000", "1.00x"]
    assert lines[-3].split() == ["4,000", "10", "10", "fused", "0.700", "1.00x", "10.500", "1.50x"]  # of four sequences
    assert [line for line in lines if "largest over" in line] == [
        "  K = 2, B = 1, forward: largest over smallest, at 4,000 samples: 3.00",
        "  K = 2, B = 1, forward and backward: largest over smallest, at 1,000 samples: 2.00",
        "  K = 8, B = 4, forward: largest over smallest, at 1,000 samples: 1.00",
        "  K = 8, B = 4, forward and backward: largest over smallest, at 4,000 samples: 1.50",
    ]


def test_a_file_of_an_earlier_version_is_one_series():
    rows = [{"L": 1000, "D": 10, "J": 5, "engine": "fused", "forward": row(1.0), "forward and backward": row(0.05)}]
    rows.append(rows[0] | {"L": 2000, "forward": row(3.0)})
    line = operator.scaling_lines({"rows": rows})[-2]
    assert line == "  K = 2, B = 1, forward: largest over smallest, at 2,000 samples: 1.50"


def test_the_pyramid_s_and_the_step_s_ratios():
    rows = {"causal_swt": row(0.002), "pywt.swt": row(0.005)}
    assert operator.pyramid_lines({"L": 4096, "level": 6, "rows": rows})[-1].endswith("pywt.swt over causal_swt: 2.50")
    seconds = {"ours": row(0.1), "PyTorch": row(0.8), "PyTorch fft": row(0.4), "PyTorch tree, compiled": row(0.5)}
    memory = {"ours": 1.0, "PyTorch": 4.0, "PyTorch fft": 5.0, "PyTorch tree, compiled": None}
    one = {"agreement": 1e-6, "seconds": seconds | {"matrix products": row(0.02)}, "memory_gib": memory}
    one["seconds"]["PyTorch"]["rounds"] = 1
    lines = step.step_lines({"layers": 2, "rows": {"ptbxl": one}})
    assert lines[-7:] == [
        "  timed steps: 3, but PyTorch 1",
        "  ptbxl: a step in PyTorch eager over one here: 8.00",
        "  ptbxl: the fastest step in PyTorch (PyTorch fft) over one here: 4.00",
        "  ptbxl: a step here over its matrix products alone: 5.00",
        "  peak memory of the step: 1.00 GiB, PyTorch 4.00 GiB, PyTorch fft 5.00 GiB",
        "  ptbxl: peak memory here over that of PyTorch: 0.25",
        "  ptbxl: peak memory here over that of PyTorch fft: 0.20",
    ]


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
    for part in ("operator", "pyramid"):
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
    with threaded.busy_neighbour():
        (process,) = started
        assert process.poll() is None
        used = Path(f"/proc/{process.pid}/stat")
        if used.exists():
            began, first = time.monotonic(), int(used.read_text().split()[13])
            while int(used.read_text().split()[13]) < first + 3:  # hundredths of a second
                assert time.monotonic() < began + 60
                time.sleep(0.01)
    assert process.returncode is not None
    with pytest.raises(ZeroDivisionError), threaded.busy_neighbour():
        1 / 0  # noqa: B018
    assert started[1].returncode is not None


def test_the_neighbour_ends_with_a_benchmark_that_is_killed():
    """Its output is closed when it ends, and nobody else holds that."""
    code = (
        "import time\nfrom multires_ref.bench import threaded\nstart, started = threaded.subprocess.Popen, []\n"
        "threaded.subprocess.Popen = lambda *a, **k: started.append(start(*a, **k)) or started[0]\n"
        "with threaded.busy_neighbour():\n    print(started[0].pid, flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as benchmark:
        neighbour = int(benchmark.stdout.readline())
        benchmark.kill()
    began = time.monotonic()
    while is_running(neighbour):
        assert time.monotonic() < began + 30
        time.sleep(0.05)


def is_running(pid):
    """Whether there is such a process; one that has ended and that nobody has asked for its result does not run."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_ratios_are_the_right_way_up():
    seconds = {busy.OURS: (2.0, 3.0, 5.0), busy.ONE: (4.0, 6.0, 4.0)}
    rows = {who: [row(s) for s in times] for who, times in seconds.items()}
    shape = {"B": 50, "L": 6400, "D": 48, "layers": 4}
    lines = busy.busy_lines({"rows": {"digits": {"shape": shape, "seconds": rows}}})
    assert lines[0] == "busy: a training step of digits (batch 50, 6,400 steps, width 48, 4 layers)"
    last = lines[1].splitlines()[3].split()
    assert last == ["ours,", "two", "busy", "neighbours", "5,000.00", "4,500.00", "to", "7,500.00", "3", "2.50x"]
    assert lines[2:] == [
        "  digits, ours: one busy neighbour / idle: 1.50",
        "  digits, ours: two busy neighbours / idle: 2.50",
        "  digits, ours, one thread: one busy neighbour / idle: 1.50",
        "  digits, ours, one thread: two busy neighbours / idle: 1.00",
        "  digits, idle: ours / ours with one thread: 0.50",
        "  digits, one busy neighbour: ours / ours with one thread: 0.50",
        "  digits, two busy neighbours: ours / ours with one thread: 1.25",
    ]


def test_slow_implementations_leave_rounds_out():
    """One that has taken the seconds allowed takes part no more; but it does in the first round."""
    seconds = {"slow": 60.0, "middle": 20.0, "quick": 1.0}
    calls = {name: (lambda name=name: name) for name in seconds}
    taken = alternate(calls, 5, stopwatch=lambda call: seconds[call()], most_seconds=50.0)
    assert {name: len(times) for name, times in taken.items()} == {"slow": 1, "middle": 3, "quick": 5}


def test_two_neighbours_are_two_processes(monkeypatch):
    running = []

    @contextmanager
    def neighbour():
        running.append(1)
        yield
        running.pop()

    monkeypatch.setattr(threaded, "busy_neighbour", neighbour)
    for count in (0, 1, 2):
        with threaded.busy_neighbours(count):
            assert len(running) == count
        assert running == []


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
