"""The part `step`: a whole training step, ours and PyTorch's in several formulations, its time and its memory."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..network import Model, NetworkConfig
from ..tasks.task import Task
from ..training.data import Split
from .formulations import FORMULATIONS, forget_compiled, formulated
from .timing import alternate, ratio_line, summary, table
from .training_step import in_own_process, our_step, random_batch, torch_loss, torch_step

SETTINGS = ("scifar10", "listops", "ptbxl")
AGAINST = ("torch", "torch-tree-compiled", "torch-fft", "torch-fft-compiled")
AGREE = 1e-5  # relative difference of the first losses, float32: a hundred times that of rounding, less than of any mistake
SECONDS = 60.0  # that the timed steps of one side may take together


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which settings, how many layers, against what, and how long at most."""
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="whose sizes (default: all)")
    parser.add_argument("--layers", type=int, default=2, help="blocks (default: 2)")
    against = f"formulations of the network in PyTorch: {', '.join(AGAINST)} (default: all)"
    parser.add_argument("--against", nargs="+", choices=AGAINST, metavar="NAME", default=list(AGAINST), help=against)
    seconds = f"a side whose timed steps have taken so long leaves out its other rounds (default: {SECONDS})"
    parser.add_argument("--seconds", type=float, default=SECONDS, help=seconds)


def measure_step(args: argparse.Namespace) -> dict[str, Any]:
    """A whole training step at three of the paper's settings, with two layers: ours against PyTorch, time and peak memory.

    Width, kernel, length, batch, norm, dropout and optimiser are the paper's; data are random. PyTorch runs the network as the
    authors wrote it ("torch"), with the tree element by element under torch.compile ("torch-tree-compiled"), and with the
    convolution by FFT, eager and compiled ("torch-fft", "torch-fft-compiled"); the fastest is named. What --quick leaves out is
    compiling, which takes a minute each, and memory.

    Losses are compared first, with the same parameters and dropout 0. The time of the step's matrix products alone is measured
    too: no step on this machine can be faster than they are. Each side takes one step that is not counted, then --repeats steps
    in turn with the others; but a side whose steps have taken 60 seconds together (--seconds) leaves out its other rounds. So
    PyTorch takes one step of a minute or three of half a minute, and a setting takes 5 to 15 minutes.

    Memory is the peak of a fresh process that takes two steps, less what it held before them; for a compiled network this
    includes the compiler's own. It is measured first, and a side whose process crashes is left out.
    """
    layers = getattr(args, "layers", 2)
    return {"layers": layers, "rows": {name: one_setting(name, layers, args) for name in getattr(args, "settings", SETTINGS)}}


def one_setting(name: str, layers: int, args: argparse.Namespace) -> dict[str, Any]:
    """One row: the difference of the first losses, seconds, and memory."""
    task, network = setting(name, layers, args.quick)
    batch = random_batch(network, task)
    forget_compiled()
    names, memory = own_processes(name, layers, formulations_for(args), args.quick)
    theirs, agreement = torch_steps(network, task, batch, names)
    steps = {"ours": our_step(network, task, batch)} | theirs
    steps["matrix products"] = matrix_products(network, task.training.batch_size)
    times = alternate(steps, args.repeats, most_seconds=getattr(args, "seconds", SECONDS))
    seconds = {who: summary(values) for who, values in times.items()}
    return {"agreement": agreement, "seconds": seconds, "memory_gib": {who: memory[who] for who in ("ours", *theirs)}}


def own_processes(name: str, layers: int, formulations: list[str], quick: bool) -> tuple[list[str], dict[str, float | None]]:
    """The peak memory of each side in GiB, in a process of its own; and the formulations whose process did not crash.

    Code that PyTorch compiles can write outside of its arrays, as that of the tree at ListOps' sizes did (PyTorch 2.13): in the
    process that measures all sides, it would end the others too.
    """
    safe, memory = [], {}
    for side in ("ours", *formulations):
        who = FORMULATIONS[side].title if side in FORMULATIONS else side
        memory[who], error = (None, "") if quick else peak_memory(name, side, layers)
        if error.startswith("exit -"):
            print(f"  {who} is left out of {name}: its process crashed ({error.splitlines()[0][:120]})")
        elif side in formulations:
            safe.append(side)
    return safe, memory


def formulations_for(args: argparse.Namespace) -> list[str]:
    """The formulations that were asked for and can run here; quick: without those that have to be compiled."""
    names = getattr(args, "against", AGAINST) if find_spec("torch") else []
    return [name for name in names if not (args.quick and FORMULATIONS[name].compiled)]


def torch_steps(
    network: NetworkConfig, task: Task, batch: Split, names: list[str]
) -> tuple[dict[str, Callable[[], Any]], float | None]:
    """{title: its step} for each formulation, and the largest difference of their first losses from ours; None without any.

    A network that cannot be compiled here is left out, and a line says why.
    """
    if not names:
        return {}, None
    ours, steps, differences = first_loss(network, task, batch), {}, []
    for name in names:
        title, step = FORMULATIONS[name].title, torch_step(network, task, batch, formulation=name)
        try:
            with warnings.catch_warnings():  # PyTorch warns about parts of its own
                warnings.simplefilter("ignore")
                difference = check_losses(network, task, batch, name, ours)
                if FORMULATIONS[name].compiled:
                    step()
        except ValueError:
            raise
        except Exception as error:  # of any kind, from the compiler
            if not FORMULATIONS[name].compiled:
                raise
            print(f"  {title} is left out: {type(error).__name__}: {str(error).splitlines()[0][:120]}")
            continue
        steps[title] = step
        differences.append(difference)
    return steps, max(differences, default=None)


def setting(name: str, layers: int, quick: bool) -> tuple[Task, NetworkConfig]:
    """The task and its network with fewer layers; quick: a batch of 4 and a narrow network."""
    from ..tasks import get_task

    task = get_task(name)
    network = replace(task.network, n_layers=layers)
    if quick:
        network = replace(network, d_model=32)
        task = with_batch(task, 4)
    return task, network


def with_batch(task: Task, size: int) -> Task:
    """The task with another batch size."""
    return replace(task, training=replace(task.training, batch_size=size))


def first_loss(network: NetworkConfig, task: Task, batch: Split) -> float:
    """Our loss before the first step, without dropout."""
    from ..training.objectives import get_objective
    from ..training.step import loss_and_gradients

    still, model = undropped(network)
    objective = get_objective(task.objective, still)
    return float(loss_and_gradients(still, model.params, model.state, batch, None, objective)[0])


def undropped(network: NetworkConfig) -> tuple[NetworkConfig, Model]:
    """The network without dropout, and with it the model whose losses are compared."""
    still = replace(network, dropout=0.0)
    return still, Model.init(still, np.random.default_rng(0))


def check_losses(
    network: NetworkConfig, task: Task, batch: Split, formulation: str = "torch", ours: float | None = None
) -> float:
    """The relative difference of the two first losses, with the same parameters and no dropout.

    Raises
    ------
    ValueError
        If it is not below AGREE: then nothing is timed.
    """
    import torch

    from ..authors.torch_model import to_torch

    ours = first_loss(network, task, batch) if ours is None else ours
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    forward = formulated(to_torch(undropped(network)[1]).train(), formulation)
    with torch.no_grad():
        outputs = forward(torch.from_numpy(batch.x), lengths)
        theirs = float(torch_loss(task.objective, network)(outputs, torch.from_numpy(batch.y)))
    difference = abs(ours - theirs) / abs(theirs)
    if not difference < AGREE:
        raise ValueError(f"the first losses differ: {ours} here, {theirs} in {FORMULATIONS[formulation].title}")
    return difference


def matrix_products(network: NetworkConfig, B: int) -> Callable[[], None]:
    """The step's 1x1 convolutions alone, forward and backward, as matrix products into arrays that are there already."""
    D, L = network.d_model, network.max_length
    rng = np.random.default_rng(0)
    weight, x, u = (rng.standard_normal(s).astype(np.float32) for s in ((2 * D, D), (B, D, L), (B, 2 * D, L)))
    dweight, dx = np.empty((B, 2 * D, D), np.float32), np.empty_like(x)

    def run() -> None:
        for _ in range(network.n_layers):  # a product for each of the B sequences, one after the other
            np.matmul(weight, x, out=u)
            np.matmul(weight.T, u, out=dx)
            np.matmul(u, x.swapaxes(1, 2), out=dweight)

    return run


def peak_memory(name: str, side: str, layers: int) -> tuple[float | None, str]:
    """GiB that one step takes in a fresh process, beyond what the process held before it; or None, and why it failed."""
    result = in_own_process(name, side, layers, steps=1, gib=20)
    if "peak_gib" not in result:
        return None, result["error"]
    return result["peak_gib"] - result["before_gib"], ""


def step_lines(result: dict[str, Any]) -> list[str]:
    """A table for each setting, and the ratios."""
    text = [f"training step: {result['layers']} layers, batch, width and length of the paper, float32"]
    for name, row in result["rows"].items():
        agree = "" if row["agreement"] is None else f" (first losses agree to {row['agreement']:.0e})"
        text += [f" {name}{agree}", table(row["seconds"], {"/ ours": "ours"}), *rounds_lines(row["seconds"])]
        text += step_ratios(name, row) + memory_lines(name, row["memory_gib"])
    return text


def rounds_lines(seconds: dict[str, dict[str, Any]]) -> list[str]:
    """Who was too slow for all rounds, and how many rounds it took."""
    most = max(row["rounds"] for row in seconds.values())
    fewer = [f"{who} {row['rounds']}" for who, row in seconds.items() if row["rounds"] < most]
    return [f"  timed steps: {most}, but {'; '.join(fewer)}"] if fewer else []


def fastest_of(seconds: dict[str, dict[str, Any]]) -> str | None:
    """The row of PyTorch's with the smallest median; None if there is none."""
    theirs = [who for who in seconds if who.startswith("PyTorch")]
    return min(theirs, key=lambda who: seconds[who]["median"], default=None)


def step_ratios(name: str, row: dict[str, Any]) -> list[str]:
    """PyTorch's times over ours: as the authors wrote the network, and the fastest; and ours over the matrix products."""
    median = {who: one["median"] for who, one in row["seconds"].items()}
    text, best = [], fastest_of(row["seconds"])
    if "PyTorch" in median:
        text.append(ratio_line(f"{name}: a step in PyTorch eager over one here", median["PyTorch"] / median["ours"]))
    if best:
        text.append(ratio_line(f"{name}: the fastest step in PyTorch ({best}) over one here", median[best] / median["ours"]))
    if "matrix products" in median:
        over = median["ours"] / median["matrix products"]
        text.append(ratio_line(f"{name}: a step here over its matrix products alone", over))
    return text


def memory_lines(name: str, gib: dict[str, float | None]) -> list[str]:
    """Peaks, and ours over each of PyTorch's."""
    known = {who: value for who, value in gib.items() if value}
    if "ours" not in known or len(known) == 1:
        return []
    ours, theirs = known.pop("ours"), known
    text = [f"  peak memory of the step: {ours:.2f} GiB, " + ", ".join(f"{who} {value:.2f} GiB" for who, value in theirs.items())]
    return text + [ratio_line(f"{name}: peak memory here over that of {who}", ours / value) for who, value in theirs.items()]
