"""Drawing one image at a time: streaming against recomputing the whole network for every pixel, as the authors' sampler does.

The CIFAR-10 density setting (width 512, K = 4, 1,024 pixels of 3 colours, 10 mixture components) with fewer layers than its 48,
random parameters, float32. Streaming draws all 1,024 pixels. Recomputing costs the same for every pixel, a run over all 1,024
positions, so it is timed at some positions spread evenly between the streamed ones, alternating, and the median times 1,024 is
reported; --all-positions times every one. Both give the same outputs, which is checked first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnose.errors import measure as compared
from .timing import machine, machine_line, threads

AGREE = 1e-3  # relative to the norm; float32, sums over time in another order


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    parser.add_argument("--layers", type=int, default=4, help="blocks, of the setting's 48 (default: 4)")
    parser.add_argument("--width", type=int, default=512, help="channels (default: 512, the setting's)")
    parser.add_argument("--length", type=int, default=1024, help="pixels (default: 1024, the setting's)")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 8], help="images drawn together: a table each (default: 1 and 8)")
    parser.add_argument("--positions", type=int, default=6, help="pixels at which recomputing is timed (default: 6)")
    parser.add_argument("--all-positions", action="store_true", help="time recomputing at every pixel")
    parser.add_argument("--threads", type=int, help="most threads for everybody (default: all that are allowed)")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out even where it is installed")
    parser.add_argument("--out", metavar="FILE", help="write the numbers here, as JSON (default: nowhere)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ..base.files import write_json
    from ..network import Model
    from ..tasks import get_task

    setting = get_task("cifar10-density").network
    config = replace(setting, n_layers=args.layers, d_model=args.width, max_length=args.length, dropout=0.0)
    model = Model.init(config, np.random.default_rng(0))
    contestants = {"recompute (NumPy)": lambda x: model(x)} | ({} if args.no_torch else torch_contestant(model))
    positions = set(range(config.max_length))
    if not args.all_positions:
        positions = set(np.linspace(0, config.max_length - 1, args.positions).astype(int).tolist())
    results = []
    with threads(args.threads) as used:
        about = {"machine": machine(used), "reduced": reductions(config, setting)}
        for n in args.n:
            check_agreement(model, contestants, n)
            results.append(summarise(measure(model, contestants, n, positions), config, n) | about)
            print("\n".join(lines(results[-1])))
    if args.out:
        write_json(Path(args.out), results)
    return 0


def reductions(config: Any, setting: Any) -> dict[str, str]:
    """What is smaller here than in the paper's setting, such as {"n_layers": "4 of 48"}."""
    names = [name for name in ("n_layers", "d_model", "max_length") if getattr(config, name) != getattr(setting, name)]
    return {name: f"{getattr(config, name)} of {getattr(setting, name)}" for name in names}


def torch_contestant(model: Any) -> dict[str, Callable]:
    """The same network in PyTorch, where it is installed."""
    try:
        import torch
    except ImportError:
        return {}
    from ..authors.torch_model import to_torch

    module = to_torch(model)

    def forward(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()

    return {"recompute (PyTorch)": forward}


def check_agreement(model: Any, contestants: dict[str, Callable], n: int) -> None:
    """Streaming and every contestant give the same outputs for a random image; this also warms them up."""
    from ..network.streaming import Stream

    config = model.config
    x = np.random.default_rng(1).uniform(-1, 1, (n, config.d_input, config.max_length)).astype(np.float32)
    stream = Stream(model, n, max_length=config.max_length)
    streamed = np.stack([stream.step(x[:, :, t]).copy() for t in range(config.max_length)], axis=2)
    for name, whole in contestants.items():
        error = compared(whole(x), streamed, AGREE)
        if not error.passed:
            raise ValueError(f"{name} and streaming disagree: {error.relative:.1e} of the norm (allowed {AGREE:.0e})")


def measure(model: Any, contestants: dict[str, Callable], n: int, positions: set[int]) -> dict[str, list[float]]:
    """Seconds of every streamed pixel, and of every recomputed one at `positions`, drawing included."""
    from ..network.sampling import draw_pixel
    from ..network.streaming import Stream

    config, rng = model.config, np.random.default_rng(2)
    C, L = config.d_input, config.max_length
    x = np.zeros((n, C, L), np.float32)
    stream = Stream(model, n, max_length=L)
    times: dict[str, list[float]] = {"streaming": [], **{name: [] for name in contestants}}
    for t in range(L):
        if t in positions:
            for name, whole in contestants.items():
                began = time.perf_counter()
                draw_pixel(np.ascontiguousarray(whole(x)[:, :, t]), C, config.n_values, rng)
                times[name].append(time.perf_counter() - began)
        began = time.perf_counter()
        x[:, :, t] = draw_pixel(stream.predict(), C, config.n_values, rng)
        stream.step(x[:, :, t])
        times["streaming"].append(time.perf_counter() - began)
    return times


def summarise(times: dict[str, list[float]], config: Any, n: int) -> dict[str, Any]:
    """Seconds an image set takes by each way, and ratios to streaming."""
    L = config.max_length
    streaming = sum(times["streaming"])
    rows = {}
    for name, seconds in times.items():
        whole = len(seconds) == L
        total = sum(seconds) if whole else L * float(np.median(seconds))
        quartiles = [float(q) for q in np.percentile(seconds, (25, 50, 75))]
        rows[name] = {
            "pixels_timed": len(seconds),
            "per_pixel_quartiles": quartiles,
            "seconds": total,
            "ratio": total / streaming,
        }
    return {
        "config": config.to_dict(),
        "images": n,
        "rows": rows,
    }


def lines(result: dict[str, Any]) -> list[str]:
    """The table."""
    config = result["config"]
    text = [
        f"drawing {result['images']} image(s) of {config['max_length']:,} pixels: width {config['d_model']}, "
        f"{config['n_layers']} layers, K = {config['kernel_size']}; {machine_line(result['machine'])}",
        f"reduced from the paper's setting: {json.dumps(result['reduced']) if result['reduced'] else 'nothing'}",
        f"{'':<22}{'pixels timed':>13}{'ms a pixel':>12}{'(quartiles)':>20}{'s in all':>11}{'x streaming':>13}",
    ]
    for name, row in result["rows"].items():
        low, middle, high = (1e3 * q for q in row["per_pixel_quartiles"])
        text.append(
            f"{name:<22}{row['pixels_timed']:>13,}{middle:>12.3f}{f'{low:.3f} to {high:.3f}':>20}"
            f"{row['seconds']:>11.2f}{row['ratio']:>13,.0f}"
        )
    return text
