"""`bench paper` and `bench sample` with a clock of our own: every figure they print and write is recomputed."""

import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clock import TICK, Clock

from multires_ref import Model
from multires_ref.base.threads import num_threads
from multires_ref.bench import paper, training_step
from multires_ref.bench import sample as bench_sample
from multires_ref.cli import main
from multires_ref.network import init_params, init_state
from multires_ref.network.config import mixture_channels
from multires_ref.network.streaming import Stream
from multires_ref.tasks import get_task
from multires_ref.training.objectives import get_objective
from multires_ref.training.optim import adam_init
from multires_ref.training.step import train_step

EXAMPLES = {"scifar10": 45_000, "listops": 96_000, "ptbxl": 17_418, "cifar10-density": 48_000}  # of the training part
LAYERS = {"scifar10": 10, "listops": 10, "ptbxl": 6, "cifar10-density": 48}


class Processes:
    """Stands in for `subprocess.run`: what a process would measure, by side and layers; it keeps what it was asked."""

    def __init__(self, monkeypatch, answer) -> None:
        self.asked, self.timeouts, self.answer = [], [], answer
        monkeypatch.setattr(subprocess, "run", self)

    def __call__(self, command, timeout, **options):
        assert command[:3] == [sys.executable, "-m", "multires_ref.bench.training_step"]
        name, side, layers, steps, gib = command[3:]
        self.asked.append((name, side, int(layers), int(steps), float(gib)))
        self.timeouts.append(timeout)
        answer = self.answer(name, side, int(layers))
        if isinstance(answer, dict):
            return subprocess.CompletedProcess(command, 0, f"a warning\n{json.dumps(answer)}\n", "")
        if answer == "late":
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 9, answer, "what went wrong")


def measured(name, side, layers):
    """PyTorch takes three times as long, and twice the memory."""
    times = {"ours": 1, "torch": 3}[side]
    return {"seconds": times * (1 + 0.5 * layers), "peak_gib": (2 if side == "torch" else 1) * 1.5, "versions": f"of {side}"}


def test_the_paper_s_table(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(paper, "find_spec", lambda name: object())
    processes = Processes(monkeypatch, measured)
    assert main(["bench", "paper", "--steps", "5", "--memory", "7", "--out", str(tmp_path / "paper.json")]) == 0
    rows = json.loads((tmp_path / "paper.json").read_text())
    lines = capsys.readouterr().out.splitlines()
    wanted = [(name, side) for name in EXAMPLES for side in ("ours", "torch")]
    assert [(row["task"], row["side"]) for row in rows] == wanted
    timed = {"cifar10-density": 4}
    asked = []
    for name, side in wanted:
        layers = [timed.get(name, LAYERS[name])]
        asked += [(name, side, n, 5, 7.0) for n in (layers if name not in timed else [4, 2])]
    assert processes.asked == asked
    for row, line in zip(rows, lines[1:9], strict=True):
        name, task = row["task"], get_task(row["task"])
        layers, paper_layers = timed.get(name, LAYERS[name]), LAYERS[name]
        assert (row["layers"], row["paper_layers"]) == (layers, paper_layers)
        times = 3 if row["side"] == "torch" else 1
        whole = times * (1 + 0.5 * paper_layers)
        assert row["seconds"] == times * (1 + 0.5 * layers)
        assert row["paper_seconds"] == pytest.approx(whole)
        assert ("fewer_layers" in row) is (name in timed)
        steps = int(np.ceil(EXAMPLES[name] / task.training.batch_size))
        assert row["steps_per_epoch"] == steps
        assert row["epoch_hours"] == pytest.approx(whole * steps / 3600)
        cells = line.split()
        assert cells[:2] == [name, "PyTorch" if row["side"] == "torch" else "here"]
        assert cells[2:5] == [str(layers), "of", str(paper_layers)]
        figures = [row["seconds"], row["peak_gib"], whole, whole * steps / 3600, task.training.epochs]
        assert [float(cell) for cell in cells[5:]] == pytest.approx(figures, abs=0.051)
    notes = lines[9:]
    assert notes[:4] == [f"{name}: PyTorch takes 3.0 times as long" for name in EXAMPLES]
    assert notes[4:6] == [
        "cifar10-density, here: carried on to 48 layers from 2.00 s with 2 and 3.00 s with 4",
        "cifar10-density, PyTorch: carried on to 48 layers from 6.00 s with 2 and 9.00 s with 4",
    ]
    assert notes[6:] == ["of ours"]


def test_flags_of_paper(monkeypatch, capsys):
    monkeypatch.setattr(paper, "find_spec", lambda name: object())
    processes = Processes(monkeypatch, measured)
    words = ["--tasks", "ptbxl", "cifar10-density", "--layers", "9", "--no-torch"]
    assert main(["bench", "paper", *words, "--seconds", "7", "--budget", "1000"]) == 0
    assert processes.asked == [  # two steps in 20 GiB by default; never more layers than the paper's
        ("ptbxl", "ours", 6, 2, 20.0),
        ("cifar10-density", "ours", 9, 2, 20.0),
        ("cifar10-density", "ours", 4, 2, 20.0),
    ]
    assert set(processes.timeouts) == {7.0}
    assert "times as long" not in capsys.readouterr().out
    processes.timeouts.clear()
    assert main(["bench", "paper", "--tasks", "ptbxl", "--no-torch", "--seconds", "700", "--budget", "5"]) == 0
    assert 4 < processes.timeouts[0] <= 5
    processes.asked.clear()
    monkeypatch.setattr(paper, "find_spec", lambda name: None)
    assert main(["bench", "paper", "--tasks", "ptbxl"]) == 0
    assert [side for _, side, *_ in processes.asked] == ["ours"]
    assert main(["bench", "paper", "--steps", "0"]) == 2
    assert "steps must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("late", "no result within 7 s"),
        ("", "exit 9: what went wrong"),
        ("no JSON", "exit 9: what went wrong"),
        ({"error": "a word"}, "a word"),
    ],
)
def test_what_a_process_that_failed_leaves(monkeypatch, capsys, answer, words):
    processes = Processes(monkeypatch, lambda *asked: answer)
    assert main(["bench", "paper", "--tasks", "ptbxl", "--no-torch", "--seconds", "7"]) == 0
    assert capsys.readouterr().out.strip().splitlines()[1:] == [f"{'ptbxl':<16}{'here':<9}   6 of 6   {words}"]
    assert len(processes.asked) == 1  # fewer layers are tried only where the memory was too small


def test_fewer_layers_until_they_fit(monkeypatch, capsys):
    answer = lambda name, side, layers: measured(name, side, layers) if layers <= 2 else {"error": "memory"}  # noqa: E731
    processes = Processes(monkeypatch, answer)
    assert main(["bench", "paper", "--tasks", "scifar10", "--no-torch"]) == 0
    assert [layers for _, _, layers, *_ in processes.asked] == [10, 5, 2, 1]
    assert "carried on to 10 layers from 1.50 s with 1 and 2.00 s with 2" in capsys.readouterr().out
    processes = Processes(monkeypatch, lambda name, side, layers: {"error": "memory"})
    assert main(["bench", "paper", "--tasks", "scifar10", "--no-torch"]) == 0
    assert [layers for _, _, layers, *_ in processes.asked] == [10, 5, 2, 1]
    assert capsys.readouterr().out.splitlines()[1].endswith("1 of 10  memory")
    Processes(monkeypatch, lambda name, side, layers: measured(name, side, 1) if layers == 1 else {"error": "memory"})
    assert main(["bench", "paper", "--tasks", "scifar10", "--no-torch"]) == 0  # one layer alone has no slope
    assert "cannot be carried on to 10 layers" in capsys.readouterr().out


# one measurement, as its own process makes it


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def one_measurement(monkeypatch, capsys, step, *words):
    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limit: limits.append((what, limit)))
    seen = []
    for name in ("our_step", "torch_step"):
        made = lambda network, setting, batch, formulation="torch", name=name: (  # noqa: E731
            seen.append((name, network.n_layers, setting.name, len(batch.x))) or step
        )
        monkeypatch.setattr(training_step, name, made)
    monkeypatch.setattr(training_step, "versions", lambda: "the versions")
    training_step.main(*words)
    return json.loads(capsys.readouterr().out), seen, limits


def test_one_measurement(monkeypatch, capsys, clock):
    """The first step is not timed; the median of the others, and what memory was held before and at most."""
    peaks, losses = iter([1.25, 4.5]), iter([9.0, 8.0, 7.0, 6.0])
    monkeypatch.setattr(training_step, "peak_gib", lambda: next(peaks))
    step = clock.takes(0.5, lambda: next(losses))
    result, seen, limits = one_measurement(monkeypatch, capsys, step, "listops", "ours", "3", "3", "1.5")
    assert seen == [("our_step", 3, "listops", get_task("listops").training.batch_size)]
    assert limits == [(resource.RLIMIT_DATA, (3 * 2**29, 3 * 2**29))]
    assert result["losses"] == [9.0, 8.0, 7.0, 6.0]
    assert result["all_seconds"] == pytest.approx([0.5 + TICK, 2.0 + TICK, 1.0 + TICK])
    assert result["seconds"] == pytest.approx(1.0 + TICK)
    assert (result["before_gib"], result["peak_gib"], result["versions"]) == (1.25, 4.5, "the versions")


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "memory"), (RuntimeError("cannot allocate"), "memory"), (RuntimeError("a shape"), "a shape")],
)
def test_a_measurement_that_fails_says_why(monkeypatch, capsys, error, words):
    def step():
        raise error

    result, seen, _ = one_measurement(monkeypatch, capsys, step, "ptbxl", "torch", "1", "1", "20")
    assert seen[0][0] == "torch_step"
    assert result == {"error": words}


@pytest.mark.parametrize("side", ["torch", "torch-fft", "torch-tree-compiled"])
def test_each_side_is_its_own_formulation(monkeypatch, capsys, clock, side):
    seen = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, limit: None)
    monkeypatch.setattr(training_step, "find_spec", lambda name: None)
    step = clock.takes(0.5, lambda: 1.0)
    monkeypatch.setattr(training_step, "torch_step", lambda *args, formulation: seen.append(formulation) or step)
    training_step.main("ptbxl", side, "1", "1", "20")
    assert seen == [side]
    assert json.loads(capsys.readouterr().out)["losses"] == [1.0, 1.0]


def test_the_peak_is_what_this_process_has_held():
    """In GiB: not less than it holds now, and not more than the system has ever counted for it."""
    held = Path("/proc/self/statm")
    if not held.exists():
        pytest.skip("only Linux tells")
    now = int(held.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 2**30
    assert 0.9 * now < training_step.peak_gib() < 1.1 * most
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kibibytes, unit = status["VmHWM"].split()
    assert unit == "kB"  # of 1024 bytes
    assert training_step.peak_gib() == pytest.approx(int(kibibytes) * 1024 / 2**30, rel=0.01)


def small(name, **settings):
    task = get_task(name)
    settings = {"n_layers": 1, "d_model": 6, "max_length": 20, "dropout": 0.2} | settings
    return replace(task, network=replace(task.network, **settings), training=replace(task.training, batch_size=40))


def test_batches_look_like_the_task_s():
    """Tokens with full lengths, colours on their grid, labels that are rare, classes: all that a task has, in its shapes."""
    tokens = training_step.random_batch(small("listops").network, small("listops"))
    network = small("listops").network
    assert tokens.x.shape == (40, 20)
    assert set(np.unique(tokens.x)) == set(range(network.d_input))
    assert set(np.unique(tokens.y)) == set(range(network.d_output))
    np.testing.assert_array_equal(tokens.lengths, [20] * 40)
    colours = training_step.random_batch(small("cifar10-density").network, small("cifar10-density"))
    assert colours.x is colours.y
    assert colours.x.shape == (40, 3, 20)
    levels = (colours.x.astype(np.float64) + 1) / 2 * (small("cifar10-density").network.n_values - 1)
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)
    assert (colours.x.min(), colours.x.max(), colours.x.dtype) == (-1, 1, np.float32)
    leads = training_step.random_batch(small("ptbxl").network, small("ptbxl"))
    network = small("ptbxl").network
    assert (leads.x.shape, leads.y.shape) == ((40, network.d_input, 20), (40, network.d_output))
    assert set(np.unique(leads.y)) == {0, 1}
    assert 0.07 < leads.y.mean() < 0.13
    image = training_step.random_batch(small("scifar10").network, small("scifar10"))
    assert (image.x.shape, image.x.dtype, image.y.shape) == ((40, 3, 20), np.float32, (40,))
    assert set(np.unique(image.y)) == set(range(10))
    assert 0.9 < image.x.std() < 1.1


def test_our_step_is_the_step_of_training():
    """The same losses, to the bit, as `train_step` with the setting's rate, optimiser and dropout."""
    task = small("scifar10")
    batch = training_step.random_batch(task.network, task)
    one_step = training_step.our_step(task.network, task, batch)
    rng = np.random.default_rng(1)
    params, state = init_params(task.network, rng), init_state(task.network)
    moments, objective = adam_init(params), get_objective(task.objective, task.network)
    for _ in range(3):
        loss, state = train_step(task.network, params, state, moments, batch, task.training.lr, rng, objective, task.training)
        assert float(one_step()) == float(loss)


# drawing images


@pytest.mark.parametrize("every", [False, True])
def test_sample(clock, monkeypatch, capsys, tmp_path, every):
    """Streaming takes 0.03 s a pixel and recomputing 0.4, 1.5 or 0.8 s, and each draws for 0.01 s: totals and ratios."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    from multires_ref.network import sampling

    calls, drawn, used = [], [], set()
    model_call, stream_step, draw = Model.__call__, Stream.step, sampling.draw_pixel

    def call(self, x, **options):
        used.add(num_threads())
        calls.append(x.shape)
        clock.now += (0.4, 1.5, 0.8)[len(calls) % 3]
        return model_call(self, x, **options)

    def step(self, x):
        clock.now += 0.03
        return stream_step(self, x)

    def draw_pixel(out, C, n_values, rng):
        clock.now += 0.01
        drawn.append(np.array(out))
        return draw(out, C, n_values, rng)

    monkeypatch.setattr(Model, "__call__", call)
    monkeypatch.setattr(Stream, "step", step)
    monkeypatch.setattr(sampling, "draw_pixel", draw_pixel)
    words = ["--layers", "1", "--width", "4", "--length", "12", "--n", "2", "--no-torch", "--threads", "3"]
    words += ["--all-positions"] if every else ["--positions", "3"]
    assert main(["bench", "sample", *words, "--out", str(tmp_path / "sample.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (result,) = json.loads((tmp_path / "sample.json").read_text())
    positions = list(range(12)) if every else [0, 5, 11]
    assert used == {3}
    assert set(calls) == {(2, 3, 12)}
    assert len(calls) == 1 + len(positions)
    recomputed = [(0.4, 1.5, 0.8)[n % 3] + 0.01 + TICK for n in range(2, 2 + len(positions))]
    total = sum(recomputed) if every else 12 * float(np.median(recomputed))
    streaming, rows = 12 * (0.04 + TICK), result["rows"]
    assert list(rows) == ["streaming", "recompute (NumPy)"]
    quartiles = [float(np.quantile(recomputed, q)) for q in (0.25, 0.5, 0.75)]
    for name, timed, per_pixel, seconds in (
        ("streaming", 12, [0.04 + TICK] * 3, streaming),
        ("recompute (NumPy)", len(positions), quartiles, total),
    ):
        row = rows[name]
        assert row["pixels_timed"] == timed
        assert row["per_pixel_quartiles"] == pytest.approx(per_pixel)
        assert (row["seconds"], row["ratio"]) == pytest.approx((seconds, seconds / streaming))
        line = next(line for line in lines if line.startswith(name))
        cells = [float(text.replace(",", "")) for text in re.findall(r"[\d,]+\.?\d*", line[len(name) :])]
        low, middle, high = (1e3 * q for q in per_pixel)
        assert cells == pytest.approx([timed, middle, low, high, seconds, round(seconds / streaming)], abs=0.006)
    assert result["images"] == 2
    assert result["reduced"] == {"n_layers": "1 of 48", "d_model": "4 of 512", "max_length": "12 of 1024"}
    assert result["machine"]["threads"] == 3
    assert result["config"]["dropout"] == 0
    assert lines[0].startswith("drawing 2 image(s) of 12 pixels: width 4, 1 layers, K = 4; ")
    assert ", 3 threads; " in lines[0]
    pairs = [n + k for k, n in enumerate(positions)]  # a recomputed pixel is drawn just before the streamed one
    for n in pairs:
        np.testing.assert_allclose(drawn[n], drawn[n + 1], rtol=1e-3, atol=1e-4)
    assert len(drawn) == 12 + len(positions)


@pytest.mark.parametrize("wrong", [1.01, np.nan])
def test_sample_times_nothing_where_the_ways_differ(monkeypatch, wrong):
    right, timed = Model.__call__, []
    monkeypatch.setattr(Model, "__call__", lambda self, x, **options: wrong * right(self, x, **options))
    monkeypatch.setattr(bench_sample, "measure", lambda *args: timed.append(args))
    words = ["--layers", "1", "--width", "4", "--length", "9", "--n", "1", "--no-torch"]
    assert main(["bench", "sample", *words]) == 2
    assert not timed


def test_the_defaults_of_sample_are_the_setting_s(monkeypatch):
    """Width 512, 1024 pixels, 1 and 8 images; with PyTorch where it is, all threads."""
    made, checked = [], []

    class Enough(Exception):
        pass

    def check(model, implementations, n):
        checked.append((list(implementations), n))
        raise Enough

    def init(config, rng, dtype="float32"):
        made.append((config.n_layers, config.d_model, config.max_length, config.kernel_size, config.d_output, dtype))
        return "a model"

    monkeypatch.setattr(Model, "init", init)
    monkeypatch.setattr(bench_sample, "torch_implementation", lambda model: {"recompute (PyTorch)": None})
    monkeypatch.setattr(bench_sample, "check_outputs", check)
    with pytest.raises(Enough):
        main(["bench", "sample"])
    assert made == [(4, 512, 1024, 4, mixture_channels(10, 3), "float32")]
    assert checked == [(["recompute (NumPy)", "recompute (PyTorch)"], 1)]
