"""CIFAR-10 from its binary files, made small: reading, normalising, fetching, and training runs through the command line."""

import functools
import hashlib
import json
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.network.init import parameter_shapes
from multires_ref.tasks import cifar, get_task
from multires_ref.tasks.task import LoadOptions


def write_files(folder, per_file=12, seed=0):
    """The six files with a few random images each; returns all training pixels [N, 3, 1024] and classes."""
    rng, pixels, classes = np.random.default_rng(seed), [], []
    folder.mkdir(parents=True)
    for name in (*cifar.TRAIN_FILES, cifar.TEST_FILE):
        y, x = rng.integers(0, 10, per_file, np.uint8), rng.integers(0, 256, (per_file, 3072), np.uint8)
        (folder / name).write_bytes(np.column_stack([y, x]).tobytes())
        pixels.append(x.reshape(-1, 3, 1024))
        classes.append(y)
    return np.concatenate(pixels[:-1]), np.concatenate(classes[:-1])


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path / "cifar")
    return tmp_path / "cifar"


def test_record_layout(tmp_path):
    """One record written by hand: class 3, red ramp, green 7, blue 255."""
    (tmp_path / "one.bin").write_bytes(bytes([3]) + bytes(n % 256 for n in range(1024)) + bytes([7] * 1024) + bytes([255] * 1024))
    x, y = cifar.read_batch(tmp_path / "one.bin")
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
    expected = (raw / 255.0 - cifar.MEAN.astype(float)) / cifar.DEVIATION
    assert splits["train"].x.dtype == np.float32
    np.testing.assert_allclose(splits["train"].x, expected, atol=1e-6)
    density = cifar.load_density(LoadOptions(str(folder)))["train"]
    assert (density.x.min(), density.x.max()) == (-1, 1)
    np.testing.assert_array_equal(density.x, density.y)
    np.testing.assert_allclose(np.unique(density.x), np.linspace(-1, 1, 256), atol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "0 bytes"), (bytes(3072), "3,072 bytes"), (bytes([10]) + bytes(3072), "class 10")]
)
def test_damaged_files_are_named(folder, data, message):
    (folder / "data_batch_2.bin").write_bytes(data)
    with pytest.raises(ValueError, match=rf"data_batch_2\.bin.*{message}"):
        cifar.load_classes(LoadOptions(str(folder)))


def test_missing_data_say_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for task in ("scifar10", "cifar10-density"):
        assert main(["train", task, "--out", "run"]) == 2
        message = capsys.readouterr().err
        assert "multires-ref data scifar10 --data-dir data/cifar10" in message
        assert cifar.URL in message
        assert not (tmp_path / "run").exists()


@pytest.fixture
def server(tmp_path):
    """The archive, made small, on a web server of this machine: its address and hash."""
    write_files(tmp_path / "web" / cifar.INSIDE)
    archive = tmp_path / "web" / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "web" / cifar.INSIDE, cifar.INSIDE)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "web")) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/{archive.name}", "md5:" + hashlib.md5(archive.read_bytes()).hexdigest()
        httpd.shutdown()


def test_fetching(tmp_path, server, capsys):
    pytest.importorskip("pooch", reason="pooch is not installed")
    url, known_hash = server
    arguments = ["data", "scifar10", "--data-dir", str(tmp_path / "here"), "--out", str(tmp_path / "a.png"), "--url", url]
    assert main([*arguments, "--hash", "md5:" + "0" * 32]) == 2
    assert "hash" in capsys.readouterr().err
    assert main([*arguments, "--hash", known_hash]) == 0
    printed = capsys.readouterr().out
    assert "72 records" in printed
    assert "not the full data set" in printed
    assert "airplane" in printed
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert main([*arguments, "--url", "http://127.0.0.1:9/none"]) == 0  # it is there: nothing is fetched
    assert main(["data", "scifar10", "--data-dir", str(tmp_path / "there"), "--url", "http://127.0.0.1:9/none"]) == 2
    assert "could not be fetched" in capsys.readouterr().err


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


def test_the_test_part_is_the_test_file(tmp_path):
    """Six files of one class each: whose class a part holds tells where it was read."""
    (tmp_path / "cifar").mkdir()
    for n, name in enumerate((*cifar.TRAIN_FILES, cifar.TEST_FILE)):
        (tmp_path / "cifar" / name).write_bytes(
            np.column_stack([np.full(10, n, np.uint8), np.zeros((10, 3072), np.uint8)]).tobytes()
        )
    splits = cifar.load_classes(LoadOptions(str(tmp_path / "cifar")))
    assert set(splits["test"].y.tolist()) == {5}
    assert set(splits["train"].y.tolist()) | set(splits["val"].y.tolist()) == {0, 1, 2, 3, 4}


def test_the_validation_part_is_drawn_from_all_training_files(tmp_path):
    """And is the same in every run."""
    write_files(tmp_path / "cifar", per_file=100)
    parts = [cifar.read_parts(LoadOptions(str(tmp_path / "cifar")), 0.10) for _ in range(2)]
    np.testing.assert_array_equal(parts[0]["val"][0], parts[1]["val"][0])
    pixels, _ = write_files(tmp_path / "again", per_file=100)
    places = [next(n for n, image in enumerate(pixels) if (image == held).all()) for held in parts[0]["val"][0]]
    assert {place // 100 for place in places} == {0, 1, 2, 3, 4}
    assert [len(f(LoadOptions(str(tmp_path / "cifar")))["val"]) for f in (cifar.load_classes, cifar.load_density)] == [50, 20]
