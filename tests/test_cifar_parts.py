"""CIFAR-10's parts, worked out once more from small files: which image stands where, as which numbers, and what is checked."""

import argparse
import hashlib
import tarfile

import numpy as np
import pytest

from multires_ref.tasks import cifar, get_task
from multires_ref.tasks.task import LoadOptions

RECORDS = 130  # in each file: more than the 100 that scale "tiny" keeps of a part
MEAN, STANDARD_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # of red, green and blue


@pytest.fixture
def written(tmp_path, monkeypatch):
    return write(tmp_path, monkeypatch, RECORDS)


def write(tmp_path, monkeypatch, records):
    """The folder, and the images [N, 3, 1024] and classes of the five training files, then of the test file."""
    rng, images, classes, hashes = np.random.default_rng(0), [], [], {}
    (tmp_path / "cifar").mkdir()
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        y, x = rng.integers(0, 10, records, np.uint8), rng.integers(0, 256, (records, 3072), np.uint8)
        data = b"".join(bytes([label]) + row.tobytes() for label, row in zip(y, x, strict=True))
        (tmp_path / "cifar" / f"{name}.bin").write_bytes(data)
        hashes[f"{name}.bin"] = hashlib.sha256(data).hexdigest()
        images.append(np.stack([x[:, :1024], x[:, 1024:2048], x[:, 2048:]], axis=1))
        classes.append(y)
    monkeypatch.setattr(cifar, "SHA256", hashes)
    monkeypatch.setattr(cifar, "RECORDS", records)
    return tmp_path / "cifar", np.concatenate(images[:5]), np.concatenate(classes[:5]), images[5], classes[5]


@pytest.mark.parametrize("scale", ["full", "tiny"])
@pytest.mark.parametrize(("load", "held_out"), [(cifar.load_classes, 65), (cifar.load_density, 26)])
def test_every_number_of_every_part(written, load, held_out, scale):
    """10 % of the training images are held out for the classes and 4 % for the density, by a seed of their own, in order."""
    folder, images, classes, test_images, test_classes = written
    order = np.random.default_rng(10).permutation(5 * RECORDS)
    most = 100 if scale == "tiny" else None
    rows = {"train": np.sort(order[held_out:][:most]), "val": np.sort(order[:held_out][:most])}
    expected = {part: (images[index], classes[index]) for part, index in rows.items()}
    expected["test"] = (test_images[:most], test_classes[:most])
    splits = load(LoadOptions(str(folder), scale))
    assert list(splits) == list(expected)
    for part, (pixels, labels) in expected.items():
        x, y = pixels / 127.5 - 1, pixels / 127.5 - 1
        if load is cifar.load_classes:
            x, y = (pixels / 255 - np.array(MEAN)[:, None]) / np.array(STANDARD_DEVIATION)[:, None], labels
        assert splits[part].x.dtype == np.float32
        np.testing.assert_allclose(splits[part].x, x, rtol=1e-5, atol=1e-6)
        assert splits[part].y.dtype == (np.int64 if load is cifar.load_classes else np.float32)
        np.testing.assert_allclose(splits[part].y, y, rtol=1e-5, atol=1e-6)


def test_few_images_leave_one_for_validation(tmp_path, monkeypatch):
    folder = write(tmp_path, monkeypatch, 1)[0]
    for load in (cifar.load_classes, cifar.load_density):
        assert [len(split) for split in load(LoadOptions(str(folder))).values()] == [4, 1, 1]


def parsed(folder, *words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    get_task("scifar10").add_data_arguments(parser)
    return parser.parse_args(["--data-dir", str(folder), *words])


def test_the_archive_is_fetched_with_the_hash_that_was_given(written, tmp_path):
    """And into the folder that was given; a file of another hash is refused before it is read."""
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in cifar.FILES:
            tar.add(written[0] / name, f"cifar-10-batches-bin/{name}")
    known = "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    for words in ((), ("--hash", "sha256:" + "0" * 64)):
        with pytest.raises(ValueError, match="hash"):
            cifar.prepare(parsed(tmp_path / "new", "--url", str(archive), *words))
        assert not (tmp_path / "new").exists()
    lines = cifar.prepare(parsed(tmp_path / "new", "--url", str(archive), "--hash", known))
    folder = tmp_path / "new" / "cifar-10-batches-bin"
    assert lines[0] == f"took the 6 files out of {archive}, hash {known}, and wrote them into {folder}"
    assert lines[1] == f"780 records in {folder}; every file is the original one, by its SHA-256 hash"
    for name in cifar.FILES:
        assert (folder / name).read_bytes() == (written[0] / name).read_bytes()
    assert cifar.prepare(parsed(tmp_path / "new", "--url", "nowhere")) == lines[1:]
    assert (parsed("x").url, parsed("x").hash) == (cifar.URL, cifar.HASH)


@pytest.mark.parametrize("name", cifar.FILES)
def test_every_file_is_checked(written, name):
    """By the `data` command, whichever it is; and one that is missing leaves no folder of the data."""
    path = written[0] / name
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name} differs from CIFAR-10's"):
        cifar.prepare(parsed(written[0]))
    path.unlink()
    with pytest.raises(FileNotFoundError, match="CIFAR-10: one of data_batch_1.bin to test_batch.bin is not in"):
        cifar.load_classes(LoadOptions(str(written[0])))


def test_the_python_version_is_recognised(tmp_path):
    """In the folder itself, or in the one that its archive makes."""
    for folder in (tmp_path / "a", tmp_path / "b" / "cifar-10-batches-py"):
        folder.mkdir(parents=True)
        (folder / "data_batch_1").touch()
    for name in ("a", "b"):
        with pytest.raises(FileNotFoundError, match="holds the Python version, which is not read"):
            cifar.load_density(LoadOptions(str(tmp_path / name)))


@pytest.mark.parametrize(("label", "good"), [(0, True), (9, True), (10, False), (255, False)])
def test_classes_go_from_0_to_9(label, good):
    data = bytes([1]) + bytes(3072) + bytes([label]) + bytes(3072)
    if good:
        assert cifar.split_records(data, "x")[1].tolist() == [1, label]
    else:
        with pytest.raises(ValueError, match=f"x: record 1 has class {label}; CIFAR-10's go from 0 to 9"):
            cifar.split_records(data, "x")
