"""The handwritten digits of `digits.py` as a density: the small sibling of the paper's CIFAR-10 density. No download."""

from __future__ import annotations

import numpy as np

from ..network.config import NetworkConfig, mixture_channels
from ..training.config import TrainingConfig
from ..training.data import Split
from .digits import stratified_parts
from .task import LoadOptions, Task

N_VALUES = 17  # the pixels are whole numbers 0 ... 16
N_MIX = 5


def load(options: LoadOptions) -> dict[str, Split]:
    """The parts of `digits`, pixels mapped from 0 ... 16 to [-1, 1]; the target is the image itself.

    Examples
    --------
    >>> train = load(LoadOptions())["train"]
    >>> train.x.shape, float(train.x.min()), float(train.x.max())
    ((1257, 1, 64), -1.0, 1.0)
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)  # [1797, 64] of 0 ... 16, [1797]
    x = (images / (0.5 * (N_VALUES - 1)) - 1).astype(np.float32)[:, None, :]  # [1797, 1, 64]
    keep = slice(None) if options.scale == "full" else slice(64)
    return {name: Split(x[index[keep]], x[index[keep]]) for name, index in stratified_parts(digits).items()}


TASK = Task(
    name="digits-density",
    title="the density of the 8 x 8 digits, pixel by pixel, to draw new ones (scikit-learn, no download)",
    network=NetworkConfig(
        d_input=1,
        d_output=mixture_channels(N_MIX, 1),
        d_model=64,
        n_layers=6,
        kernel_size=4,
        max_length=64,
        kind="autoregressive",
        indep_res_init=True,
        dropout=0.1,
        n_values=N_VALUES,
    ),
    training=TrainingConfig(epochs=40, batch_size=50, lr=0.005, optimizer="adam", weight_decay=0.0),
    objective="density",
    load=load,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
)
