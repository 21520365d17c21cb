"""The layer and a whole training step on a GPU: here, and in PyTorch as the authors write it, eager and compiled.

All implementations run in one process on one GPU, take turns, and are timed by CUDA events; medians and quartiles are reported.
What the GPU can do at best is measured in the same run: the copy bandwidth (bytes that a copy of the layer's input reads and
writes) and the matrix rate (a float32 product). The precision is the same everywhere: TF32 is off. Before anything is timed, the
layer's results are compared with each other, and for one sequence with the tree engine in float64 on the CPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..network import NetworkConfig
from ..tasks import TASKS
from ..tasks.task import Task
from ..training.data import Split
from .implementations import ours
from .timing import alternate, check_agreement, quartiles, table
from .training_step import our_step, random_batch, torch_step

Calls = dict[str, Callable[[], Any]]
TOLERANCE = 1e-4  # of the norm, float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    task = f"whose training step is timed (default: scifar10): {', '.join(TASKS)}"
    parser.add_argument("--batch", type=int, default=64, help="sequences, at 1024 time steps; fewer where longer (default: 64)")
    parser.add_argument("--width", type=int, default=256, help="channels (default: 256)")
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        default=[1024, 2048, 4096, 16384],
        help="time steps of the layer's input (default: 1024, 2048, 4096 and 16384)",
    )
    parser.add_argument("--kernel-sizes", type=int, nargs="+", default=[2, 4], help="filter taps (default: 2 and 4)")
    parser.add_argument("--task", choices=TASKS, metavar="TASK", default="scifar10", help=task)
    parser.add_argument("--rounds", type=int, default=15, help="how often everything is timed (default: 15)")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out even where it is installed")
    parser.add_argument("--no-step", action="store_true", help="time the layer alone, no training step")
    parser.add_argument("--out", metavar="FILE", help="write the numbers here, as JSON (default: nowhere)")


def run(args: argparse.Namespace) -> int:
    """Measure, print tables, write JSON."""
    from ..base.files import write_json
    from ..training.device import check_device
    from .gpu_info import gpu_report

    check_device("gpu")
    print("\n".join(gpu_report()))
    results: dict[str, Any] = {"machine": gpu_report(), "limits": limits(args), "layer": []}
    bandwidth, rate = results["limits"]["bytes_per_second"], results["limits"]["flops"]
    print(f"copy {bandwidth / 1e9:.0f} GB/s, float32 product {rate / 1e12:.1f} TFLOP/s")
    for L in args.lengths:
        for K in args.kernel_sizes:
            rows = measure_layer(args, L, K)
            results["layer"] += rows
            print("\n".join(layer_lines(rows, results["limits"])), flush=True)
    if not args.no_step:
        results["step"] = measure_step(args)
        print(rows_under(f"training step of {args.task}", results["step"]))
    if args.out:
        write_json(Path(args.out), results)
    return 0


def milliseconds(calls: Calls, rounds: int, in_a_row: int = 10) -> dict[str, list[float]]:
    """Quartiles of the time of one call of each, by CUDA events around `in_a_row` calls."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()

    def seconds_of(call: Callable[[], Any]) -> float:
        begin.record()
        for _ in range(in_a_row):
            call()
        end.record()
        end.synchronize()
        return cupy.cuda.get_elapsed_time(begin, end) / 1e3 / in_a_row

    return {name: [1e3 * q for q in quartiles(seconds)] for name, seconds in alternate(calls, rounds, seconds_of).items()}


def limits(args: argparse.Namespace) -> dict[str, float]:
    """What the GPU can do at best: bytes a second of a copy, operations a second of a float32 matrix product."""
    import cupy

    n = 4096
    a = cupy.zeros((args.batch, args.width, 1024), dtype="float32")
    b, square = cupy.empty_like(a), cupy.ones((n, n), dtype="float32")
    product = cupy.empty_like(square)
    calls = {"copy": lambda: cupy.copyto(b, a), "product": lambda: cupy.matmul(square, square, out=product)}
    times = {name: median / 1e3 for name, (_, median, _) in milliseconds(calls, args.rounds).items()}
    return {"bytes_per_second": 2 * a.nbytes / times["copy"], "flops": 2 * n**3 / times["product"]}


def measure_layer(args: argparse.Namespace, L: int, K: int) -> list[dict[str, Any]]:
    """Forward, and forward with backward, of one layer: a row for each implementation."""
    from ..network import Model, NetworkConfig

    config = NetworkConfig(1, 2, d_model=args.width, n_layers=1, kernel_size=K, max_length=L)
    conv = Model.init(config, np.random.default_rng(0)).params["blocks"][0]["conv"]
    B = max(1, args.batch * 1024 // L)
    arrays = np.random.default_rng(1).standard_normal((2, B, args.width, L)).astype(np.float32)  # x and g
    here = our_layer(config, conv, *arrays)
    theirs = {} if args.no_torch else torch_layers(config, conv, *arrays, not args.no_compile)
    exact = first_sequence(conv, *arrays)
    rows = []
    for part in ("forward", "both"):
        calls = {"here": here[part]} | {name: layer[part] for name, layer in theirs.items()}
        check_outputs(calls, exact[part])
        for name, times in milliseconds(calls, args.rounds).items():
            rows.append({"B": B, "L": L, "K": K, "J": config.J, "part": part, "who": name, "ms": times})
            rows[-1]["bytes"] = arrays[0].nbytes * (2 if part == "forward" else 5)  # x, y; then g, x again and dx
    return rows


def our_layer(config: NetworkConfig, conv: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> Calls:
    """The GPU engine on arrays that are on the GPU; `both` gives dx."""
    import cupy

    from ..engines import get_engine
    from ..tree import kept_per_level

    gpu, kept = get_engine("gpu"), kept_per_level(config.J, config.kernel_size)
    x, g, *params = (cupy.asarray(a) for a in (x, g, *(conv[name] for name in ("h0", "h1", "w", "w_skip"))))

    def both() -> Any:
        gpu.forward(x, *params, kept)
        return gpu.backward(g, x, *params, kept)[0]

    return {"forward": lambda: gpu.forward(x, *params, kept), "both": both}


def torch_layers(
    config: NetworkConfig, conv: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray, compiled: bool
) -> dict[str, Calls]:
    """The authors' formulation in PyTorch: pads and dilated depthwise convolutions; eager, and compiled."""
    from ..authors.torch_model import MultiresLayer, torch

    equal_precision(torch)
    layer = MultiresLayer(config).cuda()
    with torch.no_grad():
        for name in ("h0", "h1"):
            getattr(layer, name)[:, 0] = torch.from_numpy(conv[name][:, ::-1].copy())
        layer.w[:] = torch.from_numpy(np.concatenate([conv["w"], conv["w_skip"][:, None]], axis=1))
    x, g = torch.from_numpy(x).cuda().requires_grad_(), torch.from_numpy(g).cuda()

    def calls(function: Callable) -> Calls:
        def forward() -> Any:
            with torch.no_grad():
                return function(x)

        def both() -> Any:
            layer.zero_grad()
            return torch.autograd.grad(function(x), [x, *layer.parameters()], g)[0]

        return {"forward": forward, "both": both}

    layers = {"PyTorch": calls(layer.conv)}
    return layers | ({"PyTorch, compiled": calls(torch.compile(layer.conv))} if compiled else {})


def equal_precision(torch: Any) -> None:
    """float32 products and convolutions in float32: no TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def first_sequence(conv: dict[str, np.ndarray], x: np.ndarray, g: np.ndarray) -> dict[str, np.ndarray]:
    """y and dx of the batch's first sequence, by the tree engine in float64 on the CPU."""
    params = [conv[name] for name in ("h0", "h1", "w", "w_skip")]
    x, g, *params = (a.astype(np.float64) for a in (x[:1], g[:1], *params))
    y, gradients = ours((x, *params), g, "tree").both()
    return {"forward": y, "both": gradients[0]}


def check_outputs(calls: Calls, exact: np.ndarray) -> None:
    """All give the same array, and its first sequence is the exact one; this also compiles what is to be compiled."""
    here = to_host(calls["here"]())
    for name, call in calls.items():
        array = to_host(call())
        check_agreement(name, array, "the engine here", here, TOLERANCE)
        check_agreement(name, array[:1], "the tree in float64", exact, TOLERANCE)


def to_host(array: Any) -> np.ndarray:
    """A CuPy array or PyTorch tensor as NumPy."""
    return array.get() if hasattr(array, "get") else array.detach().cpu().numpy()


def measure_step(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each implementation of the training step: the batch is on the GPU, and no step waits for its loss."""
    from ..tasks import get_task

    task = get_task(args.task)
    batch = random_batch(task.network, task)
    calls = {"here": our_step(task.network, task, batch, "gpu")}
    if not args.no_torch:
        calls |= torch_steps(task, batch, not args.no_compile)
    first = {name: float(call()) for name, call in calls.items()}  # of the same size, though from other random parameters
    rows = milliseconds(calls, args.rounds, in_a_row=3)
    return [{"who": name, "ms": times, "first_loss": first[name]} for name, times in rows.items()]


def torch_steps(task: Task, batch: Split, compiled: bool) -> Calls:
    """The step in PyTorch; eager, and with a compiled network."""
    from ..authors.torch_model import torch

    equal_precision(torch)
    steps = {"PyTorch": torch_step(task.network, task, batch, "gpu")}
    return steps | ({"PyTorch, compiled": torch_step(task.network, task, batch, "gpu", "torch-compiled")} if compiled else {})


def layer_lines(rows: list[dict[str, Any]], limit: dict[str, float]) -> list[str]:
    """The tables of one shape, with the part of the copy bandwidth reached here."""
    tables = []
    for part in ("forward", "both"):
        of_part = [row for row in rows if row["part"] == part]
        B, L, K, J = (of_part[0][name] for name in "BLKJ")
        share = of_part[0]["bytes"] / (of_part[0]["ms"][1] / 1e3) / limit["bytes_per_second"]
        title = f"B = {B}, L = {L}, K = {K}, J = {J}, {'forward' if part == 'forward' else 'forward and backward'}"
        tables.append(rows_under(f"{title}: here {share:.0%} of the copy bandwidth", of_part))
    return tables


def rows_under(title: str, rows: list[dict[str, Any]]) -> str:
    """A table of milliseconds, and of how many times as long as here."""
    seconds = {
        row["who"]: {name: ms / 1e3 for name, ms in zip(("low", "median", "high"), row["ms"], strict=True)} for row in rows
    }
    return f"{title}\n{table(seconds, {'/ here': 'here'}, digits=3)}"
