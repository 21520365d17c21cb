"""The copy memory task: ten symbols are shown, then nothing for a long time, and after a sign they are to be repeated.

    x = s_1 ... s_10, 0 (T - 1 times), 9 (11 times)         s_i drawn from 1 ... 8; the first 9 is the sign
    y = 0 (T + 10 times), s_1 ... s_10

There is an output at each of the T + 20 steps. The loss is the mean cross-entropy over all steps. A network that remembers
nothing can only say 0 first and guess the symbols at the end, which gives 10 ln(8) / (T + 20): `guessing`. The score is the share
of the last ten steps that are right.

Source: Hochreiter and Schmidhuber 1997; the setting of Bai, Kolter and Koltun 2018 (arXiv 1803.01271), who have no validation
part; 1,000 more sequences are generated for it here.
"""

from __future__ import annotations

import math

import numpy as np

from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .task import Length, LoadOptions, Task, generated_parts

SYMBOLS = 10  # how many are remembered
BLANK, FIRST, LAST, SIGN = 0, 1, 8, 9  # the symbols are 1 ... 8
SIZES = {"train": 10_000, "val": 1_000, "test": 1_000}
SEED = 1_000  # of the data, which are the same in every run


def steps(T: int) -> int:
    """T + 20: the length of a sequence."""
    return T + 2 * SYMBOLS


LENGTH = Length(1_000, steps, meaning="blank steps T of copying", bytes_per_step=2)


def load(options: LoadOptions) -> dict[str, Split]:
    """Tokens [N, T + 20] and the classes of all steps [N, T + 20], for T = `options.length` (default 1,000), generated here.

    Examples
    --------
    >>> train = load(LoadOptions(scale="tiny", length=3))["train"]
    >>> print(train.x[0], train.y[0], sep="\\n")
    [6 8 2 2 2 5 4 5 1 2 0 0 9 9 9 9 9 9 9 9 9 9 9]
    [0 0 0 0 0 0 0 0 0 0 0 0 0 6 8 2 2 2 5 4 5 1 2]
    """
    return generated_parts(generate, options, LENGTH, SIZES, SEED)


def generate(N: int, T: int, rng: np.random.Generator) -> Split:
    """N sequences with a blank stretch of T steps, as one byte each token."""
    symbols = rng.integers(FIRST, LAST + 1, (N, SYMBOLS), dtype=np.uint8)
    x = np.full((N, steps(T)), BLANK, np.uint8)
    y = x.copy()
    x[:, :SYMBOLS] = symbols
    x[:, -SYMBOLS - 1 :] = SIGN
    y[:, -SYMBOLS:] = symbols
    return Split(x, y)


def guessing(T: int) -> float:
    """The mean cross-entropy of a network that knows when to speak but remembers nothing: 10 ln(8) / (T + 20).

    Examples
    --------
    >>> round(guessing(1000), 4)
    0.0204
    """
    return SYMBOLS * math.log(LAST - FIRST + 1) / steps(T)


COPYING = Task(
    name="copying",
    title="copy memory: ten symbols to be repeated after 1,000 blank steps (generated, any length)",
    network=NetworkConfig(
        d_input=SIGN + 1,
        d_output=SIGN + 1,
        d_model=32,
        n_layers=4,
        kernel_size=2,
        max_length=steps(LENGTH.default),
        kind="tagger",
        encoder="embedding",
        tied=False,  # each level can then delay by 0 or 2^(i - 1) steps, and the tree by any number of steps
    ),
    training=TrainingConfig(epochs=8, batch_size=16, lr=0.005, weight_decay=0.0),
    objective="tagging",
    load=load,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
    published="loss 3.5e-5 at length 1,000 (TCN; Bai, Kolter and Koltun 2018); a network that remembers nothing has 0.0204",
    reproduced="test loss 4.4e-6, all symbols right (seed 1)",
    tokens=tuple("0123456789"),
    length=LENGTH,
)
TASKS = (COPYING,)
