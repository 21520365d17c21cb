"""CIFAR-10 read pixel by pixel: sequential classification, and the density.

data_batch_1.bin ... data_batch_5.bin and test_batch.bin hold 10,000 records each: one byte of class and 3,072 bytes of pixels,
the 1,024 red ones row by row, then green, then blue. So a record is the sequence [3, 1024] as it stands. The Python version of
the data set, pickles, is not read at all: a pickle can run code.

Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).

The files are checked against the originals' hashes, and taken out of an archive safely.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np

from ..base.archives import check_hash, read_members, split_hash
from ..base.files import regular_file, write_whole
from ..network.config import NetworkConfig
from ..training.config import TrainingConfig
from ..training.data import Split
from .task import LoadOptions, Task, absent, data_folder, density_network

FOLDER = "data/cifar10"
INSIDE = "cifar-10-batches-bin"  # the folder that the archive holds
ARCHIVE = "cifar-10-binary.tar.gz"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
# That page gives an MD5 hash, c32a1d4ab5d03f1284b67883e8d87530, which is no protection against a file made to match it. This is
# the SHA-256 hash of the same archive (170,052,171 bytes) that TensorFlow Datasets, torchvision for Ruby and GoMLX check.
HASH = "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
TRAIN_FILES = tuple(f"data_batch_{n}.bin" for n in range(1, 6))
TEST_FILE = "test_batch.bin"
FILES = (*TRAIN_FILES, TEST_FILE)
SHA256 = {  # of the files, as torchvision for Ruby lists them
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
RECORDS = 10_000  # in each file
RECORD = 1 + 3 * 1024  # bytes
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)[:, None]  # [3, 1], of red, green and blue in [0, 1]
STANDARD_DEVIATION = np.array([0.2023, 0.1994, 0.2010], np.float32)[:, None]
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
    """Bytes [N, 3, 1024] as float32, minus the mean of each colour, divided by its standard deviation.

    Examples
    --------
    >>> normalised(np.full((1, 3, 1), 255, np.uint8)).ravel().round(3)
    array([2.514, 2.597, 2.754], dtype=float32)
    """
    return ((pixels / np.float32(255)) - MEAN) / STANDARD_DEVIATION


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


def find_folder(data_dir: str | None) -> Path:
    """The folder with the six files: `data_dir` itself or the archive's folder in it.

    Raises
    ------
    FileNotFoundError
        With what to fetch and where to put it.
    ValueError
        If `data_dir` is a file.
    """
    place = data_folder("CIFAR-10", data_dir, FOLDER, f"{TRAIN_FILES[0]} to {TEST_FILE}")
    for folder in (place, place / INSIDE):
        if all((folder / name).exists() for name in FILES):
            return folder
    pickled = [folder for folder in (place, place / "cifar-10-batches-py") if (folder / "data_batch_1").exists()]
    version = f"{pickled[0]} holds the Python version, which is not read, because pickles can run code. " if pickled else ""
    advice = (
        f"{version}Fetch them with `multires-ref data scifar10 --data-dir {place}`, "
        f"or unpack {URL} there, or say with --data-dir where they are."
    )
    raise absent("CIFAR-10", f"one of {TRAIN_FILES[0]} to {TEST_FILE}", place, advice)


def read_original(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 3, 1024] and classes [N] of one of the six files, as bytes.

    Raises
    ------
    ValueError
        If the file has another size than the original, or other content, by its SHA-256 hash.
    """
    size = regular_file(path).stat().st_size
    if size != RECORDS * RECORD:
        raise ValueError(f"{path} must hold {RECORDS:,} records of {RECORD:,} bytes; it has {size:,} bytes: fetch it again")
    data = path.read_bytes()
    check_content(path, data)
    return split_records(data, path)


def check_content(path: str | Path, data: bytes) -> None:
    """Raise a ValueError unless the SHA-256 hash of a file's bytes is the original's."""
    found, expected = hashlib.sha256(data).hexdigest(), SHA256[Path(path).name]
    if found != expected:
        raise ValueError(f"{path} differs from CIFAR-10's: its SHA-256 is {found}, {expected} was expected: fetch it again")


def split_records(data: bytes, where: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 3, 1024] and classes [N] of whole records; a ValueError that begins with `where` for a class above 9."""
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    wrong = np.flatnonzero(records[:, 0] > 9)
    if len(wrong):
        raise ValueError(f"{where}: record {wrong[0]} has class {records[wrong[0], 0]}; CIFAR-10's go from 0 to 9")
    return records[:, 1:].reshape(-1, 3, 1024), records[:, 0]


def fetch(place: Path, url: str, known_hash: str) -> Path:
    """Take the six files out of the archive at `url` (an address, or a file) and write them into `place`.

    The archive's hash is checked before anything in it is read, and every file's before any is written.

    Returns
    -------
    Path
        The folder with the files.
    """
    split_hash(known_hash)
    archive = download(place, url, known_hash) if "://" in url else regular_file(url)
    check_hash(archive, known_hash)
    found = read_members(archive, {f"{INSIDE}/{name}": RECORDS * RECORD for name in FILES})
    for name, data in found.items():
        check_content(name, data)
    (place / INSIDE).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        write_whole(place / INSIDE / name, found[f"{INSIDE}/{name}"])
    return place / INSIDE


def download(place: Path, url: str, known_hash: str) -> Path:
    """The archive, downloaded into `place` with pooch; one that is there with that hash is not downloaded again."""
    try:
        import pooch
        import requests
    except ImportError:
        raise ImportError("fetching CIFAR-10 needs pooch: pip install pooch") from None
    try:
        return Path(pooch.retrieve(url, known_hash, fname=ARCHIVE, path=place))
    except (requests.RequestException, OSError) as error:
        raise FileNotFoundError(
            f"CIFAR-10 is not in {place} and could not be fetched ({error}). "
            f"Unpack {url} there, or say with --data-dir where it is."
        ) from None


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
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
    add_data_arguments=add_data_arguments,
    prepare=prepare,
)
DENSITY = Task(
    name="cifar10-density",
    title="the density of CIFAR-10, pixel by pixel and colour by colour",
    network=density_network(3, N_MIX, d_model=512, n_layers=48, max_length=1024),
    training=TrainingConfig(epochs=250, batch_size=64, lr=0.001, optimizer="adam", weight_decay=0.0),
    objective="density",
    load=load_density,
    tiny={"d_model": 16, "n_layers": 2, "epochs": 2, "batch_size": 20},
    published="2.84 bits per dimension on the test images",
    add_data_arguments=add_data_arguments,
    prepare=prepare,
)
TASKS = (CLASSIFY, DENSITY)
