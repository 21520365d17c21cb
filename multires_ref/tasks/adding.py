"""The adding problem: two of L random numbers are marked, and their sum is to be given.

    x[0, n] ~ U(0, 1),   x[1, n] = 1 at two steps n1 != n2, otherwise 0,   y = x[0, n1] + x[0, n2]

Always saying 1, the mean, has a mean squared error of 1/6 = 0.167. The sizes of the parts are those of Bai, Kolter and Koltun,
who have no validation part; 1,000 more sequences are generated for it here.

Source: Hochreiter and Schmidhuber 1997; Bai, Kolter and Koltun 2018 (arXiv 1803.01271)
"""

from __future__ import annotations

import numpy as np

from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .task import Length, LoadOptions, Task, generated_parts

LENGTH = Length(600, steps=int, meaning="time steps of adding", bytes_per_step=8, lowest=2)  # their longest is 600
SIZES = {"train": 50_000, "val": 1_000, "test": 1_000}
SEED = 600  # of the data, which are the same in every run


def load(options: LoadOptions) -> dict[str, Split]:
    """Sequences [N, 2, L] and sums [N, 1], float32, of length `options.length` (default 600), generated here.

    Examples
    --------
    >>> train = load(LoadOptions(scale="tiny", length=9))["train"]
    >>> train.x.shape, train.y.shape, train.x[:, 1].sum(axis=1).tolist() == [2.0] * 64
    ((64, 2, 9), (64, 1), True)
    """
    return generated_parts(generate, options, LENGTH, SIZES, SEED)


def generate(N: int, L: int, rng: np.random.Generator) -> Split:
    """N sequences of L steps; every pair of two different steps is marked with the same probability."""
    x = np.zeros((N, 2, L), np.float32)
    x[:, 0] = rng.random((N, L), np.float32)
    first = rng.integers(L, size=N)
    second = (first + rng.integers(1, L, size=N)) % L
    rows = np.arange(N)
    x[rows, 1, first] = x[rows, 1, second] = 1
    return Split(x, (x[rows, 0, first] + x[rows, 0, second])[:, None])


ADDING = Task(
    name="adding",
    title="the adding problem: the sum of the two marked ones among 600 random numbers (generated, any length)",
    network=NetworkConfig(d_input=2, d_output=1, d_model=32, n_layers=4, kernel_size=2, max_length=LENGTH.default, norm="batch"),
    training=TrainingConfig(epochs=2, batch_size=32, lr=0.005, weight_decay=0.0),
    objective="regression",
    load=load,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
    published="mean squared error 5.8e-5 at length 600 (TCN of 70,000 parameters; Bai, Kolter and Koltun 2018)",
    reproduced="test mean squared error 1.30e-4, R^2 0.9992 (seed 1)",
    labels=("sum",),
    length=LENGTH,
)
TASKS = (ADDING,)
