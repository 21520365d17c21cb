"""CIFAR-10's files: the binary version, checked against the originals' hashes, and taken out of an archive safely.

data_batch_1.bin ... data_batch_5.bin and test_batch.bin hold 10,000 records each: one byte of class and 3,072 bytes of pixels,
the 1,024 red ones row by row, then green, then blue. So a record is the sequence [3, 1024] as it stands. The Python version of
the data set, pickles, is not read at all: a pickle can run code.

Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ..base.archives import check_hash, read_members, split_hash
from ..base.files import regular_file, write_whole
from .folder import absent, data_folder

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
