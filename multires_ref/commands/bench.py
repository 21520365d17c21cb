"""Measure speed and memory, against PyTorch where it is installed.

multires-ref bench                      all parts that are charted together (an hour with PyTorch)
multires-ref bench operator --quick     one of them, small
multires-ref bench small                training steps and inference of small networks
multires-ref bench step --settings ptbxl --repeats 3
multires-ref bench busy                 training steps beside busy neighbours
multires-ref bench memories             updates of the tree's memory and of others
multires-ref bench sample               drawing images: streaming against recomputing
multires-ref bench paper                training steps at the paper's full settings
multires-ref bench peers                the estimators against those of aeon
multires-ref bench mpi                  training steps on two processes, and a model of more
multires-ref bench gpu                  the layer and a training step on a GPU
multires-ref bench cold                 the first training run on a machine, which compiles

Before anything is timed, it is checked that all implementations agree. They take turns; medians and
quartiles are printed, and written with a description of the machine to bench.json in --out, and
drawn as bench.svg.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PARTS = {  # measured and charted together: each in a module of `bench`, with the functions measure_NAME and NAME_lines
    "operator": "operator",
    "step": "step",
    "small": "small",
    "busy": "busy",
    "scaling": "operator",
    "pyramid": "operator",
    "swt": "swt",
    "startup": "processes",
    "memories": "memories",
}
OTHERS = ("sample", "paper", "peers", "mpi", "gpu", "cold")  # modules of their own, with flags and a function `run` of their own


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments: one sub-command for each part, each with its own."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quick", action="store_true", help="small sizes: to see that it runs, not for figures")
    common.add_argument("--repeats", type=int, default=7, help="how often everything is timed (default: 7)")
    common.add_argument("--threads", type=int, help="most threads for all implementations (default: all that are allowed)")
    common.add_argument("--out", metavar="DIR", help="folder for bench.json and bench.svg (default: runs/bench-TIME)")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="gpu: the same as `bench gpu` (default: cpu)")
    parts = parser.add_subparsers(dest="part", metavar="PART", help="what to measure (default: all)")
    parts.add_parser("all", parents=[common], help=f"from {next(iter(PARTS))} to {list(PARTS)[-1]}, one after the other")

    def add_part(name: str, text: str, parents: list[argparse.ArgumentParser]) -> argparse.ArgumentParser:
        return parts.add_parser(name, parents=parents, help=first_line(text), description=rewrapped(text))

    for name in PARTS:
        sub = add_part(name, function_of(name, "measure_{}").__doc__, [common])
        if name == "step":
            module("step").add_arguments(sub)
    for name in OTHERS:
        module(name).add_arguments(add_part(name, module(name).__doc__, []))
    parser.set_defaults(quick=False, repeats=7, threads=None, out=None)


def first_line(text: str) -> str:
    """A docstring's first line, for the list of parts: "%" doubled, as argparse wants it."""
    return text.splitlines()[0].rstrip(".").replace("%", "%%")


def rewrapped(text: str) -> str:
    """A docstring's paragraphs in lines of at most 98 columns."""
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), 98) for paragraph in text.strip().split("\n\n"))


def module(name: str) -> ModuleType:
    """A module of the benchmarks."""
    return import_module(f"multires_ref.bench.{name}")


def function_of(part: str, name: str) -> Callable:
    """A function of a part; `name` is such as "measure_{}"."""
    return getattr(module(PARTS[part]), name.format(part))


def run(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    if args.part is None and args.device == "gpu":
        parser = argparse.ArgumentParser()
        module("gpu").add_arguments(parser)
        return module("gpu").run(parser.parse_args([]))
    if args.part in OTHERS:
        status = module(args.part).run(args)
        if args.part == "peers" and status == 0:
            chart_peers(Path(args.out))
        if args.part == "mpi" and status == 0:
            chart_mpi(Path(args.out))
        return status
    from ..base.checks import check_int
    from ..base.files import write_json
    from ..bench.timing import machine, machine_line, threads

    check_int("repeats", args.repeats, 1)
    if args.threads is not None:
        check_int("threads", args.threads, 1)
    out = Path(args.out or time.strftime("runs/bench-%Y%m%d-%H%M%S"))
    results: dict[str, Any] = {}
    with threads(args.threads) as used:
        results["machine"] = machine(used)
        print(machine_line(results["machine"]))
        for name in PARTS if args.part in (None, "all") else (args.part,):
            results[name] = function_of(name, "measure_{}")(args)
            print("\n".join(function_of(name, "{}_lines")(results[name])), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "bench.json", results)
    chart(results, out / "bench.svg")
    print(f"wrote {out / 'bench.json'} and {out / 'bench.svg'}")
    return 0


def chart_peers(out: Path) -> None:
    """The picture of peers.json, beside it."""
    from ..plots.peers import plot_peers_by_kind
    from ..plots.style import save

    save(plot_peers_by_kind(json.loads((out / "peers.json").read_text())["results"]), out / "peers.svg")
    print(f"wrote {out / 'peers.json'} and {out / 'peers.svg'}")


def chart_mpi(out: Path) -> None:
    """The picture of mpi.json, beside it."""
    from ..plots.mpi import plot_mpi
    from ..plots.style import save

    save(plot_mpi(json.loads((out / "mpi.json").read_text())["rows"]), out / "mpi.svg")
    print(f"wrote {out / 'mpi.json'} and {out / 'mpi.svg'}")


def chart(results: dict[str, Any], path: Path) -> None:
    """The picture of what was measured."""
    from ..plots.speed import plot_bench
    from ..plots.style import save

    save(plot_bench(json.loads(json.dumps(results))), path)
