"""The benchmark command: it takes turns, refuses contestants that disagree, and its chart shows what its file says."""

import json
import time

import numpy as np
import pytest

from multires_ref.bench import busy, contestants, operator, pyramid, step
from multires_ref.bench.timing import alternate, machine, summary, threads, verdict
from multires_ref.cli import main
from multires_ref.engines.threads import num_threads
from multires_ref.plots.speed import plot_bench


def test_contestants_take_turns():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = alternate(runs, repeats=2)
    assert calls == list("abc" * 3)  # one round to warm up, two that count
    assert {name: len(times) for name, times in seconds.items()} == {"a": 2, "b": 2, "c": 2}


def test_seconds_are_the_clocks():
    now = iter([0.0, 1.0, 10.0, 13.0])
    assert alternate({"a": lambda: None}, repeats=2, clock=lambda: next(now)) == {"a": [1.0, 3.0]}
    assert summary([1.0, 3.0])["median"] == 2.0


def test_verdicts():
    assert "met" in verdict("speed", 8.0, 8)
    assert "MISSED" in verdict("speed", 7.99, 8)
    assert "met" in verdict("memory", 0.4, 0.4, at_least=False)
    assert "MISSED" in verdict("memory", 0.41, 0.4, at_least=False)


def test_threads_are_limited_inside_only():
    before = num_threads()
    with threads(1) as used:
        assert used == num_threads() == 1
        assert machine(used)["threads"] == 1
    assert num_threads() == before


def test_all_contestants_agree():
    arguments, g = contestants.operator_arguments(3, 4, 64, 2)
    assert contestants.check_agreement(contestants.our_contestants, arguments, g) < contestants.AGREE


def test_pytorchs_formulations_agree():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    arguments, g = contestants.operator_arguments(3, 4, 64, 3)

    def make(args, g):  # without compiling, which takes a minute
        import torch

        tensors = [torch.from_numpy(a).requires_grad_() for a in args]
        made = {}
        for name in ("torch_conv1d", "torch_tree", "torch_fft"):
            y = getattr(contestants, name)(*tensors)
            result = y.detach().numpy(), [d.numpy() for d in torch.autograd.grad(y, tensors, torch.from_numpy(g))]
            made[name] = contestants.Contestant(lambda result=result: result[0], lambda result=result: result)
        return made

    assert contestants.check_agreement(make, arguments, g) < contestants.AGREE


@pytest.mark.parametrize("part", ["forward", "gradient"])
def test_a_wrong_contestant_is_refused(part):
    arguments, g = contestants.operator_arguments(3, 4, 64, 2)

    def make(args, g):
        right = contestants.ours(args, g, "tree")
        y, gradients = right.both()
        wrong_y = y * (1.001 if part == "forward" else 1)
        wrong = (gradients[0], 1.001 * gradients[1], *gradients[2:]) if part == "gradient" else gradients
        return {"wrong": contestants.Contestant(lambda: wrong_y, lambda: (wrong_y, wrong))}

    with pytest.raises(ValueError, match="wrong does not agree"):
        contestants.check_agreement(make, arguments, g)


def test_a_wrong_pyramid_is_refused(monkeypatch):
    right = pyramid.causal_swt
    monkeypatch.setattr(pyramid, "causal_swt", lambda *args: [(a, 1.001 * d) for a, d in right(*args)])
    with pytest.raises(ValueError, match="disagree at level"):
        pyramid.check_same(np.random.default_rng(0).standard_normal(512), 3)


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_the_command(tmp_path, capsys, monkeypatch, torch_is_there):
    """Operator and pyramid from the command line: a table, a file, a chart; with and without PyTorch."""
    if torch_is_there:
        pytest.importorskip("torch", reason="PyTorch is not installed")
        monkeypatch.setattr(contestants, "compiled", lambda contestant: {})  # it takes a minute
    else:
        monkeypatch.setattr(operator, "torch_contestants", lambda arguments, g: {})
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
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [5, 20, 300])
        assert ax.get_xlabel() == "time (ms, logarithmic)"


def test_the_step_compares_losses_first(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    task, network = step.setting("ptbxl", 1, quick=True)
    from dataclasses import replace

    from multires_ref.bench import torch_losses
    from multires_ref.bench.paper_step import random_batch

    network = replace(network, max_length=50)
    batch = random_batch(network, task)
    assert step.check_losses(network, task, batch) < step.AGREE
    monkeypatch.setitem(torch_losses.LOSSES, "multilabel", lambda out, y, levels: out.sum())
    with pytest.raises(ValueError, match="the first losses differ"):
        step.check_losses(network, task, batch)


def test_bad_arguments(capsys):
    assert main(["bench", "operator", "--repeats", "0"]) == 2
    assert "repeats must be at least 1" in capsys.readouterr().err


def test_the_neighbour_is_busy_and_goes():
    """Beside it another process uses processor time; afterwards there is none."""
    resource = pytest.importorskip("resource", reason="not on Windows")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with busy.busy_neighbour():
        time.sleep(0.3)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert used > 0.05


def test_ratios_are_the_right_way_up():
    seconds = {busy.IDLE: 2.0, busy.ONE: 4.0, busy.BUSY: 3.0, busy.ONE_BUSY: 6.0}
    result = {"rows": {name: summary([s]) for name, s in seconds.items()}}
    assert list(busy.ratios(result["rows"]).values()) == [1.5, 0.5, 0.5]
    assert busy.lines(result)[-3:] == [
        "  one busy neighbour / idle: 1.50",
        "  idle / one thread: 0.50",
        "  one busy neighbour / the same with one thread: 0.50",
    ]
