"""CIFAR-10 from its binary files, made small: reading, normalising, fetching, and training runs through the command line."""

import functools
import gzip
import hashlib
import json
import os
import tarfile
import threading
import tracemalloc
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from multires_ref.base.archives import read_members
from multires_ref.cli import main
from multires_ref.network.init import parameter_shapes
from multires_ref.tasks import cifar, get_task
from multires_ref.tasks.task import LoadOptions

RECORDS = 12  # in each of the small files that stand for the originals here


def write_files(folder, seed=0):
    """The six files with a few random images each; returns all training pixels [N, 3, 1024] and classes."""
    rng, pixels, classes = np.random.default_rng(seed), [], []
    folder.mkdir(parents=True)
    for name in cifar.FILES:
        y, x = rng.integers(0, 10, RECORDS, np.uint8), rng.integers(0, 256, (RECORDS, 3072), np.uint8)
        (folder / name).write_bytes(np.column_stack([y, x]).tobytes())
        pixels.append(x.reshape(-1, 3, 1024))
        classes.append(y)
    return np.concatenate(pixels[:-1]), np.concatenate(classes[:-1])


@pytest.fixture(autouse=True)
def originals(tmp_path_factory, monkeypatch):
    """The small files of seed 0 count as the originals."""
    folder = tmp_path_factory.mktemp("originals") / "cifar"
    write_files(folder)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in cifar.FILES}
    monkeypatch.setattr(cifar, "SHA256", hashes)
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path / "cifar")
    return tmp_path / "cifar"


def test_record_layout():
    """One record written by hand: class 3, red ramp, green 7, blue 255."""
    data = bytes([3]) + bytes(n % 256 for n in range(1024)) + bytes([7] * 1024) + bytes([255] * 1024)
    x, y = cifar.split_records(data, "one.bin")
    assert (x.shape, y.tolist()) == ((1, 3, 1024), [3])
    assert x[0, :, 5].tolist() == [5, 7, 255]


def test_parts_are_disjoint_and_complete(tmp_path):
    pixels, classes = write_files(tmp_path / "cifar")
    for share, n_val in ((0.10, 6), (0.04, 2)):
        parts = cifar.read_parts(LoadOptions(str(tmp_path / "cifar")), share)
        assert [len(parts[name][1]) for name in ("train", "val", "test")] == [60 - n_val, n_val, 12]
        together = np.concatenate([parts["train"][0], parts["val"][0]])
        assert {image.tobytes() for image in together} == {image.tobytes() for image in pixels}
        assert sorted(np.concatenate([parts["train"][1], parts["val"][1]])) == sorted(classes)


def test_numbers(folder):
    splits = cifar.load_classes(LoadOptions(str(folder)))
    raw = cifar.read_parts(LoadOptions(str(folder)), 0.10)["train"][0]
    expected = (raw / 255.0 - cifar.MEAN.astype(float)) / cifar.STANDARD_DEVIATION
    assert splits["train"].x.dtype == np.float32
    np.testing.assert_allclose(splits["train"].x, expected, atol=1e-6)
    density = cifar.load_density(LoadOptions(str(folder)))["train"]
    assert (density.x.min(), density.x.max()) == (-1, 1)
    np.testing.assert_array_equal(density.x, density.y)
    np.testing.assert_allclose(np.unique(density.x), np.linspace(-1, 1, 256), atol=1e-6)


@pytest.mark.parametrize("records", [0, RECORDS - 1, RECORDS + 1, 0.5])
def test_files_of_another_size_are_named(folder, records):
    size = int(records * cifar.RECORD)
    (folder / "data_batch_2.bin").write_bytes(bytes(size))
    with pytest.raises(ValueError, match=rf"data_batch_2\.bin must hold 12 records of 3,073 bytes; it has {size:,} bytes"):
        cifar.load_classes(LoadOptions(str(folder)))


def test_one_changed_pixel_is_noticed(folder):
    data = bytearray((folder / "test_batch.bin").read_bytes())
    data[5000] ^= 1
    (folder / "test_batch.bin").write_bytes(data)
    with pytest.raises(ValueError, match=r"test_batch\.bin differs from CIFAR-10's: its SHA-256 is \w{64}, \w{64} was expected"):
        cifar.load_density(LoadOptions(str(folder)))


def test_an_unknown_class_is_named():
    with pytest.raises(ValueError, match=r"other\.bin: record 1 has class 10; CIFAR-10's go from 0 to 9"):
        cifar.split_records(bytes(3073) + bytes([10]) + bytes(3072), "other.bin")


def test_a_pipe_is_refused_without_waiting(folder):
    (folder / "data_batch_3.bin").unlink()
    os.mkfifo(folder / "data_batch_3.bin")
    with pytest.raises(ValueError, match=r"data_batch_3\.bin must be a file; it is a pipe"):
        cifar.load_classes(LoadOptions(str(folder)))


def test_folders_that_hold_no_data(tmp_path):
    """One sentence for each: nothing there, empty, a file, other files, the Python version."""
    cases = {"nowhere": "does not exist", "empty": "is empty", "python": "holds other files"}
    for name in ("empty", "python"):
        (tmp_path / name).mkdir()
    (tmp_path / "python" / "data_batch_1").touch()
    for name, state in cases.items():
        with pytest.raises(
            FileNotFoundError, match=rf"data_batch_1\.bin to test_batch\.bin is not in .*{name}, which {state}"
        ) as error:
            cifar.load_classes(LoadOptions(str(tmp_path / name)))
        assert ("the Python version, which is not read, because pickles can run code" in str(error.value)) == (name == "python")
    with pytest.raises(
        ValueError, match=r"data_batch_1 is a file; a folder with data_batch_1\.bin to test_batch\.bin is expected"
    ):
        cifar.load_classes(LoadOptions(str(tmp_path / "python" / "data_batch_1")))


def test_missing_data_say_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for task in ("scifar10", "cifar10-density"):
        assert main(["train", task, "--out", "run"]) == 2
        message = capsys.readouterr().err
        assert "multires-ref data scifar10 --data-dir data/cifar10" in message
        assert cifar.URL in message
        assert not (tmp_path / "run").exists()


def make_archive(path, members):
    """A .tar.gz of (TarInfo or name, bytes) pairs, in order; returns its hash."""
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size = len(data)
            # whatever its header claims
            tar.fileobj.write(info.tobuf(format=tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def members(folder):
    """What the real archive holds, made small."""
    inside = cifar.INSIDE
    files = [(f"{inside}/{name}", (folder / name).read_bytes()) for name in cifar.FILES]
    return [(f"{inside}/readme.html", b"<html>"), *files, (f"{inside}/batches.meta.txt", b"airplane")]


@pytest.fixture
def server(tmp_path, members):
    """The archive on a web server of this machine: its address and hash."""
    (tmp_path / "web").mkdir()
    known_hash = make_archive(tmp_path / "web" / "cifar-10-binary.tar.gz", members)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "web")) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/cifar-10-binary.tar.gz", known_hash
        httpd.shutdown()


def test_fetching(tmp_path, server, capsys):
    pytest.importorskip("pooch", reason="pooch is not installed")
    url, known_hash = server
    arguments = ["data", "scifar10", "--data-dir", str(tmp_path / "here"), "--out", str(tmp_path / "a.png"), "--url", url]
    assert main([*arguments, "--hash", "md5:" + "0" * 32]) == 2
    assert "hash" in capsys.readouterr().err
    assert main([*arguments, "--hash", "md5:0"]) == 2
    assert "the hash must have 32 hexadecimal digits" in capsys.readouterr().err
    assert main([*arguments, "--hash", known_hash]) == 0
    printed = capsys.readouterr().out
    assert "72 records" in printed
    assert "every file is the original one" in printed
    assert "airplane" in printed
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert main([*arguments, "--url", "http://127.0.0.1:9/none"]) == 0  # it is there: nothing is fetched
    assert main(["data", "scifar10", "--data-dir", str(tmp_path / "there"), "--url", "http://127.0.0.1:9/none"]) == 2
    assert "could not be fetched" in capsys.readouterr().err


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def claiming(name, size):
    """A member whose header claims `size` bytes."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info, bytes(min(size, 100))


FIRST = f"{cifar.INSIDE}/data_batch_1.bin"
HOSTILE = {  # name -> (what is added before the genuine members, what the message says)
    "parent": (("../evil", b"x"), "leads out of its folder"),
    "deep parent": ((f"{cifar.INSIDE}/../../evil", b"x"), "leads out of its folder"),
    "absolute": (("/evil", b"x"), "leads out of its folder"),
    "symbolic link": (link(cifar.INSIDE, "..", tarfile.SYMTYPE), "is a link, a device"),
    "link to a file": (link(FIRST, "/etc/passwd", tarfile.SYMTYPE), "is a link, a device"),
    "hard link": (link(FIRST, "../evil", tarfile.LNKTYPE), "is a link, a device"),
    "device": (link("zero", "", tarfile.CHRTYPE), "is a link, a device"),
    "pipe": (link("pipe", "", tarfile.FIFOTYPE), "is a link, a device"),
    "another size": ((FIRST, b"x"), "must be a file of 36,876 bytes; it has 1"),
    "folder": (link(FIRST, "", tarfile.DIRTYPE), "must be a file of 36,876 bytes"),
    "absurd size": (claiming(FIRST, 2**40), "must be a file of 36,876 bytes; it has 1,099,511,627,776"),
    "large stranger": ((f"{cifar.INSIDE}/more", bytes(10**6)), "it holds more than the expected files"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_writes_nothing_outside_its_folder(tmp_path, members, kind):
    added, words = HOSTILE[kind]
    known_hash = make_archive(tmp_path / "x.tar.gz", [added, *members])
    with pytest.raises(ValueError, match=words) as error:
        cifar.fetch(tmp_path / "deep" / "here", str(tmp_path / "x.tar.gz"), known_hash)
    assert "x.tar.gz cannot be used" in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"x.tar.gz", "cifar"}  # not even the folder is made


def test_an_archive_that_is_damaged_or_not_whole(tmp_path, members):
    here = tmp_path / "x.tar.gz"
    cases = {
        "stands in it twice": [*members, members[1]],
        r"test_batch\.bin must be in it": [m for m in members if "test" not in m[0]],
    }
    for words, changed in cases.items():
        with pytest.raises(ValueError, match=words):
            cifar.fetch(tmp_path / "out", str(here), make_archive(here, changed))
    other = [(name, data[::-1] if "batch_4" in name else data) for name, data in members]
    with pytest.raises(ValueError, match=r"data_batch_4\.bin differs from CIFAR-10's"):
        cifar.fetch(tmp_path / "out", str(here), make_archive(here, other))
    make_archive(here, members)
    whole = here.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\x1f\x8b", b"PK\x03\x04" + whole, whole[:1000] + bytes(100) + whole[1100:]):
        here.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"x\.tar\.gz cannot be used|differs from CIFAR-10's"):
            cifar.fetch(tmp_path / "out", str(here), "sha256:" + hashlib.sha256(damaged).hexdigest())
        with pytest.raises(ValueError, match="is damaged or is another file"):
            cifar.fetch(tmp_path / "out", str(here), cifar.HASH)
    assert not (tmp_path / "out").exists()


def test_a_local_archive_takes_the_same_path(tmp_path, members):
    known_hash = make_archive(tmp_path / "x.tar.gz", members)
    folder = cifar.fetch(tmp_path / "out", str(tmp_path / "x.tar.gz"), known_hash)
    assert sorted(path.name for path in folder.iterdir()) == sorted(cifar.FILES)  # and nothing else
    assert len(cifar.load_classes(LoadOptions(str(tmp_path / "out")))["train"]) == 54


def test_a_small_archive_cannot_fill_the_memory(tmp_path, members):
    """300 MB of zeros in 300 KB, as an extended header, which Python would read at once."""
    info = tarfile.TarInfo("h")
    info.type, info.size = tarfile.XHDTYPE, 3 * 10**8
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(300):
            file.write(bytes(10**6))
    tracemalloc.start()
    with pytest.raises(ValueError, match="it holds more than the expected files"):
        read_members(tmp_path / "x.tar.gz", {FIRST: 100})
    assert tracemalloc.get_traced_memory()[1] < 5 * 10**6
    tracemalloc.stop()


@pytest.mark.parametrize(("task", "score"), [("scifar10", "test_accuracy"), ("cifar10-density", "test_bits_per_dim")])
def test_a_tiny_run(folder, tmp_path, task, score):
    settings = ["--epochs", "1", "--d-model", "4", "--n-layers", "1"]
    assert (
        main(["train", task, "--scale", "tiny", "--data-dir", str(folder), "--out", str(tmp_path / "run"), "--quiet", *settings])
        == 0
    )
    assert np.isfinite(json.loads((tmp_path / "run" / "metrics.json").read_text())[score])


@pytest.mark.parametrize(
    ("task", "count", "J"), [("scifar10", 1_365_514, 10), ("cifar10-density", 38_391_908, 9), ("listops", 361_994, 10)]
)
def test_parameter_counts_of_the_paper(task, count, J):
    network = get_task(task).network
    assert sum(int(np.prod(shape)) for shape in parameter_shapes(network).values()) == count
    assert network.J == J


def test_the_test_part_is_the_test_file(tmp_path, monkeypatch):
    """Six files of one class each: whose class a part holds tells where it was read."""
    (tmp_path / "cifar").mkdir()
    hashes = {}
    for n, name in enumerate(cifar.FILES):
        data = np.column_stack([np.full(RECORDS, n, np.uint8), np.zeros((RECORDS, 3072), np.uint8)]).tobytes()
        (tmp_path / "cifar" / name).write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(cifar, "SHA256", hashes)
    splits = cifar.load_classes(LoadOptions(str(tmp_path / "cifar")))
    assert set(splits["test"].y.tolist()) == {5}
    assert set(splits["train"].y.tolist()) | set(splits["val"].y.tolist()) == {0, 1, 2, 3, 4}


def test_the_validation_part_is_drawn_from_all_training_files(tmp_path):
    """And is the same in every run."""
    pixels, _ = write_files(tmp_path / "cifar")
    parts = [cifar.read_parts(LoadOptions(str(tmp_path / "cifar")), 0.10) for _ in range(2)]
    np.testing.assert_array_equal(parts[0]["val"][0], parts[1]["val"][0])
    places = [next(n for n, image in enumerate(pixels) if (image == held).all()) for held in parts[0]["val"][0]]
    assert len({place // RECORDS for place in places}) >= 3  # six places in five files
    assert [len(f(LoadOptions(str(tmp_path / "cifar")))["val"]) for f in (cifar.load_classes, cifar.load_density)] == [6, 2]
