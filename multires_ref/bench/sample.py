"""Drawing one image at a time: streaming against recomputing the whole network for every pixel, as the authors' sampler does.

The network has the CIFAR-10 density setting (width 512, K = 4, 1,024 pixels of 3 colours, 10 mixture components) with fewer
layers than its 48, random parameters, float32. Streaming draws all 1,024 pixels. Recomputing costs the same for every pixel,
one run over all 1,024 positions. So it is timed at a few evenly spaced positions only, each time just before the streamed
pixel, and 1,024 times the median is reported; --all-positions times it at every pixel. Before anything is timed, it is checked
that both give the same outputs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..base.tables import text_table
from ..network import Model, NetworkConfig
from .timing import check_agreement, machine, machine_line, quartiles, seconds_of, threads

AGREE = 1e-3  # of the norm; float32, and sums over time are added in another order


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmark's arguments."""
    parser.add_argument("--layers", type=int, default=4, help="blocks, of the setting's 48 (default: 4)")
    parser.add_argument("--width", type=int, default=512, help="channels (default: 512, the setting's)")
    parser.add_argument("--length", type=int, default=1024, help="pixels (default: 1024, the setting's)")
    parser.add_argument("--n", type=int, nargs="+", default=[1, 8], help="images drawn together: a table each (default: 1 and 8)")
    parser.add_argument("--positions", type=int, default=6, help="pixels at which recomputing is timed (default: 6)")
    parser.add_argument("--all-positions", action="store_true", help="time recomputing at every pixel")
    parser.add_argument("--threads", type=int, help="most threads for all implementations (default: all that are allowed)")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out even where it is installed")
    parser.add_argument("--out", metavar="FILE", help="write the numbers here, as JSON (default: nowhere)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ..base.files import write_json
    from ..tasks import get_task

    setting = get_task("cifar10-density").network
    config = replace(setting, n_layers=args.layers, d_model=args.width, max_length=args.length, dropout=0.0)
    model = Model.init(config, np.random.default_rng(0))
    implementations = {"recompute (NumPy)": lambda x: model(x)} | ({} if args.no_torch else torch_implementation(model))
    positions = set(range(config.max_length))
    if not args.all_positions:
        positions = set(np.linspace(0, config.max_length - 1, args.positions).astype(int).tolist())
    results = []
    with threads(args.threads) as used:
        about = {"machine": machine(used), "reduced": reductions(config, setting)}
        for n in args.n:
            check_outputs(model, implementations, n)
            results.append(summarise(measure(model, implementations, n, positions), config, n) | about)
            print("\n".join(lines(results[-1])))
    if args.out:
        write_json(Path(args.out), results)
    return 0


def reductions(config: NetworkConfig, setting: NetworkConfig) -> dict[str, str]:
    """What is smaller here than in the paper's setting, such as {"n_layers": "4 of 48"}."""
    names = [name for name in ("n_layers", "d_model", "max_length") if getattr(config, name) != getattr(setting, name)]
    return {name: f"{getattr(config, name)} of {getattr(setting, name)}" for name in names}


def torch_implementation(model: Model) -> dict[str, Callable]:
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


def check_outputs(model: Model, implementations: dict[str, Callable], n: int) -> None:
    """Streaming and every implementation give the same outputs for a random image; this also warms them up."""
    from ..network.streaming import Stream

    config = model.config
    x = np.random.default_rng(1).uniform(-1, 1, (n, config.d_input, config.max_length)).astype(np.float32)
    stream = Stream(model, n, max_length=config.max_length)
    streamed = np.stack([stream.step(x[:, :, t]).copy() for t in range(config.max_length)], axis=2)
    for name, whole in implementations.items():
        check_agreement(name, whole(x), "streaming", streamed, AGREE)


def measure(model: Model, implementations: dict[str, Callable], n: int, positions: set[int]) -> dict[str, list[float]]:
    """Seconds of every streamed pixel, and of every recomputed one at `positions`, drawing included."""
    from ..network.sampling import draw_pixel
    from ..network.streaming import Stream

    config, rng = model.config, np.random.default_rng(2)
    C, L = config.d_input, config.max_length
    x = np.zeros((n, C, L), np.float32)
    stream = Stream(model, n, max_length=L)

    def recompute(whole: Callable, t: int) -> None:
        draw_pixel(np.ascontiguousarray(whole(x)[:, :, t]), C, config.n_values, rng)

    def stream_on(t: int) -> None:
        x[:, :, t] = draw_pixel(stream.predict(), C, config.n_values, rng)
        stream.step(x[:, :, t])

    times: dict[str, list[float]] = {"streaming": [], **{name: [] for name in implementations}}
    for t in range(L):
        if t in positions:
            for name, whole in implementations.items():
                times[name].append(seconds_of(partial(recompute, whole, t)))
        times["streaming"].append(seconds_of(partial(stream_on, t)))
    return times


def summarise(times: dict[str, list[float]], config: NetworkConfig, n: int) -> dict[str, Any]:
    """The seconds that all pixels of the images take in each way, and their ratio to streaming's."""
    L, rows = config.max_length, {}
    for name, seconds in times.items():
        total = sum(seconds) if len(seconds) == L else L * float(np.median(seconds))
        rows[name] = {
            "pixels_timed": len(seconds),
            "per_pixel_quartiles": quartiles(seconds),
            "seconds": total,
            "ratio": total / sum(times["streaming"]),
        }
    return {"config": config.to_dict(), "images": n, "rows": rows}


def lines(result: dict[str, Any]) -> list[str]:
    """The table."""
    config, cells = result["config"], []
    for name, row in result["rows"].items():
        low, middle, high = (f"{1e3 * q:.3f}" for q in row["per_pixel_quartiles"])
        total, ratio = f"{row['seconds']:.2f}", f"{row['ratio']:,.0f}"
        cells.append([name, f"{row['pixels_timed']:,}", middle, f"{low} to {high}", total, ratio])
    return [
        f"drawing {result['images']} image(s) of {config['max_length']:,} pixels: width {config['d_model']}, "
        f"{config['n_layers']} layers, K = {config['kernel_size']}; {machine_line(result['machine'])}",
        f"reduced from the paper's setting: {json.dumps(result['reduced']) if result['reduced'] else 'nothing'}",
        text_table(["", "pixels timed", "ms a pixel", "(quartiles)", "s in all", "x streaming"], cells),
    ]
