"""`multires-ref bench small`: each number is of the side, the number of threads and the task that it is said to be."""

import json
import os

import numpy as np
import pytest
from clock import TICK, Clock, figures_of

from multires_ref import Model
from multires_ref.base.threads import num_threads
from multires_ref.bench import formulations, small, step, threaded, training_step
from multires_ref.cli import main
from multires_ref.network.streaming import Stream
from multires_ref.tasks import get_task


def row(median):
    return {"median": median, "low": 0.9 * median, "high": 1.5 * median, "rounds": 3}


def result_of(seconds, inference, agreement=1e-7):
    """What `measure_small` would return of seconds {who: {threads: seconds}}."""

    def timed(times):
        by_threads = {who: {str(n): row(s) for n, s in by.items()} for who, by in times.items()}
        best = {who: min(rows, key=lambda n: rows[n]["median"]) for who, rows in by_threads.items()}
        return {"by_threads": by_threads, "best": best, "seconds": {who: by_threads[who][n] for who, n in best.items()}}

    shape = {"B": 50, "L": 64, "D": 48, "layers": 4}
    return {
        "rows": {"digits": {"shape": shape, "agreement": agreement} | timed(seconds)},
        "inference": {"agreement": agreement} | timed(inference),
    }


def test_ratios_are_those_of_each_sides_best_number_of_threads():
    seconds = {"ours": {1: 0.016, 2: 0.010}, "PyTorch": {1: 0.080, 2: 0.2}, "PyTorch compiled": {1: 0.040, 2: 0.030}}
    seconds |= {small.ALONE: {1: 0.002, 2: 0.003}, small.PRODUCTS: {1: 0.001, 2: 0.0008}}
    inference = {small.MODEL: {1: 0.0005, 2: 0.001}, small.STREAM: {1: 80e-6, 2: 75e-6}, small.THEIRS: {1: 0.004, 2: 0.002}}
    lines = small.small_lines(result_of(seconds, inference))
    assert lines[0] == ("small: a training step of digits (batch 50, 64 steps, width 48, 4 layers); first losses agree to 1e-07")
    table = lines[1].splitlines()
    assert "ms, 1 thread  ms, 2 threads  best" in table[0]
    assert table[1].split() == ["ours", "16.00", "10.00", "2", "9.00", "to", "15.00", "1.00x"]
    assert table[2].split() == ["PyTorch", "80.00", "200.00", "1", "72.00", "to", "120.00", "8.00x"]
    assert lines[2:6] == [
        "  digits: a step in PyTorch eager over one here: 8.00",
        "  digits: a step in PyTorch under torch.compile over one here: 3.00",
        "  digits: a step with a batch of 1 over the whole step: 0.20",
        "  digits: matrix products alone over the whole step: 0.08",
    ]
    assert lines[6] == "small: inference of the digits network; outputs agree to 1e-07"
    assert lines[7].splitlines()[2].split() == ["Stream.step", "80.00", "75.00", "2", "67.50", "to", "112.50", "0.15x"]
    assert lines[8:] == [
        "  one example through Model, milliseconds: 0.50",
        "  one sample through Stream.step, microseconds: 75.00",
        "  one example in PyTorch eager over one through Model: 4.00",
    ]


def test_without_pytorch_there_is_no_row_of_it():
    seconds = {"ours": {1: 0.016}, small.ALONE: {1: 0.002}, small.PRODUCTS: {1: 0.001}}
    lines = small.small_lines(result_of(seconds, {small.MODEL: {1: 0.001}, small.STREAM: {1: 1e-4}}, None))
    assert "PyTorch" not in "".join(lines)
    assert lines[0].endswith("4 layers)")


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_small(monkeypatch, tmp_path, capsys, torch_is_there):
    """Each side at its own duration for each number of threads; the tasks' own networks, batches of 50 and of 100."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(3)), raising=False)
    for name in ("OMP_NUM_THREADS", "MULTIRES_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("multires_ref.commands.bench.chart", lambda results, path: None)
    clock, seen = Clock(monkeypatch), []
    by_threads = {"ours": (4.0, 2.0, 3.0), "PyTorch": (9.0, 10.0, 11.0), "PyTorch compiled": (8.0, 7.0, 6.0)}
    by_threads |= {small.ALONE: (0.5, 0.75, 1.0), small.PRODUCTS: (0.25, 0.125, 0.5)}
    alone = {small.MODEL: (0.5, 0.25, 1.0), small.STREAM: (0.125, 0.25, 0.25), small.THEIRS: (1.0, 2.0, 3.0)}
    factor = {"digits": 1.0, "mnist1d": 2.0}

    def takes(who, task="digits", only=None, times=by_threads):
        def call():
            assert only in (None, num_threads())  # a compiled network runs with the threads it was compiled for
            clock.now += factor[task] * times[who][num_threads() - 1]

        return call

    def our_step(network, task, batch):
        assert network == get_task(task.name).network
        seen.append((task.name, len(batch.x)))
        return takes(small.ALONE if len(batch.x) == 1 else "ours", task.name)

    def torch_steps(network, task, batch, names):
        assert len(batch.x) == small.BATCHES[task.name]
        assert names == (["torch", "torch-compiled"] if torch_is_there else [])
        titles = {formulations.FORMULATIONS[name].title for name in names}
        return {who: takes(who, task.name, num_threads()) for who in sorted(titles)}, 1e-7 * num_threads() if names else None

    monkeypatch.setattr(small, "find_spec", lambda name: torch_is_there or None)
    monkeypatch.setattr(small, "our_step", our_step)
    monkeypatch.setattr(small, "torch_steps", torch_steps)
    products = lambda network, B: takes(small.PRODUCTS, {50: "digits", 100: "mnist1d"}[B])  # noqa: E731
    monkeypatch.setattr(small, "matrix_products", products)
    monkeypatch.setattr(small, "torch_inference", lambda model, x: takes(small.THEIRS, times=alone))
    monkeypatch.setattr(small, "check_outputs", lambda model, x, theirs: 2e-7)
    monkeypatch.setattr(Model, "__call__", lambda self, x: takes(small.MODEL, times=alone)())
    monkeypatch.setattr(Stream, "step", lambda self, x: takes(small.STREAM, times=alone)())
    assert main(["bench", "small", "--repeats", "3", "--out", str(tmp_path)]) == 0
    result, lines = json.loads((tmp_path / "bench.json").read_text())["small"], capsys.readouterr().out.splitlines()
    assert seen == [("digits", 50), ("digits", 1), ("mnist1d", 100), ("mnist1d", 1)]
    theirs = ["PyTorch", "PyTorch compiled"] if torch_is_there else []
    for name, scale in factor.items():
        one = result["rows"][name]
        assert one["agreement"] == (pytest.approx(3e-7) if torch_is_there else None)  # the largest of the numbers of threads
        assert list(one["by_threads"]) == ["ours", *theirs, small.ALONE, small.PRODUCTS]
        check_times(one, by_threads, scale)
    check_times(result["inference"], alone, 1.0)
    figures = figures_of(lines)
    assert figures["mnist1d: a step with a batch of 1 over the whole step"] == pytest.approx(0.25, abs=0.01)
    assert figures["digits: matrix products alone over the whole step"] == pytest.approx(0.0625, abs=0.01)
    if torch_is_there:
        assert figures["digits: a step in PyTorch eager over one here"] == pytest.approx(4.5, abs=0.01)
        assert figures["mnist1d: a step in PyTorch under torch.compile over one here"] == pytest.approx(3.0, abs=0.01)


def check_times(one, by_threads, scale):
    """Medians by threads are those of `by_threads`, and the smallest of them is the one that counts."""
    for who, rows in one["by_threads"].items():
        assert list(rows) == ["1", "2", "3"]
        for n, found in rows.items():
            assert found["median"] == pytest.approx(scale * by_threads[who][int(n) - 1], abs=2 * TICK), (who, n)
        assert one["best"][who] == str(1 + int(np.argmin(by_threads[who])))
        assert one["seconds"][who] == rows[one["best"][who]]


def test_calls_in_a_row_are_as_many_for_all_numbers_of_threads(monkeypatch):
    """Each function is looked at once; it is warm before that."""
    clock, calls = Clock(monkeypatch), []

    def call():
        calls.append(num_threads())
        clock.now += 10.0 if len(calls) == 1 else 0.1

    cases = [threaded.Case("a", call, n) for n in (1, 2)]
    times = threaded.time_cases(cases, 1, 0.25)
    assert len(calls) == 2 + 2 * (3 + 3)
    assert [case.threads for case in times] == [1, 2]


@pytest.mark.parametrize("who", ["Model", "the stream", "PyTorch"])
def test_outputs_that_differ_are_not_timed(monkeypatch, who):
    config = small.small_setting("digits", True)[1]
    model = Model.init(config, np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((1, 1, 64)).astype(np.float32)
    right = model(x)
    assert 0 < small.check_outputs(model, x, lambda: right) < 1e-6
    wrong = 1.001 if who == "PyTorch" else 1.0
    called, stepped = Model.__call__, Stream.step
    if who == "Model":
        monkeypatch.setattr(Model, "__call__", lambda self, x: called(self, x) * (1.001 if x.dtype == np.float32 else 1))
    if who == "the stream":
        monkeypatch.setattr(Stream, "step", lambda self, x: 1.001 * stepped(self, x))
    with pytest.raises(ValueError, match=f"{who} and the network in float64 disagree"):
        small.check_outputs(model, x, lambda: wrong * right)


def test_the_quick_run(tmp_path):
    """Narrow networks, nothing compiled; the picture is drawn too."""
    assert main(["bench", "small", "--quick", "--repeats", "1", "--threads", "1", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "bench.json").read_text())["small"]
    assert result["threads"] == [1]
    assert result["rows"]["mnist1d"]["shape"] == {"B": 100, "L": 40, "D": 8, "layers": 4}
    assert "PyTorch compiled" not in result["rows"]["digits"]["seconds"]
    assert (tmp_path / "bench.svg").read_text().startswith("<?xml")


# the network in PyTorch, in all formulations


def smallest(name, **more):
    from dataclasses import replace

    task, network = step.setting(name, 2, quick=True)
    network = replace(network, d_model=6, max_length=40, dropout=0.0, **more)
    return task, network, training_step.random_batch(network, task)


@pytest.mark.parametrize("name", ["scifar10", "listops", "ptbxl", "digits"])
@pytest.mark.parametrize("convolution", ["conv1d", "tree", "fft"])
def test_formulations_have_the_losses_and_the_gradients_of_the_model(monkeypatch, name, convolution):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors.convert import params_to_authors
    from multires_ref.authors.torch_model import to_torch
    from multires_ref.training.objectives import get_objective
    from multires_ref.training.step import loss_and_gradients

    plan = formulations.Formulation("PyTorch here", convolution, compiled=False)
    monkeypatch.setitem(formulations.FORMULATIONS, "here", plan)
    task, network, batch = smallest(name)
    assert step.check_losses(network, task, batch, "here") < 1e-5
    model = Model.init(network, np.random.default_rng(0), "float64")
    x = batch.x if batch.x.dtype.kind == "i" else batch.x.astype(np.float64)
    batch = type(batch)(x, batch.y, batch.lengths)
    objective = get_objective(task.objective, network)
    _, gradients, _ = loss_and_gradients(network, model.params, model.state, batch, None, objective)
    module = to_torch(model).train()
    forward = formulations.formulated(module, "here")
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    y = torch.from_numpy(batch.y)
    training_step.torch_loss(task.objective, network)(forward(torch.from_numpy(x), lengths), y).backward()
    ours = params_to_authors(network, gradients)
    theirs = {name: p.grad for name, p in module.named_parameters()}
    assert set(theirs) <= set(ours)
    for name, grad in theirs.items():
        np.testing.assert_allclose(ours[name], grad, rtol=1e-7, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("mistake", ["taps", "weights", "skip"])
def test_a_wrong_formulation_is_refused(monkeypatch, mistake):
    """Filters not reversed, readouts in the other order, no skip: the losses differ, and nothing is timed."""
    pytest.importorskip("torch", reason="PyTorch is not installed")

    def wrong(layer, operator, x):
        taps = (layer.h0[:, 0], layer.h1[:, 0]) if mistake == "taps" else (layer.h0[:, 0].flip(-1), layer.h1[:, 0].flip(-1))
        w = layer.w[:, :-1].flip(-1) if mistake == "weights" else layer.w[:, :-1]
        return operator(x, *taps, w, 0 * layer.w[:, -1] if mistake == "skip" else layer.w[:, -1])

    task, network, batch = smallest("ptbxl")
    assert step.check_losses(network, task, batch, "torch-fft") < step.AGREE
    monkeypatch.setattr(formulations, "by_operator", wrong)
    with pytest.raises(ValueError, match="the first losses differ: .* in PyTorch fft"):
        step.check_losses(network, task, batch, "torch-fft")


def test_only_fading_trees_are_rewritten():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors.torch_model import MultiresNet

    module = MultiresNet(smallest("ptbxl", tree_select="uniform", depth=3, memory_size=8)[1])
    with pytest.raises(ValueError, match="tree_select must be 'fading'"):
        formulations.formulated(module, "torch-fft")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, plan in formulations.FORMULATIONS.items() if plan.compiled])
def test_compiled_networks_agree_and_train(name):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from dataclasses import replace

    task, network, _ = smallest("ptbxl")
    network = replace(network, n_layers=1, max_length=16, dropout=0.1)  # compiling takes half a minute for each layer
    batch = training_step.random_batch(network, task)
    formulations.forget_compiled()
    steps, agreement = step.torch_steps(network, task, batch, [name])
    assert agreement < step.AGREE
    (one_step,) = steps.values()
    losses = [float(one_step()) for _ in range(20)]
    assert losses[-1] < losses[0]
