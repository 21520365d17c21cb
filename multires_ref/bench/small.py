"""The part `small`: training steps of small networks and inference of one example, with every number of threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..base.tables import text_table
from ..base.threads import num_threads
from ..network import Model, NetworkConfig
from ..tasks.task import Task
from ..training.data import Split
from .formulations import FORMULATIONS, forget_compiled
from .step import matrix_products, torch_steps, with_batch
from .threaded import Case, thread_numbers, time_cases
from .timing import check_agreement, ratio_line, threads
from .training_step import our_step, random_batch

BATCHES = {"digits": 50, "mnist1d": 100}  # sequences of a step
LONG = 0.2  # seconds of one measurement
MODEL, STREAM, THEIRS = "Model(x)", "Stream.step", "PyTorch"
ALONE, PRODUCTS = "ours, batch of 1", "matrix products"
AGREE = 1e-4  # of the norm, float32

Calls = dict[str, dict[int, Callable[[], Any]]]  # {who: {number of threads: what is called}}


def measure_small(args: argparse.Namespace) -> dict[str, Any]:
    """Training steps of the small networks, digits and mnist1d, against PyTorch; and inference of one example.

    The networks and optimisers are the tasks' own, with batches of 50 and of 100 random sequences. PyTorch runs the authors'
    network, eager and under torch.compile (which --quick leaves out). Everything is timed with every number of threads; each
    side's best number counts in the ratios, and the tables show all. Losses, and the outputs of the one example, are compared
    first.

    Two rows show what a step cannot go below: its matrix products alone, and the same step with a batch of 1, in which nearly all
    of the time is that of Python and of starting operations. "Stream.step" takes one sample of one series through the digits
    network. Takes about three minutes with PyTorch.
    """
    counts = thread_numbers(num_threads())
    rows = {name: one_task(name, counts, args) for name in BATCHES}
    return {"threads": counts, "rows": rows, "inference": inference(counts, args)}


def one_task(name: str, counts: list[int], args: argparse.Namespace) -> dict[str, Any]:
    """One task's step: its shape, the difference of the first losses, and seconds."""
    task, network = small_setting(name, args.quick)
    B, batch, alone = BATCHES[name], random_batch(network, task), with_batch(task, 1)
    theirs, agreement = torch_calls(network, task, batch, counts, args.quick)
    calls = {"ours": dict.fromkeys(counts, our_step(network, task, batch))} | theirs
    calls[ALONE] = dict.fromkeys(counts, our_step(network, alone, random_batch(network, alone)))
    calls[PRODUCTS] = dict.fromkeys(counts, matrix_products(network, B))
    shape = {"B": B, "L": network.max_length, "D": network.d_model, "layers": network.n_layers}
    return {"shape": shape, "agreement": agreement} | timed(calls, args)


def small_setting(name: str, quick: bool) -> tuple[Task, NetworkConfig]:
    """The task with its batch here, and its network; quick: a narrow one."""
    from ..tasks import get_task

    task = with_batch(get_task(name), BATCHES[name])
    return task, replace(task.network, d_model=8) if quick else task.network


def torch_calls(network: NetworkConfig, task: Task, batch: Split, counts: list[int], quick: bool) -> tuple[Calls, float | None]:
    """PyTorch's steps, a network for each number of threads, since compiled code is made for one number; and the difference."""
    names = [name for name in ("torch", "torch-compiled") if find_spec("torch") and not (quick and FORMULATIONS[name].compiled)]
    calls: Calls = {}
    differences = []
    for n in counts:
        with threads(n):
            steps, difference = torch_steps(network, task, batch, names)
        forget_compiled()
        differences += [] if difference is None else [difference]
        for who, step in steps.items():
            calls.setdefault(who, {})[n] = step
    return calls, max(differences, default=None)


def timed(calls: Calls, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of all: {"by_threads": {who: {n: summary}}, "best": {who: n}, "seconds": {who: summary with its best n}}."""
    cases = [Case(who, call, n) for who, by_count in calls.items() for n, call in by_count.items()]
    times = time_cases(cases, args.repeats, 0.0 if args.quick else LONG)
    by_threads = {who: {str(case.threads): row for case, row in times.items() if case.who == who} for who in calls}
    best = {who: min(rows, key=lambda n: rows[n]["median"]) for who, rows in by_threads.items()}
    return {"by_threads": by_threads, "best": best, "seconds": {who: by_threads[who][n] for who, n in best.items()}}


def inference(counts: list[int], args: argparse.Namespace) -> dict[str, Any]:
    """One example [1, 1, 64] through the digits network, as a whole and sample by sample."""
    from ..network.streaming import Stream

    network = small_setting("digits", args.quick)[1]
    model = Model.init(network, np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((1, 1, network.max_length)).astype(np.float32)
    stream = Stream(model)
    calls = {MODEL: partial(model, x), STREAM: partial(stream.step, x[:, :, 0])}
    if find_spec("torch"):
        calls[THEIRS] = torch_inference(model, x)
    agreement = check_outputs(model, x, calls.get(THEIRS))
    return {"shape": list(x.shape), "agreement": agreement} | timed(
        {who: dict.fromkeys(counts, f) for who, f in calls.items()}, args
    )


def torch_inference(model: Model, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The example through the authors' network in PyTorch eager, without gradients."""
    import torch

    from ..authors.torch_model import to_torch

    module, tensor = to_torch(model), torch.from_numpy(x)

    def forward() -> np.ndarray:
        with torch.inference_mode():
            return module(tensor).numpy()

    return forward


def check_outputs(model: Model, x: np.ndarray, theirs: Callable[[], np.ndarray] | None) -> float:
    """The largest difference of the stream's last output, and of PyTorch's output, from the network's in float64."""
    from ..base.pytrees import map_pytree
    from ..network.streaming import Stream

    exact = Model(model.config, *(map_pytree(lambda a: a.astype(np.float64), tree) for tree in (model.params, model.state)))(
        x.astype(np.float64)
    )
    stream = Stream(model)
    outputs = {"Model": model(x), "the stream": [stream.step(x[:, :, n]).copy() for n in range(x.shape[2])][-1]}
    outputs |= {"PyTorch": theirs()} if theirs else {}
    return max(check_agreement(who, output, "the network in float64", exact, AGREE) for who, output in outputs.items())


def small_lines(result: dict[str, Any]) -> list[str]:
    """A table for each task and one for inference, with every number of threads; and the ratios of the best ones."""
    text = []
    for name, row in result["rows"].items():
        shape = row["shape"]
        size = f"batch {shape['B']}, {shape['L']} steps, width {shape['D']}, {shape['layers']} layers"
        text += [f"small: a training step of {name} ({size}){agreed('first losses', row)}", thread_table(row, 1e3, "ms")]
        text += small_ratios(name, row["seconds"])
    row = result["inference"]
    text += [f"small: inference of the digits network{agreed('outputs', row)}", thread_table(row, 1e6, "microseconds")]
    return text + inference_ratios(row["seconds"])


def agreed(what: str, row: dict[str, Any]) -> str:
    """ "; first losses agree to 1e-07", or nothing where there was nothing to compare."""
    return "" if row["agreement"] is None else f"; {what} agree to {row['agreement']:.0e}"


def thread_table(row: dict[str, Any], scale: float, unit: str) -> str:
    """Medians with each number of threads, the best number, its quartiles, and the best median over the first row's."""
    counts = sorted({int(n) for rows in row["by_threads"].values() for n in rows})
    first = next(iter(row["seconds"].values()))["median"]
    cells = []
    for who, rows in row["by_threads"].items():
        medians = [f"{scale * rows[str(n)]['median']:,.2f}" if str(n) in rows else "" for n in counts]
        best = row["seconds"][who]
        quartiles = f"{scale * best['low']:,.2f} to {scale * best['high']:,.2f}"
        cells.append([who, *medians, row["best"][who], quartiles, f"{best['median'] / first:.2f}x"])
    header = [
        "",
        *(f"{unit}, {n} thread{'s' if n > 1 else ''}" for n in counts),
        "best",
        "(quartiles of the best)",
        "/ first row",
    ]
    return text_table(header, cells, indent="  ")


def small_ratios(name: str, seconds: dict[str, dict[str, Any]]) -> list[str]:
    """PyTorch's steps over ours, and ours over each floor."""
    median = {who: row["median"] for who, row in seconds.items()}
    titles = {"PyTorch": "PyTorch eager", "PyTorch compiled": "PyTorch under torch.compile"}
    text = [
        ratio_line(f"{name}: a step in {title} over one here", median[who] / median["ours"])
        for who, title in titles.items()
        if who in median
    ]
    text.append(ratio_line(f"{name}: a step with a batch of 1 over the whole step", median[ALONE] / median["ours"]))
    return [*text, ratio_line(f"{name}: matrix products alone over the whole step", median[PRODUCTS] / median["ours"])]


def inference_ratios(seconds: dict[str, dict[str, Any]]) -> list[str]:
    """What the goals are about: milliseconds of one example, microseconds of one sample, and PyTorch over the first."""
    text = [
        ratio_line("one example through Model, milliseconds", 1e3 * seconds[MODEL]["median"]),
        ratio_line("one sample through Stream.step, microseconds", 1e6 * seconds[STREAM]["median"]),
    ]
    if THEIRS not in seconds:
        return text
    ratio = seconds[THEIRS]["median"] / seconds[MODEL]["median"]
    return [*text, ratio_line("one example in PyTorch eager over one through Model", ratio)]
