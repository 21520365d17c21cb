"""CIFAR-10 read pixel by pixel: sequential classification, and the density.

The data set's binary version: data_batch_1.bin ... data_batch_5.bin and test_batch.bin, each record one byte of class and 3,072
bytes of pixels, the 1,024 red ones row by row, then green, then blue. So a record is the sequence [3, 1024] as it stands.
Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..network.config import NetworkConfig, mixture_channels
from ..training.config import TrainingConfig
from ..training.data import Split
from .task import LoadOptions, Task

FOLDER = "data/cifar10"
INSIDE = "cifar-10-batches-bin"  # the folder that the archive holds
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
HASH = "md5:c32a1d4ab5d03f1284b67883e8d87530"
TRAIN_FILES = tuple(f"data_batch_{n}.bin" for n in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 1024
MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)[:, None]  # [3, 1], of red, green and blue in [0, 1]
DEVIATION = np.array([0.2023, 0.1994, 0.2010], np.float32)[:, None]
SPLIT_SEED = 10  # of the validation part: its own, so that every run sees the same parts
N_MIX = 10


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 3, 1024] and classes [N] of one file, as bytes.

    Raises
    ------
    ValueError
        If the file is not a whole number of records, or a class is above 9.
    """
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % RECORD:
        raise ValueError(f"{path} must hold records of {RECORD:,} bytes; it has {len(data):,} bytes: fetch it again")
    records = data.reshape(-1, RECORD)
    if records[:, 0].max() > 9:
        raise ValueError(f"{path} holds class {records[:, 0].max()}; CIFAR-10's go from 0 to 9 (this is not its binary version)")
    return records[:, 1:].reshape(-1, 3, 1024), records[:, 0]


def find_folder(data_dir: str | None) -> Path:
    """The folder with the six files: `data_dir` itself or the archive's folder in it.

    Raises
    ------
    FileNotFoundError
        With what to fetch and where to put it.
    """
    place = Path(data_dir or FOLDER)
    for folder in (place, place / INSIDE):
        if all((folder / name).exists() for name in (*TRAIN_FILES, TEST_FILE)):
            return folder
    raise FileNotFoundError(
        f"CIFAR-10: {TRAIN_FILES[0]} to {TEST_FILE} are not in {place} or {place / INSIDE}. "
        f"Fetch them with `multires-ref data scifar10 --data-dir {place}`, "
        f"or unpack {URL} there, or say with --data-dir where they are."
    )


def read_parts(options: LoadOptions, validation_share: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pixels and classes, as bytes, of the three parts; validation is drawn from the training files, the same in every run."""
    folder = find_folder(options.data_dir)
    batches = [read_batch(folder / name) for name in TRAIN_FILES]
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
    n_val = max(1, round(validation_share * len(x)))
    keep = slice(None) if options.scale == "full" else slice(100)
    train, val = np.sort(order[n_val:][keep]), np.sort(order[:n_val][keep])
    test_x, test_y = read_batch(folder / TEST_FILE)
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
    """Bytes as float32 in [-1, 1]: the 256 levels of the density.

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
    """What `multires-ref data scifar10` can be told."""
    parser.add_argument("--url", default=URL, help="where to fetch the archive if it is not there (default: %(default)s)")
    parser.add_argument("--hash", default=HASH, help="what the archive must hash to (default: %(default)s)")


def prepare(args: argparse.Namespace) -> list[str]:
    """Fetch and unpack the archive if the files are not there; check every record; say what was done."""
    lines = []
    try:
        folder = find_folder(args.data_dir)
    except FileNotFoundError:
        fetch(Path(args.data_dir or FOLDER), args.url, args.hash)
        folder = find_folder(args.data_dir)
        lines.append(f"fetched {args.url}, hash {args.hash}, and unpacked it into {folder}")
    counts = {name: len(read_batch(folder / name)[1]) for name in (*TRAIN_FILES, TEST_FILE)}
    odd = {name: count for name, count in counts.items() if count != 10_000}
    lines.append(f"{sum(counts.values()):,} records in {folder}; every file is whole")
    return lines + ([f"not the full data set, whose files have 10,000 records each: {odd}"] if odd else [])


def fetch(place: Path, url: str, known_hash: str) -> None:
    """Download the archive into `place` with pooch, check its hash, unpack it there."""
    try:
        import pooch
        import requests
    except ImportError:
        raise ImportError("fetching CIFAR-10 needs pooch: pip install pooch") from None
    try:
        pooch.retrieve(
            url, known_hash, fname="cifar-10-binary.tar.gz", path=place, processor=pooch.Untar(extract_dir=place.resolve())
        )
    except (requests.RequestException, OSError) as error:
        raise FileNotFoundError(
            f"CIFAR-10 is not in {place} and could not be fetched ({error}). "
            f"Unpack {url} there, or say with --data-dir where it is."
        ) from None


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
