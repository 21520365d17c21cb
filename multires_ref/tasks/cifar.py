"""CIFAR-10 read pixel by pixel: sequential classification, and the density.

The files, and how they are read and fetched: `cifar_data.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..network.config import NetworkConfig, mixture_channels
from ..training.config import TrainingConfig
from ..training.data import Split
from .cifar_data import CLASSES, FILES, FOLDER, HASH, TEST_FILE, TRAIN_FILES, URL, fetch, find_folder, read_original
from .task import LoadOptions, Task

MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)[:, None]  # [3, 1], of red, green and blue in [0, 1]
DEVIATION = np.array([0.2023, 0.1994, 0.2010], np.float32)[:, None]
SPLIT_SEED = 10  # of the validation part: its own, so that every run sees the same parts
N_MIX = 10


def read_parts(options: LoadOptions, validation_share: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels and classes, as bytes, of the three parts; validation is drawn from the training files, the same in every run."""
    folder = find_folder(options.data_dir)
    batches = [read_original(folder / name) for name in TRAIN_FILES]
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    n_val = max(1, round(validation_share * len(x)))
    keep = slice(None) if options.scale == "full" else slice(100)
    train, val = np.sort(order[n_val:][keep]), np.sort(order[:n_val][keep])
    test_x, test_y = read_original(folder / TEST_FILE)
    return {"train": (x[train], y[train]), "val": (x[val], y[val]), "test": (test_x[keep], test_y[keep])}


def normalised(pixels: np.ndarray) -> np.ndarray:
    """Bytes [N, 3, 1024] as float32, less the mean and over the deviation of each colour.

    Examples
    --------
    >>> normalised(np.full((1, 3, 1), 255, np.uint8)).ravel().round(3)
    array([2.514, 2.597, 2.754], dtype=float32)
    """
    return ((pixels / np.float32(255)) - MEAN) / DEVIATION


def centred(pixels: np.ndarray) -> np.ndarray:
    """Bytes as float32 in [-1, 1]: the 256 values of the density.

    Examples
    --------
    >>> centred(np.array([0, 51, 255], np.uint8))
    array([-1. , -0.6,  1. ], dtype=float32)
    """
    return pixels / np.float32(127.5) - 1


def load_classes(options: LoadOptions) -> dict[str, Split]:
    """Normalised images and their classes; 10 % of the training images are for validation."""
    return {name: Split(normalised(x), y.astype(np.int64)) for name, (x, y) in read_parts(options, 0.10).items()}


def load_density(options: LoadOptions) -> dict[str, Split]:
    """Images in [-1, 1], their own targets; 4 % of the training images are for validation."""
    parts = {name: centred(x) for name, (x, _) in read_parts(options, 0.04).items()}
    return {name: Split(x, x) for name, x in parts.items()}


def add_data_arguments(parser: argparse.ArgumentParser, task: str) -> None:
    """What `multires-ref data scifar10` can be given."""
    parser.add_argument(
        "--url",
        default=URL,
        help="where to fetch the archive if the six files are not there: an address or a file (default: %(default)s)",
    )
    parser.add_argument(
        "--hash", default=HASH, help="the hash that the archive must have, such as sha256:... or md5:... (default: %(default)s)"
    )


def prepare(args: argparse.Namespace) -> list[str]:
    """Fetch the archive and take the files out of it if they are not there; check every file; say what was done."""
    lines = []
    try:
        folder = find_folder(args.data_dir)
    except FileNotFoundError:
        folder = fetch(Path(args.data_dir or FOLDER), args.url, args.hash)
        lines.append(f"took the {len(FILES)} files out of {args.url}, hash {args.hash}, and wrote them into {folder}")
    count = sum(len(read_original(folder / name)[1]) for name in FILES)
    return [*lines, f"{count:,} records in {folder}; every file is the original one, by its SHA-256 hash"]


CLASSIFY = Task(
    name="scifar10",
    title="sequential CIFAR-10: the class of a 32 x 32 image read pixel by pixel",
    network=NetworkConfig(d_input=3, d_output=10, d_model=256, n_layers=10, kernel_size=2, max_length=1024, dropout=0.25),
    training=TrainingConfig(epochs=250, batch_size=50, lr=0.0045, weight_decay=0.01),
    objective="classification",
    load=load_classes,
    tiny={"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 20},
    published="93.15 % test accuracy (92.16 % with filters untied across levels)",
    labels=CLASSES,
)
DENSITY = Task(
    name="cifar10-density",
    title="the density of CIFAR-10, pixel by pixel and colour by colour",
    network=NetworkConfig(
        d_input=3,
        d_output=mixture_channels(N_MIX, 3),
        d_model=512,
        n_layers=48,
        kernel_size=4,
        max_length=1024,
        kind="autoregressive",
        indep_res_init=True,
        dropout=0.1,
    ),
    training=TrainingConfig(epochs=250, batch_size=64, lr=0.001, optimizer="adam", weight_decay=0.0),
    objective="density",
    load=load_density,
    tiny={"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 20},
    published="2.84 bits per dimension on the test images",
)
TASKS = {task.name: task for task in (CLASSIFY, DENSITY)}
