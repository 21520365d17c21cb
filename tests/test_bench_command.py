"""`multires-ref bench PART` with a clock of our own: every figure it prints and writes is the one of the known durations."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest
from clock import TICK, Clock, expected, figures_of, rows_of

from multires_ref.base.threads import num_threads
from multires_ref.bench import busy, implementations, memories, operator, processes, small, step, swt, threaded
from multires_ref.bench.timing import threads
from multires_ref.cli import main
from multires_ref.tasks import get_task

THEIRS = ("PyTorch conv1d", "PyTorch tree", "PyTorch fft", "PyTorch compiled")


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def bench(tmp_path, capsys, monkeypatch):
    """Runs a part, without the chart; gives what bench.json holds of it, and the lines printed."""
    monkeypatch.setattr("multires_ref.commands.bench.chart", lambda results, path: None)

    def run(part, *words):
        assert main(["bench", part, "--out", str(tmp_path), *words]) == 0
        return json.loads((tmp_path / "bench.json").read_text())[part], capsys.readouterr().out.splitlines()

    return run


def check_rows(rows, durations, rounds):
    """The rows of bench.json are those of the durations, by name and in this order."""
    assert list(rows) == list(durations)
    for name, seconds in durations.items():
        assert rows[name] == pytest.approx(expected(seconds, rounds)), name


def check_table(lines, rows, against):
    """The printed table is that of the rows, in milliseconds, with how many times as long as each of `against`."""
    printed = rows_of(lines)
    assert set(printed) == set(rows)
    for name, row in rows.items():
        figures = [1e3 * row[key] for key in ("median", "low", "high")]
        ratios = [row["median"] / rows[other]["median"] for other in against]
        assert printed[name] == pytest.approx([*figures, *ratios], abs=0.006), name


def test_operator(clock, bench, monkeypatch):
    """Forward and backward are timed apart, and the ratios are those of the medians."""
    seconds = {"fft": 0.4, "fused": 0.1, "tree": 0.5, **dict(zip(THEIRS, (2.0, 0.8, 0.7, 0.3), strict=True))}
    right, engines = implementations.ours, []

    def ours(args, g, engine, name=None):
        if args[0].dtype == np.float64:  # the exact one
            assert engine == "tree"
            return right(args, g, engine)
        engines.append(engine)
        one, duration = right(args, g, engine), seconds[name or engine]
        return implementations.Implementation(clock.takes(duration, one.forward), clock.takes(3 * duration, one.both))

    def theirs(args, g):
        return {name: ours(args, g, "tree", name) for name in THEIRS}

    monkeypatch.setattr(implementations, "ours", ours)
    monkeypatch.setattr(operator, "torch_implementations", theirs)
    monkeypatch.setattr(operator, "QUICK", (4, 3, 64, 2))
    monkeypatch.setattr(operator, "FULL", (1, 1, 8, 2))
    copied = []
    monkeypatch.setattr(
        np, "copyto", clock.takes(0.02, lambda target, x: copied.append((target is x, target.shape, float(x.sum()))))
    )
    result, lines = bench("operator", "--quick", "--repeats", "3")
    assert result["shape"] == {"B": 4, "D": 3, "L": 64, "K": 2, "dtype": "float32"}
    x = implementations.operator_arguments(4, 3, 64, 2)[0][0]
    assert set(copied) == {(False, x.shape, float(x.sum()))}
    assert {"tree", "fft", "fused"} <= set(engines)
    new = {"copying x once": 0.02, "copying to a new array": 0.0}
    check_rows(result["forward"], new | seconds, 3)
    check_rows(result["forward and backward"], {"copying x once": 0.02} | {name: 3 * s for name, s in seconds.items()}, 3)
    title, middle = lines.index(" forward"), lines.index(" forward and backward")
    agreement = f"{result['agreement']:.0e}"
    assert lines[title - 1] == f"operator: batch 4, 3 channels, 64 steps, K = 2, float32; all agree to {agreement} of the norm"
    assert 0 < result["agreement"] < 1e-6
    check_table(lines[title:middle], result["forward"], ("copying x once", "fused", "fft"))
    check_table(lines[middle:], result["forward and backward"], ("copying x once", "fused", "fft"))
    assert figures_of(lines) == pytest.approx(
        {
            "fused, forward, over copying x once": (0.2 + TICK) / (0.04 + TICK),
            "fused, forward and backward, over copying x once": (0.6 + TICK) / (0.04 + TICK),
            "PyTorch conv1d over fused": 20.0,
            "the fastest in PyTorch over fused": 3.0,
            "PyTorch conv1d over fft": 5.0,
            "PyTorch fft over fft": 1.75,
        },
        abs=0.02,
    )


def test_the_full_size_is_the_default(monkeypatch):
    """Without --quick the operator has its full size, and with it the small one."""
    seen = []

    class Enough(Exception):
        pass

    def stop(*shape):
        seen.append(shape)
        raise Enough

    monkeypatch.setattr(operator, "operator_arguments", stop)
    for words in ([], ["--quick"]):
        with pytest.raises(Enough):
            main(["bench", "operator", *words])
    assert seen == [(50, 256, 1024, 2), (8, 32, 512, 2)]


@pytest.mark.parametrize(("asked", "rounds"), [(3, 15), (17, 17)])
def test_pyramid(clock, bench, monkeypatch, asked, rounds):
    import pywt

    seen = []

    def called(function):
        return lambda x, wavelet, level: seen.append((x.shape, wavelet, level)) or function(x, wavelet, level)

    monkeypatch.setattr(operator, "causal_swt", clock.takes(0.02, called(operator.causal_swt), before=2))  # looked at, warm
    monkeypatch.setattr(pywt, "swt", clock.takes(0.05, called(pywt.swt), before=2))
    result, lines = bench("pyramid", "--quick", "--repeats", str(asked))
    assert set(seen) == {((4096,), "db4", 6)}
    assert (result["L"], result["level"]) == (4096, 6)
    check_rows(result["rows"], {"causal_swt": 0.02, "pywt.swt": 0.05}, rounds)
    assert "pyramid: one signal of 4,096 samples, db4, 6 levels, float64" in lines
    check_table(lines, result["rows"], ("causal_swt",))
    ratio = result["rows"]["pywt.swt"]["median"] / result["rows"]["causal_swt"]["median"]
    assert figures_of(lines) == pytest.approx({"pywt.swt over causal_swt": ratio}, abs=0.006)


@pytest.mark.parametrize("quick", [True, False])
def test_swt(clock, bench, monkeypatch, quick):
    """Seconds of one step of many, and of the signal in chunks and as a whole."""
    import pywt

    right, length, steps = swt.CausalSWT, 2**13 if quick else 2**16, 200 if quick else 2000

    class Stream(right):
        def step(self, x):
            clock.now += 1 / 1024  # exact, however many are added up
            return right.step(self, x)

    monkeypatch.setattr(swt, "CausalSWT", Stream)
    monkeypatch.setattr(Stream, "push", lambda self, x: setattr(clock, "now", clock.now + 0.125) or right.push(self, x))
    monkeypatch.setattr(swt, "causal_swt", clock.takes(2.0, swt.causal_swt, before=2))
    monkeypatch.setattr(pywt, "swt", clock.takes(5.0, pywt.swt))
    result, lines = bench("swt", *(["--quick"] if quick else []), "--repeats", "3")
    assert (result["L"], result["level"]) == (length, 5)
    rows, chunks = result["rows"], length // 1024
    assert [row["rounds"] for row in rows.values()] == [15] * 4
    assert rows[swt.STEPS]["median"] == pytest.approx(1 / 1024 + TICK / steps)
    assert rows[swt.CHUNKS]["median"] == pytest.approx(0.125 * chunks + TICK)
    assert rows[swt.WHOLE] == pytest.approx(expected(2.0, 15))
    assert rows[swt.THEIRS] == pytest.approx(expected(5.0, 15))
    assert f"swt: one channel of {length:,} samples, db4, 5 levels, float64; the stream by" in "".join(lines)
    figures = figures_of(lines)
    assert figures["microseconds a step"] == pytest.approx(1e6 * rows[swt.STEPS]["median"], abs=0.006)
    assert figures["chunks over the whole signal"] == pytest.approx(
        rows[swt.CHUNKS]["median"] / rows[swt.WHOLE]["median"], abs=0.006
    )
    assert figures["pywt.swt over chunks"] == pytest.approx(rows[swt.THEIRS]["median"] / rows[swt.CHUNKS]["median"], abs=0.006)


def test_wrong_chunks_are_not_timed(monkeypatch, bench):
    monkeypatch.setattr(swt, "causal_swt", lambda *args: [(a, 1.001 * d) for a, d in right(*args)])
    right = operator.causal_swt
    with pytest.raises(ValueError, match="disagree"):
        swt.measure_swt(Namespace(quick=True, repeats=1))


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("which", [0, 1])
def test_any_wrong_coefficients_of_the_pyramid_are_refused(monkeypatch, level, which):
    """Approximations and details, at the coarsest level, the finest and between."""
    right = operator.causal_swt

    def wrong(*args):
        pairs = [list(pair) for pair in right(*args)]
        pairs[3 - level][which] = pairs[3 - level][which] + 1e-6
        return pairs

    x = np.random.default_rng(0).standard_normal(512)
    operator.check_same(x, 3)
    monkeypatch.setattr(operator, "causal_swt", wrong)
    with pytest.raises(ValueError, match=f"disagree at level {level}"):
        operator.check_same(x, 3)


@pytest.mark.parametrize("quick", [True, False])
def test_scaling(clock, bench, monkeypatch, quick):
    """Arrays of one size at every length, each pass at its own duration, for each filter length and batch size, in turn."""
    elements = 2**16 if quick else 2**22
    exponents = (10, 12, 14) if quick else (10, 12, 14, 16, 18, 20, 22)
    growth = dict(zip(exponents, (1.0, 1.5, 4.0, 2.0, 2.5, 3.0, 0.5), strict=False))  # of the time a sample, channel and level
    turns = []

    def seconds(L, K, B, J):
        return growth[L.bit_length() - 1] * J * K / 64 + B / 1024

    def ours(args, g, engine):
        x, h0, h1, w, w_skip = args
        B, D, L = x.shape
        K, J = h0.shape[1], w.shape[1] - 1
        assert (engine, x.size, g.shape, x.dtype, g.dtype) == ("auto", elements, x.shape, np.float32, np.float32)
        assert h0.shape == h1.shape == (D, K)
        assert w_skip.shape == (D,)
        assert (K - 1) * (2**J - 1) + 1 >= L > (K - 1) * (2 ** (J - 1) - 1) + 1
        assert 0.9 < x.std() < 1.1
        assert not np.array_equal(x, g)
        forward = clock.takes(0.25 * seconds(L, K, B, J), lambda: turns.append((K, B, L)))
        return implementations.Implementation(forward, clock.takes(seconds(L, K, B, J)))

    monkeypatch.setattr(operator, "ours", ours)
    if not quick:
        monkeypatch.setattr(operator, "ELEMENTS", elements)
        monkeypatch.setattr(operator, "BATCHES", (1,))
        monkeypatch.setattr(operator, "KERNELS", (4,))
    result, lines = bench("scaling", *(["--quick"] if quick else []), "--repeats", "3")
    kernels, batches = ((2, 4, 8), (1, 4)) if quick else ((4,), (1,))
    series = [(K, B) for K in kernels for B in batches]
    assert [(row["K"], row["B"], row["L"]) for row in result["rows"]] == [(*one, 2**e) for one in series for e in exponents]
    assert turns == [(*one, 2**e) for one in series for _ in range(4) for e in exponents]  # the lengths take turns
    figures = figures_of(lines)
    for K, B in series:
        rows = [row for row in result["rows"] if (row["K"], row["B"]) == (K, B)]
        each = {}
        for row in rows:
            assert row["D"] * row["L"] * B == elements
            assert row["engine"] == "fused"
            assert row["forward"] == pytest.approx(expected(0.25 * seconds(row["L"], K, B, row["J"]), 3))
            assert row["forward and backward"] == pytest.approx(expected(seconds(row["L"], K, B, row["J"]), 3))
            each[row["L"]] = (2 * seconds(row["L"], K, B, row["J"]) + TICK) / row["J"]
        assert max(each, key=each.__getitem__) == 2**14
        worst = max(each.values()) / min(each.values())
        assert worst > 3
        what = f"K = {K}, B = {B}, forward and backward: largest over smallest, at 16,384 samples"
        assert figures[what] == pytest.approx(worst, abs=0.006)
    assert len(figures) == 2 * len(series)


def test_the_full_lengths_of_scaling():
    assert operator.LENGTHS == (2**10, 2**12, 2**14, 2**16, 2**18, 2**20, 2**22)
    assert (operator.KERNELS, operator.BATCHES, operator.ELEMENTS) == ((2, 4, 8), (1, 4), 2**24)


@pytest.mark.parametrize(("words", "rounds"), [(["--quick"], 3), ([], 15), (["--repeats", "16"], 16)])
def test_startup(clock, bench, monkeypatch, words, rounds):
    """Whole processes of this Python, against one that does nothing and one that imports NumPy."""
    seconds = {"pass": 0.01, "import numpy": 0.1, "import multires_ref": 0.02, "from multires_ref import multires_conv": 0.3}
    seconds = {name: seconds.get(name, 0.2) for name in processes.STATEMENTS}
    runs = {name: clock.takes(duration) for name, duration in seconds.items()}

    def run(command, **options):
        assert command[:2] == [sys.executable, "-c"]
        assert options["check"]
        runs[command[2]]()

    monkeypatch.setattr(subprocess, "run", run)
    result, lines = bench("startup", *words)
    check_rows(result["rows"], seconds, rounds)
    check_table(lines, result["rows"], ("pass", "import numpy"))
    assert {"import multires_ref", "from multires_ref import multires_conv"} < set(seconds)


def test_a_process_that_fails_is_not_timed(monkeypatch, bench):
    monkeypatch.setattr(processes, "STATEMENTS", ("raise SystemExit(3)",))
    with pytest.raises(subprocess.CalledProcessError):
        bench("startup", "--quick")


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_busy(clock, bench, monkeypatch, torch_is_there):
    """Every combination of step, side, threads and neighbours, each timed where it says, in seconds of one step, in turn."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in ("OMP_NUM_THREADS", "MULTIRES_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    neighbours, turns = [], []

    @contextmanager
    def neighbour():
        neighbours.append(1)
        clock.now += 1000  # starting it is not timed
        yield
        neighbours.pop()

    times = {(4, 0): 0.5, (1, 0): 1.0, (4, 1): 7.5, (1, 1): 2.0, (4, 2): 15.0, (1, 2): 2.5}  # by threads and neighbours
    factors = {"digits": 0.25, "scifar10": 1.0, "listops": 2.0, "ptbxl": 3.0}

    def fake(side, factor):
        def make(network, task, batch):
            layers, B = busy.SIZES[task.name] or (task.network.n_layers, task.training.batch_size)
            assert network == replace(task.network, n_layers=layers)
            assert (len(batch.x), network.d_model) == (B, get_task(task.name).network.d_model)

            def one_step():
                turns.append((task.name, side, num_threads(), len(neighbours)))
                clock.now += factor * factors[task.name] * times[num_threads(), len(neighbours)]

            return one_step

        return make

    monkeypatch.setattr(threaded, "busy_neighbour", neighbour)
    monkeypatch.setattr(busy, "find_spec", lambda name: torch_is_there or None)
    monkeypatch.setattr(busy, "our_step", fake("ours", 1))
    monkeypatch.setattr(busy, "torch_step", fake("torch", 4))
    result, lines = bench("busy", "--repeats", "3", "--threads", "4")
    assert list(result["rows"]) == list(factors)
    theirs = {busy.THEIRS: (4, 4)} if torch_is_there else {}
    sides = {busy.OURS: (4, 1), busy.ONE: (1, 1)} | theirs
    figures = figures_of(lines)
    for name, row in result["rows"].items():
        assert list(row["seconds"]) == list(sides)
        for who, (n, factor) in sides.items():
            for count, one in enumerate(row["seconds"][who]):
                assert one["median"] == pytest.approx(factor * factors[name] * times[n, count], abs=2 * TICK)
                assert 1 <= one["rounds"] <= 3
            for count, words in ((1, "one busy neighbour"), (2, "two busy neighbours")):
                assert figures[f"{name}, {who}: {words} / idle"] == pytest.approx(times[n, count] / times[n, 0], rel=0.01)
        assert figures[f"{name}, idle: ours / ours with one thread"] == pytest.approx(0.5, abs=0.01)
    assert result["rows"]["digits"]["seconds"][busy.ONE][2]["rounds"] == 3
    assert result["rows"]["ptbxl"]["seconds"][busy.OURS][2]["rounds"] == 1  # one took 45 s, so the others were left out
    warm_and_look = 2 * (2 if torch_is_there else 1)  # by each function
    one_round = [turn[1:] for turn in turns if turn[0] == "digits"][warm_and_look:]
    wanted = [(side, n, count) for count in (0, 1, 2) for side, n in (("ours", 4), ("ours", 1), ("torch", 4))]
    wanted = [turn for turn in wanted if torch_is_there or turn[0] == "ours"]
    seen = [turn for n, turn in enumerate(one_round) if n == 0 or turn != one_round[n - 1]]
    assert seen[: 2 * len(wanted)] == wanted * 2


def test_busy_steps_are_long_enough(clock, monkeypatch):
    """As many calls in a row as take as long as was asked for, on the idle machine; the figure is for one of them."""
    calls = []
    case = threaded.Case("a", lambda: calls.append(setattr(clock, "now", clock.now + 0.03)), 1)
    (row,) = threaded.time_cases([case], 2, 0.5).values()
    assert len(calls) == 2 + 3 * 17  # warm, looked at, and 0.5 / (0.03 + TICK) calls in three rounds
    assert row["median"] == pytest.approx(0.03 + TICK / 17)
    assert row["rounds"] == 2


FORMS = {"torch": "PyTorch", "torch-tree-compiled": "PyTorch tree, compiled", "torch-fft": "PyTorch fft"}
FORMS |= {"torch-fft-compiled": "PyTorch fft, compiled"}


def test_a_side_whose_process_crashes_is_left_out(monkeypatch, capsys):
    """One that only fails, for example for lack of memory, is still timed."""
    ends = {"ours": (1.0, ""), "torch": (None, "memory"), "torch-tree-compiled": (None, "exit -6: corrupted size")}
    monkeypatch.setattr(step, "peak_memory", lambda name, side, layers: ends[side])
    safe, memory = step.own_processes("listops", 2, list(ends)[1:], False)
    assert safe == ["torch"]
    assert memory == {"ours": 1.0, "PyTorch": None, "PyTorch tree, compiled": None}
    expected = "  PyTorch tree, compiled is left out of listops: its process crashed (exit -6: corrupted size)\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_step(clock, bench, monkeypatch, torch_is_there):
    """Two settings: seconds, losses that agree, and the memory that a fresh process took beyond what it held before."""
    seconds = {"ours": 0.2, "PyTorch": 16.0, "PyTorch tree, compiled": 1.0, "PyTorch fft": 0.6, "PyTorch fft, compiled": 0.8}
    seconds["matrix products"] = 0.05
    asked, checked = [], []

    def fake(ours):
        def make(network, task, batch, formulation="torch"):
            who = "ours" if ours else FORMS[formulation]
            asked.append((who, task.name, network.n_layers))
            assert network.d_model == get_task(task.name).network.d_model
            assert len(batch.x) == get_task(task.name).training.batch_size
            return clock.takes(seconds[who], before=2 if "compiled" in who else 1)  # compiling is not timed

        return make

    def check(network, task, batch, formulation, ours):
        assert ours == 2.5
        checked.append((task.name, FORMS[formulation]))
        return {"torch": 1e-6, "torch-fft": 3e-6}.get(formulation, 2e-6)

    def products(network, B):
        assert get_task("ptbxl").training.batch_size == B or network.encoder == "embedding"
        return clock.takes(seconds["matrix products"])

    peaks = {("ptbxl", "ours"): (3.5, 0.5), ("ptbxl", "torch-fft"): (7.0, 1.0)}
    peaks |= {(name, "torch"): (5.0, 1.0) for name in ("ptbxl", "listops")}

    def run(command, **options):
        assert command[:3] == [sys.executable, "-m", "multires_ref.bench.training_step"]
        name, side, layers, steps, gib = command[3:]
        assert (layers, steps) == ("3", "1")
        assert float(gib) > 8
        peak = peaks.get((name, side))
        text = json.dumps({"peak_gib": peak[0], "before_gib": peak[1]} if peak else {"error": "memory"})
        return subprocess.CompletedProcess(command, 0, f"a warning\n{text}\n", "")

    monkeypatch.setattr(step, "find_spec", lambda name: torch_is_there or None)
    monkeypatch.setattr(step, "first_loss", lambda network, task, batch: 2.5)
    monkeypatch.setattr(step, "check_losses", check)
    monkeypatch.setattr(step, "matrix_products", products)
    monkeypatch.setattr(step, "our_step", fake(True))
    monkeypatch.setattr(step, "torch_step", fake(False))
    monkeypatch.setattr(subprocess, "run", run)
    result, lines = bench("step", "--settings", "ptbxl", "listops", "--layers", "3", "--repeats", "3", "--seconds", "40")
    assert result["layers"] == 3
    assert lines[1].startswith("training step: 3 layers")
    assert list(result["rows"]) == ["ptbxl", "listops"]
    theirs = list(FORMS.values()) if torch_is_there else []
    assert asked == [(who, name, 3) for name in result["rows"] for who in (*theirs, "ours")]
    assert checked == [(name, who) for name in result["rows"] for who in theirs]
    wanted = {name: seconds[name] for name in ("ours", *theirs, "matrix products")}
    for name, row in result["rows"].items():
        assert list(row["seconds"]) == list(wanted)
        for who, duration in wanted.items():  # eager: 16 and 64 seconds, which is more than 40, so no third round
            assert row["seconds"][who] == pytest.approx(expected(duration, 2 if who == "PyTorch" else 3)), who
        assert row["agreement"] == (3e-6 if torch_is_there else None)
        assert f" {name} (first losses agree to 3e-06)" in lines or (not torch_is_there and f" {name}" in lines)
    memory = {name: row["memory_gib"] for name, row in result["rows"].items()}
    none = dict.fromkeys(theirs)
    known = {"ptbxl": {"PyTorch": 4.0, "PyTorch fft": 6.0}, "listops": {"PyTorch": 4.0}}
    known = known if torch_is_there else {"ptbxl": {}, "listops": {}}
    assert memory == {"ptbxl": {"ours": 3.0} | none | known["ptbxl"], "listops": {"ours": None} | none | known["listops"]}
    check_table(lines, result["rows"]["ptbxl"]["seconds"], ("ours",))
    ratios = {f"{name}: a step here over its matrix products alone": 4.0 for name in result["rows"]}
    if torch_is_there:
        for name in result["rows"]:
            ratios[f"{name}: a step in PyTorch eager over one here"] = (40.0 + TICK) / (0.4 + TICK)
            ratios[f"{name}: the fastest step in PyTorch (PyTorch fft) over one here"] = 3.0
        ratios["ptbxl: peak memory here over that of PyTorch"] = 0.75
        ratios["ptbxl: peak memory here over that of PyTorch fft"] = 0.5
    assert figures_of(lines) == pytest.approx(ratios, abs=0.03)
    assert ("  peak memory of the step: 3.00 GiB, PyTorch 4.00 GiB, PyTorch fft 6.00 GiB" in lines) is torch_is_there
    assert ("  timed steps: 3, but PyTorch 2" in lines) is torch_is_there


def test_formulations_are_chosen(monkeypatch):
    """All or those named, none without PyTorch; --quick leaves out what has to be compiled."""
    monkeypatch.setattr(step, "find_spec", lambda name: True)
    args = Namespace(quick=False)
    assert step.formulations_for(args) == list(FORMS)
    assert step.formulations_for(Namespace(quick=True)) == ["torch", "torch-fft"]
    args.against = ["torch-fft-compiled"]
    assert step.formulations_for(args) == ["torch-fft-compiled"]
    monkeypatch.setattr(step, "find_spec", lambda name: None)
    assert step.formulations_for(args) == []


@pytest.mark.parametrize("where", ["check_losses", "step"])
def test_a_network_that_cannot_be_compiled_is_left_out(monkeypatch, capsys, where):
    """With a line that says why; but an eager network must run, and losses that differ end the benchmark."""

    def fail(*args):
        raise RuntimeError("no compiler\nand more")

    names = ["torch", "torch-fft-compiled"]
    monkeypatch.setattr(step, "first_loss", lambda *args: 1.0)
    checks = lambda network, task, batch, name, ours: fail() if where == "check_losses" and "compiled" in name else 1e-7  # noqa: E731
    monkeypatch.setattr(step, "check_losses", checks)
    monkeypatch.setattr(step, "torch_step", lambda *args, formulation: fail)
    steps, agreement = step.torch_steps(None, None, None, names)
    assert (list(steps), agreement) == (["PyTorch"], 1e-7)
    assert capsys.readouterr().out == "  PyTorch fft, compiled is left out: RuntimeError: no compiler\n"
    monkeypatch.setattr(step, "check_losses", fail)
    with pytest.raises(RuntimeError, match="no compiler"):
        step.torch_steps(None, None, None, ["torch"])

    def differ(*args):
        raise ValueError("the first losses differ")

    monkeypatch.setattr(step, "check_losses", differ)
    with pytest.raises(ValueError, match="the first losses differ"):
        step.torch_steps(None, None, None, ["torch-fft-compiled"])


def test_the_defaults_of_step_and_its_quick_size(monkeypatch, bench):
    """Three settings of two layers; quick ones are narrow, take four sequences, and no process of their own."""
    seen = []

    def our_step(network, task, batch):
        seen.append((task.name, network.n_layers, network.d_model, len(batch.x), task.training.batch_size))
        return lambda: None

    monkeypatch.setattr(subprocess, "run", lambda command, **options: pytest.fail("no process is wanted"))
    monkeypatch.setattr(step, "find_spec", lambda name: None)
    monkeypatch.setattr(step, "our_step", our_step)
    monkeypatch.setattr(step, "matrix_products", lambda network, B: lambda: seen.append((network.d_model, B)))
    result, _ = bench("step", "--quick", "--repeats", "1")
    assert seen[::3] == [(name, 2, 32, 4, 4) for name in ("scifar10", "listops", "ptbxl")]
    assert set(seen[1::3]) == set(seen[2::3]) == {(32, 4)}
    assert [row["memory_gib"] for row in result["rows"].values()] == [{"ours": None}] * 3


def test_the_matrix_products_are_those_of_the_step(monkeypatch):
    """Of each layer and sequence: u = W x [2D, L], and the gradients of x and W: 3 products of 2 (2D) D L operations."""
    from multires_ref import NetworkConfig

    right, operations = np.matmul, []

    def matmul(a, b, out):
        operations.append(2 * a.shape[-2] * a.shape[-1] * b.shape[-1] * len(out))
        assert right(a, b).shape == out.shape
        return right(a, b, out=out)

    run = step.matrix_products(NetworkConfig(1, 2, d_model=6, n_layers=3, max_length=10), 4)
    monkeypatch.setattr(np, "matmul", matmul)
    run()
    assert operations == [4 * 2 * 12 * 6 * 10] * (3 * 3)


def test_all_parts_are_measured_one_after_the_other(monkeypatch, tmp_path, capsys):
    """`bench` and `bench all` measure every part, with the threads asked for, even after a part that sets its own."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen = []

    def measure(name, right):
        @wraps(right)  # whose docstring is the text of --help
        def measured(args):
            seen.append((name, num_threads(), args.repeats, args.quick))
            if name == "busy":
                with threads(1):
                    assert num_threads() == 1
            return {"rows": {name: expected(1.0, 3)}}

        return measured

    parts = {
        "operator": operator,
        "step": step,
        "small": small,
        "busy": busy,
        "scaling": operator,
        "pyramid": operator,
        "swt": swt,
        "startup": processes,
        "memories": memories,
    }
    for name, module in parts.items():
        monkeypatch.setattr(module, f"measure_{name}", measure(name, getattr(module, f"measure_{name}")))
        monkeypatch.setattr(module, f"{name}_lines", lambda result: [f"lines of {next(iter(result['rows']))}"])
    monkeypatch.setattr("multires_ref.commands.bench.chart", lambda results, path: path.write_text(" ".join(results)))
    out = str(tmp_path / "out")
    assert main(["bench", "all", "--threads", "3", "--repeats", "2", "--out", out]) == 0
    assert seen == [(name, 3, 2, False) for name in parts]
    assert json.loads((tmp_path / "out/bench.json").read_text())["machine"]["threads"] == 3
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("lines")] == [f"lines of {name}" for name in parts]
    assert " 3 threads;" in printed
    monkeypatch.chdir(tmp_path)
    seen.clear()
    assert main(["bench"]) == 0
    assert seen == [(name, 8, 7, False) for name in parts]
    assert [path.name for path in tmp_path.glob("runs/bench-*/*")] != []


def test_memories(clock, bench, monkeypatch):
    """Each memory at its own duration, by NumPy and compiled; operations beside it; and the drift is measured."""
    right, names = memories.call_of, list(memories.NAMES)
    monkeypatch.setattr(memories, "ways", lambda: ("NumPy", "compiled"))

    def call_of(memory, x, way):
        assert x.shape == (8, 60)
        call = right(memory, x, "NumPy")
        return clock.takes((1 + names.index(memory.name)) * (0.3 if way == "NumPy" else 0.01), call)

    monkeypatch.setattr(memories, "call_of", call_of)
    streamed = []
    monkeypatch.setattr(
        memories, "measure_drift", lambda n: streamed.append(n) or [memories.DriftRecord("a", "A", 3, n, 0, 1, 2)]
    )
    result, lines = bench("memories", "--quick", "--repeats", "2")
    assert streamed == [10_000]
    assert result["drift"][0]["steps"] == 10_000
    assert [row["memory"] for row in result["rows"]] == names
    for n, row in enumerate(result["rows"], start=1):
        assert row["NumPy"] == pytest.approx(expected(0.3 * n, 2))
        assert row["compiled"] == pytest.approx(expected(0.01 * n, 2))
        assert row["agreement"] < 1e-12
    legt = next(line for line in lines if line.strip().startswith("LegT"))
    assert legt.split()[2:4] == ["210", "10"]
    each = 8 * 60
    median = result["rows"][names.index("legt")]["NumPy"]["median"]
    assert legt.split()[4] == f"{1e9 * median / each:,.1f}"
    assert legt.split()[6] == f"{median / result['rows'][names.index('last')]['NumPy']['median']:.2f}x"


def test_memories_that_disagree_with_their_matrices_are_not_timed(tmp_path, capsys, monkeypatch):
    from multires_ref.memories.legt import LegTMemory

    right = LegTMemory.matrix
    monkeypatch.setattr(LegTMemory, "matrix", lambda self, length=None, n=None: right(self, length) * 1.001)
    assert main(["bench", "memories", "--quick", "--repeats", "1", "--out", str(tmp_path / "there")]) == 2
    assert "LegT (LMU) and its matrix disagree" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()
