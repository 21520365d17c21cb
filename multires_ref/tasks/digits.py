"""scikit-learn's 1,797 handwritten digits, each 8 x 8 image read as a sequence of 64 pixels: their classes, and their density.

No download. The density is the small sibling of the paper's CIFAR-10 density.
"""

from __future__ import annotations

import numpy as np

from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .task import LoadOptions, Task, density_network

SPLIT_SEED = 1797  # of the division into parts: its own, so that every run sees the same parts
TEST, VALIDATION = 360, 180  # examples; the other 1,257 are for training
N_VALUES = 17  # the pixels are whole numbers 0 ... 16
N_MIX = 5


def load(options: LoadOptions) -> dict[str, Split]:
    """Training (1,257), validation (180) and test (360) parts, disjoint and stratified.

    Images are rows of 64 pixels [N, 1, 64], float32: minus the mean of all training pixels, divided by their standard deviation.

    Examples
    --------
    >>> {name: split.x.shape for name, split in load(LoadOptions()).items()}
    {'train': (1257, 1, 64), 'val': (180, 1, 64), 'test': (360, 1, 64)}
    """
    images, digits, parts = read_images()
    training = images[parts["train"]]
    x = (images - training.mean()) / training.std()
    return in_parts(x.astype(np.float32)[:, None, :], digits, parts, options.scale)


def load_density(options: LoadOptions) -> dict[str, Split]:
    """The same parts, pixels mapped from 0 ... 16 to [-1, 1]; the target is the image itself.

    Examples
    --------
    >>> train = load_density(LoadOptions())["train"]
    >>> train.x.shape, float(train.x.min()), float(train.x.max())
    ((1257, 1, 64), -1.0, 1.0)
    """
    images, _, parts = read_images()
    x = (images / (0.5 * (N_VALUES - 1)) - 1).astype(np.float32)[:, None, :]  # [1797, 1, 64]
    return in_parts(x, x, parts, options.scale)


def read_images() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Pixels [1797, 64] of 0 ... 16, the digits [1797], and the indices of the three parts."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images, digits, stratified_parts(digits)


def stratified_parts(classes: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the three parts, shuffled with a seed of their own; each has the classes in the same shares."""
    from sklearn.model_selection import train_test_split

    rest, test = train_test_split(np.arange(len(classes)), test_size=TEST, stratify=classes, random_state=SPLIT_SEED)
    train, val = train_test_split(rest, test_size=VALIDATION, stratify=classes[rest], random_state=SPLIT_SEED)
    return {"train": train, "val": val, "test": test}


def in_parts(x: np.ndarray, y: np.ndarray, parts: dict[str, np.ndarray], scale: str) -> dict[str, Split]:
    """The parts as splits; under scale "tiny" the first 64 examples of each."""
    keep = slice(None) if scale == "full" else slice(64)
    return {name: Split(x[index[keep]], y[index[keep]]) for name, index in parts.items()}


CLASSIFY = Task(
    name="digits",
    title="handwritten digits, 8 x 8 pixels read as sequences of 64 (scikit-learn, no download)",
    network=NetworkConfig(
        d_input=1, d_output=10, d_model=48, n_layers=4, kernel_size=4, max_length=64, norm="batch", dropout=0.1
    ),
    training=TrainingConfig(epochs=30, batch_size=50, lr=0.01, weight_decay=0.01),
    objective="classification",
    load=load,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
    reproduced="test accuracy 99.4, 99.2 and 99.4 % for seeds 1, 2 and 3: multires-ref train digits --seed N",
    labels=tuple("0123456789"),
)
DENSITY = Task(
    name="digits-density",
    title="the density of the 8 x 8 digits, pixel by pixel, to draw new ones (scikit-learn, no download)",
    network=density_network(1, N_MIX, d_model=64, n_layers=6, max_length=64, n_values=N_VALUES),
    training=TrainingConfig(epochs=40, batch_size=50, lr=0.005, optimizer="adam", weight_decay=0.0),
    objective="density",
    load=load_density,
    tiny={"d_model": 8, "n_layers": 2, "epochs": 2},
)
TASKS = (CLASSIFY, DENSITY)
