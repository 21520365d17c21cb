"""Measure what drawing one sequence costs, with the recurrence and by running the whole network for every sample.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python tutorials/data/cost_per_step.py       writes cost_per_step.json

An autoregressive network of 4 layers of 32 channels, K = 4, float32, untrained (its numbers do not matter for its speed), one
sequence at a time. By recurrence: the median of `REPEATS` whole sequences. From scratch: the median of `REPEATS` runs of the whole
network, times the L runs that a sequence takes. The two are measured in turns, in seconds of one CPU core, so that other work
on the machine counts little.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from multires_ref import Model, NetworkConfig
from multires_ref.base.files import write_json
from multires_ref.network.config import mixture_channels
from multires_ref.network.streaming import Stream

LENGTHS = (64, 256, 1024, 4096)
REPEATS = 5


def network(length: int) -> Model:
    """The network for sequences of that length."""
    config = NetworkConfig(
        1, mixture_channels(5, 1), d_model=32, n_layers=4, kernel_size=4, max_length=length, kind="autoregressive", n_values=17
    )
    return Model.init(config, np.random.default_rng(0))


def seconds(work) -> float:
    """How long one call keeps the CPU busy, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def by_recurrence(model: Model, x: np.ndarray) -> None:
    """Every step of one sequence."""
    stream = Stream(model, max_length=x.shape[2])
    for n in range(x.shape[2]):
        stream.step(x[:, :, n])


def measure(length: int) -> tuple[float, float]:
    """Seconds a sequence: by recurrence, and from scratch."""
    model, x = network(length), np.zeros((1, 1, length), np.float32)
    model(x, engine="tree")
    by_recurrence(model, x[:, :, :2])  # where Numba is installed, its loop is compiled here
    times = [(seconds(lambda: by_recurrence(model, x)), seconds(lambda: model(x, engine="tree"))) for _ in range(REPEATS)]
    stream, once = (statistics.median(column) for column in zip(*times, strict=True))
    return stream, length * once


def main() -> None:
    """All lengths, into cost_per_step.json."""
    results = [measure(length) for length in LENGTHS]
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, OMP_NUM_THREADS={threads}, NumPy {np.__version__}, engine tree; "
    machine += "the stream's loop by " + ("Numba" if find_spec("numba") else "NumPy")
    stream, scratch = ([round(pair[n], 5) for pair in results] for n in (0, 1))
    out = {"machine": machine, "lengths": list(LENGTHS), "stream": stream, "from_scratch": scratch}
    write_json(Path(__file__).with_name("cost_per_step.json"), out)
    print(out)


if __name__ == "__main__":
    main()
