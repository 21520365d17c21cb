"""`bench gpu` on the stand-in for CuPy with a clock of our own: every figure it prints and writes is recomputed."""

import argparse
import json
import sys
import types
from dataclasses import replace

import fake_cupy
import numpy as np
import pytest
from cases import plant_engine
from clock import TICK, Clock

from multires_ref import Model, NetworkConfig, multires_conv
from multires_ref.bench import gpu, implementations
from multires_ref.cli import main
from multires_ref.tasks import get_task


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def cupy(monkeypatch):
    """The stand-in, whose layer is computed by the tree engine on the CPU."""
    with fake_cupy.installed(monkeypatch) as module:
        host = lambda arrays: [a.get() for a in arrays]  # noqa: E731

        def forward(x, *rest):
            *params, taps = rest
            return module.asarray(multires_conv(*host((x, *params)), engine="tree"))

        def backward(g, x, *rest):
            *params, taps = rest
            return [module.asarray(d) for d in implementations.ours(tuple(host((x, *params))), g.get(), "tree").both()[1]]

        plant_engine(monkeypatch, "gpu", forward=forward, backward=backward)
        yield module


def parsed(*words):
    parser = argparse.ArgumentParser()
    gpu.add_arguments(parser)
    return parser.parse_args(words)


SMALL = ("--batch", "2", "--width", "3", "--lengths", "64", "--kernel-sizes", "2", "--rounds", "3")


def slowed(clock, seconds, function):
    """The function, every call of which takes so long."""

    def timed(*args):
        clock.now += seconds
        return function(*args)

    return timed


def test_milliseconds_are_those_of_one_call_and_implementations_take_turns(cupy, clock):
    calls = []
    durations = {"a": iter([9.0] * 4 + [1.0] * 4 + [3.0] * 4), "b": iter([9.0] * 4 + [2.0] * 4 + [5.0] * 4)}

    def call(name):
        calls.append(name)
        clock.now += next(durations[name])

    times = gpu.milliseconds({name: lambda name=name: call(name) for name in durations}, rounds=2, in_a_row=4)
    assert calls == [*"aaaabbbb"] * 3  # the first round warms up
    tick = 1e3 * TICK / 4
    wanted = {"a": [1500, 2000, 2500], "b": [2750, 3500, 4250]}  # the quartiles of two rounds
    assert times == {name: pytest.approx([ms + tick for ms in three]) for name, three in wanted.items()}


def test_the_limits_are_bytes_read_and_written_and_operations_a_second(cupy, clock, monkeypatch):
    """A copy of 2 x 3 x 1024 numbers in half a second, a product of two 4096 x 4096 matrices in a quarter of one."""
    ten = [9.0] * 10 + [0.5] * 10 + [1.0] * 10 + [3.0] * 10  # a round to warm up, and three whose median counts
    rounds = {name: iter(ten) for name in ("copy", "product")}
    made = types.SimpleNamespace(cuda=cupy.cuda)
    made.zeros = lambda shape, dtype: np.zeros(shape, dtype)
    made.ones = lambda shape, dtype: np.broadcast_to(np.ones((), dtype), shape)
    made.empty_like = lambda a: np.broadcast_to(np.empty((), a.dtype), a.shape)

    def copyto(target, a):
        assert target.shape == a.shape == (2, 3, 1024)
        assert target.dtype == a.dtype == np.float32
        clock.now += 0.5 * next(rounds["copy"])

    def matmul(a, b, out):
        assert a.shape == b.shape == out.shape == (4096, 4096)
        assert a.dtype == np.float32
        clock.now += 0.25 * next(rounds["product"])

    made.copyto, made.matmul = copyto, matmul
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cupy", made)
        limits = gpu.limits(parsed(*SMALL))
    assert limits == pytest.approx({"bytes_per_second": 2 * 4 * 2 * 3 * 1024 / 0.5, "flops": 2 * 4096**3 / 0.25}, rel=1e-3)


def test_a_layer_s_rows(cupy, clock, monkeypatch):
    """Forward takes 0.1 s, backward 0.3 s, PyTorch twice that: milliseconds, bytes, and what is printed."""
    from multires_ref.engines import ENGINES

    for part, seconds in (("forward", 0.1), ("backward", 0.3)):
        plant_engine(monkeypatch, "gpu", **{part: slowed(clock, seconds, getattr(ENGINES["gpu"], part))})

    def torch_layers(config, conv, x, g, compiled):
        assert compiled
        here = gpu.our_layer(config, conv, x, g)

        def slower(call):
            def calls():
                result = call()
                clock.now += 0.1 if call is here["forward"] else 0.4
                return result

            return calls

        return {"PyTorch": {part: slower(call) for part, call in here.items()}}

    monkeypatch.setattr(gpu, "torch_layers", torch_layers)
    rows = gpu.measure_layer(parsed(*SMALL), 2048, 4)
    assert [(row["part"], row["who"]) for row in rows] == [
        ("forward", "here"),
        ("forward", "PyTorch"),
        ("both", "here"),
        ("both", "PyTorch"),
    ]
    assert {(row["B"], row["L"], row["K"], row["J"]) for row in rows} == {(1, 2048, 4, 10)}  # 3 (2^10 - 1) + 1 samples
    array = 4 * 3 * 2048
    assert [row["bytes"] / array for row in rows] == [2, 2, 5, 5]
    for row, seconds in zip(rows, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert row["ms"] == pytest.approx([1e3 * seconds + 1e3 * TICK / 10] * 3)
    lines = "\n".join(gpu.layer_lines(rows, {"bytes_per_second": 40 * array})).splitlines()
    assert lines[0] == "B = 1, L = 2048, K = 4, J = 10, forward: here 50% of the copy bandwidth"
    assert lines[4] == "B = 1, L = 2048, K = 4, J = 10, forward and backward: here 31% of the copy bandwidth"
    assert [line.split()[-5:] for line in lines[6:8]] == [
        ["400.049", "400.049", "to", "400.049", "1.00x"],
        ["800.049", "800.049", "to", "800.049", "2.00x"],
    ]


def test_the_share_of_the_bandwidth_is_of_the_median_here():
    rows = [
        {"part": part, "who": who, "B": 1, "L": 2, "K": 3, "J": 4, "bytes": size, "ms": [ms / 2, ms, 4 * ms]}
        for part, size, times in (("forward", 1e6, (10.0, 20.0)), ("both", 5e6, (40.0, 80.0)))
        for who, ms in zip(("here", "PyTorch"), times, strict=True)
    ]
    lines = "\n".join(gpu.layer_lines(rows, {"bytes_per_second": 2e8})).splitlines()
    assert lines[0].endswith("forward: here 50% of the copy bandwidth")
    assert lines[4].endswith("forward and backward: here 62% of the copy bandwidth")


def test_a_table_names_the_quartiles_and_compares_with_the_first_row():
    rows = [{"who": "here", "ms": [1.0, 2.0, 4.0]}, {"who": "PyTorch", "ms": [3.0, 5.0, 6.0]}]
    lines = gpu.rows_under("a title", rows).splitlines()
    assert lines[0] == "a title"
    assert [line.split() for line in lines[2:]] == [
        ["here", "2.000", "1.000", "to", "4.000", "1.00x"],
        ["PyTorch", "5.000", "3.000", "to", "6.000", "2.50x"],
    ]


@pytest.mark.parametrize("part", ["forward", "backward"])
@pytest.mark.parametrize("mistake", ["a percent", "NaN", "the last sequence of another implementation"])
def test_nothing_is_timed_where_the_layer_is_wrong(cupy, monkeypatch, part, mistake):
    """The engine is compared with the tree on the CPU even where there is no PyTorch, and PyTorch with the engine."""
    from multires_ref.engines import ENGINES

    def spoilt(array):
        array = array.get()
        array[-1 if mistake.startswith("the") else 0] *= np.nan if mistake == "NaN" else 1.01
        return cupy.asarray(array)

    words = (*SMALL[:1], "16" if mistake.startswith("the") else "1", *SMALL[2:])
    words += () if mistake.startswith("the") else ("--no-torch",)
    timed = []
    monkeypatch.setattr(gpu, "milliseconds", lambda calls, rounds: timed.append(1) or {name: [1.0] * 3 for name in calls})
    if mistake.startswith("the"):
        key = "both" if part == "backward" else "forward"

        def torch_layers(*args):
            here = gpu.our_layer(*args[:-1])
            return {"PyTorch": here | {key: lambda: spoilt(here[key]())}}

        monkeypatch.setattr(gpu, "torch_layers", torch_layers)
    elif part == "forward":
        right = ENGINES["gpu"].forward
        plant_engine(monkeypatch, "gpu", forward=lambda *args: spoilt(right(*args)))
    else:
        right = ENGINES["gpu"].backward
        plant_engine(monkeypatch, "gpu", backward=lambda *args: [spoilt(d) for d in right(*args)])
    who = "PyTorch" if mistake.startswith("the") else "here"
    with pytest.raises(ValueError, match=f"{who} and .* disagree"):
        gpu.measure_layer(parsed(*words), 1024 if mistake.startswith("the") else 64, 2)
    assert timed == [1] * (part == "backward")  # forward is compared, and timed, first


def test_the_layer_is_seen_to_agree(cupy):
    config = NetworkConfig(1, 2, d_model=3, n_layers=1, kernel_size=2, max_length=32)
    conv = Model.init(config, np.random.default_rng(0)).params["blocks"][0]["conv"]
    x, g = np.random.default_rng(1).standard_normal((2, 2, 3, 32)).astype(np.float32)
    here, exact = gpu.our_layer(config, conv, x, g), gpu.first_sequence(conv, x, g)
    for part in ("forward", "both"):
        gpu.check_outputs({"here": here[part]}, exact[part])


@pytest.mark.parametrize("words", [(), ("--no-step",), ("--no-torch", "--no-compile", "--task", "digits")])
def test_the_command(cupy, monkeypatch, capsys, tmp_path, words):
    """Every length with every number of taps, then the step, unless it is not wanted; the same numbers in the file."""
    asked = []

    def row(seconds, **more):
        return {"who": "here", "ms": [1e3 * seconds] * 3, "bytes": 1e9} | more

    def measure_layer(args, L, K):
        asked.append((L, K, args.no_torch, args.no_compile))
        return [row(L / K, B=1, L=L, K=K, J=3, part=part) for part in ("forward", "both")]

    def measure_step(args):
        asked.append(args.task)
        return [row(5.0)]

    monkeypatch.setattr("multires_ref.training.device.check_device", lambda device: asked.append(device))
    monkeypatch.setattr("multires_ref.bench.gpu_info.gpu_report", lambda: ["a device"])
    monkeypatch.setattr(gpu, "limits", lambda args: {"bytes_per_second": 3e9, "flops": 7e12})
    monkeypatch.setattr(gpu, "measure_layer", measure_layer)
    monkeypatch.setattr(gpu, "measure_step", measure_step)
    out = tmp_path / "gpu.json"
    assert main(["bench", "gpu", "--lengths", "64", "128", "--kernel-sizes", "2", "4", *words, "--out", str(out)]) == 0
    flags = ("--no-torch" in words, "--no-compile" in words)
    shapes = [(L, K, *flags) for L in (64, 128) for K in (2, 4)]
    task = "digits" if words[-1:] == ("digits",) else "scifar10"
    assert asked == ["gpu", *shapes, *([] if words == ("--no-step",) else [task])]
    printed = capsys.readouterr().out
    assert printed.splitlines()[:2] == ["a device", "copy 3 GB/s, float32 product 7.0 TFLOP/s"]
    assert "B = 1, L = 128, K = 2, J = 3, forward: here 1% of the copy bandwidth" in printed
    assert (f"training step of {task}" in printed) is (words != ("--no-step",))
    results = json.loads(out.read_text())
    assert [(r["L"], r["K"], r["part"]) for r in results["layer"]] == [
        (L, K, p) for L, K, *_ in shapes for p in ("forward", "both")
    ]
    assert results["limits"] == {"bytes_per_second": 3e9, "flops": 7e12}
    assert ("step" in results) is (words != ("--no-step",))


def test_device_gpu_is_the_same_as_bench_gpu(monkeypatch):
    """`bench --device gpu` runs the benchmark of the GPU with its own defaults."""
    seen = []
    monkeypatch.setattr(gpu, "run", lambda args: seen.append(args) or 0)
    assert main(["bench", "--device", "gpu"]) == 0
    (args,) = seen
    assert (args.batch, args.width, args.rounds, args.task) == (64, 256, 15, "scifar10")
    assert (args.lengths, args.kernel_sizes) == ([1024, 2048, 4096, 16384], [2, 4])
    assert not any((args.no_torch, args.no_compile, args.no_step, args.out))


def test_the_step_is_the_one_that_training_takes(cupy, clock, monkeypatch):
    """Parameters, state, moments and batch lie on the device; the state of one step goes into the next; three calls a round."""
    digits = get_task("digits")
    tiny = replace(digits, network=replace(digits.network, n_layers=1, d_model=4, norm="batch"))
    monkeypatch.setattr("multires_ref.tasks.get_task", lambda name: {"digits": tiny}[name])
    states, first = [], []

    def train_step(network, params, state, moments, batch, lr, rng, objective, training):
        assert network is tiny.network
        assert (lr, training) == (tiny.training.lr, tiny.training)
        assert isinstance(params["decoder"]["weight"], cupy.ndarray)
        assert isinstance(batch.x, cupy.ndarray)
        assert batch.x.shape == (50, 1, 64)
        assert objective.name == "classification"
        first[:] = first or [params, moments]
        assert params is first[0]
        assert moments is first[1]
        states.append(state)
        clock.now += 2.0
        return 7.0 + len(states), [len(states)]

    monkeypatch.setattr("multires_ref.training.step.train_step", train_step)

    def torch_steps(task, batch, compiled):
        assert (task, batch.x.shape, compiled) == (tiny, (50, 1, 64), False)

        def step():
            clock.now += 5.0
            return 9.0

        return {"PyTorch": step}

    monkeypatch.setattr(gpu, "torch_steps", torch_steps)
    rows = gpu.measure_step(parsed("--task", "digits", "--rounds", "2", "--no-compile"))
    assert [(row["who"], row["first_loss"]) for row in rows] == [("here", 8.0), ("PyTorch", 9.0)]
    assert [row["ms"][1] for row in rows] == pytest.approx([2e3, 5e3], rel=1e-3)
    assert states[1:] == [[n] for n in range(1, 10)]  # one step for the loss, and three rounds of three calls
    first.clear()
    alone = gpu.measure_step(parsed("--task", "digits", "--rounds", "1", "--no-torch"))
    assert [row["who"] for row in alone] == ["here"]
