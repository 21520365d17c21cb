"""The first run on a machine: `multires-ref train digits` until its first step is done, before and after its loops are compiled.

Every run is a new process. "cold" has an empty cache, as after an installation; "cold, alone" has one too, and no helper process
that compiles ahead; "warm" finds all loops in its cache. The seconds count from the start of Python. They are divided into
compiling the loops, waiting for them or loading them; reading the data, which imports scikit-learn; and all the rest: starting
Python, importing the package, and the step itself. The ratios depend on the machine, and on what else it does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .timing import alternate, machine, machine_line, quartiles, ratio_line, summary, table

COLD, ALONE, WARM = "cold", "cold, alone", "warm"
PARTS = ("loops", "data", "rest")
SLOWEST = 5  # loops that are named
SECONDS = 600  # after which a run counts as hanging
RUN = """
import json, os, sys, threading, time
began, folder = float(sys.argv[1]), sys.argv[2]
from multires_ref.base import compiled
from multires_ref.training.console import Progress
from multires_ref.commands import train
from multires_ref.cli import main

loops, data, keep_code, read = [], [], compiled.compile_once, train.loaded
one_at_a_time = threading.RLock()  # as Numba compiles: a thread that waits for another's compilation does not count it once more

def timed_code(dispatcher):
    keep_code(dispatcher)
    compile_or_load = dispatcher.compile

    def timed(types):
        with one_at_a_time:
            before, start = sum(dispatcher.stats.cache_misses.values()), time.time()
            try:
                return compile_or_load(types)
            finally:
                here = sum(dispatcher.stats.cache_misses.values()) > before
                loops.append([compiled.in_words(dispatcher.py_func), time.time() - start, here])

    dispatcher.compile = timed

def timed_data(*given):
    start = time.time()
    splits = read(*given)
    data.append(time.time() - start)
    return splits

def first_step(self):
    print(json.dumps({"seconds": time.time() - began, "loops": loops, "data": sum(data)}), flush=True)
    os._exit(0)

compiled.compile_once, train.loaded, Progress.step = timed_code, timed_data, first_step
main(["train", "digits", "--quiet", "--out", folder, *sys.argv[3:]])
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    parser.add_argument("--quick", action="store_true", help="once, and a small network: to see that it runs, not for figures")
    parser.add_argument("--repeats", type=int, default=5, help="how often everything is timed (default: 5)")
    parser.add_argument("--out", metavar="FILE", help="write the numbers here, as JSON (default: nowhere)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ..base.compiled import require_numba
    from ..base.files import write_json
    from ..base.threads import num_threads

    require_numba("bench cold")
    if args.out and not Path(args.out).parent.is_dir():
        raise FileNotFoundError(f"--out {args.out}: there is no folder {Path(args.out).parent}")
    result = {"machine": machine(num_threads())} | measure(1 if args.quick else args.repeats, args.quick)
    print("\n".join([machine_line(result["machine"]), *lines(result)]))
    if args.out:
        write_json(Path(args.out), result)
    return 0


def measure(repeats: int, quick: bool) -> dict[str, Any]:
    """Runs of the three kinds take turns; a round of all of them fills the warm cache and is not counted."""
    words = ["--scale", "tiny"] if quick else []
    runs: dict[str, list[dict[str, Any]]] = {COLD: [], ALONE: [], WARM: []}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:

        def seconds_of(kind: str) -> float:
            cache = "warm" if kind == WARM else f"{kind} {len(runs[kind])}"
            runs[kind].append(one_run(Path(folder), cache, kind != COLD, words))
            return runs[kind][-1]["seconds"]

        times = alternate({kind: lambda kind=kind: kind for kind in runs}, repeats, lambda call: seconds_of(call()))
    counted = {kind: found[1:] for kind, found in runs.items()}
    return {"rows": {kind: summary(seconds) for kind, seconds in times.items()}, "parts": parts(counted)} | loops(counted[ALONE])


def one_run(folder: Path, cache: str, alone: bool, words: list[str]) -> dict[str, Any]:
    """A new process until its first step: {"seconds", "loops": [[name, seconds, whether it compiled], ...], "data": seconds}.

    Raises
    ------
    RuntimeError
        If the run failed; with the end of what it said.
    """
    from ..training.ahead import SWITCH

    env = os.environ | {"NUMBA_CACHE_DIR": str(folder / cache), SWITCH: "0" if alone else "1"}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [sys.executable, "-c", RUN, repr(time.time()), str(Path(out) / "run"), *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise RuntimeError(f"train digits did not get to its first step: {done.stderr.strip()[-300:]}") from None


def parts(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Medians of the seconds of every part, by kind of run.

    Examples
    --------
    >>> run = {"seconds": 5.0, "data": 1.0, "loops": [["gelu", 2.0, True], ["glu", 0.5, False]]}
    >>> parts({"cold": [run]})
    {'cold': {'loops': 2.5, 'data': 1.0, 'rest': 1.5}}
    """
    found = {}
    for kind, of_kind in runs.items():
        of_loops = [sum(seconds for _, seconds, _ in run["loops"]) for run in of_kind]
        rest = [run["seconds"] - run["data"] - seconds for run, seconds in zip(of_kind, of_loops, strict=True)]
        values = (of_loops, [run["data"] for run in of_kind], rest)
        found[kind] = {part: quartiles(seconds)[1] for part, seconds in zip(PARTS, values, strict=True)}
    return found


def loops(alone: list[dict[str, Any]]) -> dict[str, Any]:
    """How many loops a run compiles that is alone, and the slowest, with the medians of their seconds.

    Examples
    --------
    >>> loops([{"loops": [["gelu", 2.0, True], ["glu", 3.0, True], ["adam", 0.1, False]]}])
    {'compiled': 2, 'slowest': [['glu', 3.0], ['gelu', 2.0]]}
    """
    seconds: dict[str, list[float]] = {}
    for run in alone:
        for name, of_one, compiled in run["loops"]:
            if compiled:
                seconds.setdefault(name, []).append(of_one)
    medians = sorted(([name, quartiles(values)[1]] for name, values in seconds.items()), key=lambda row: -row[1])
    return {"compiled": len(medians), "slowest": medians[:SLOWEST]}


def lines(result: dict[str, Any]) -> list[str]:
    """The table, the parts, the loops and the ratios of medians."""
    rows = result["rows"]
    median = {kind: row["median"] for kind, row in rows.items()}
    shares = [", ".join(f"{part} {seconds:.2f} s" for part, seconds in of_kind.items()) for of_kind in result["parts"].values()]
    slowest = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in result["slowest"])
    return [
        "cold: multires-ref train digits in a new process, until its first step is done",
        table(rows, {"/ warm": WARM}, digits=0),
        *(f"  {kind}: {share}" for kind, share in zip(result["parts"], shares, strict=True)),
        f"  loops compiled: {result['compiled']}; the slowest: {slowest}",
        ratio_line("cold / warm", median[COLD] / median[WARM]),
        ratio_line("cold, with the helper / alone", median[COLD] / median[ALONE]),
    ]
