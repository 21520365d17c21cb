"""MNIST-1D: the parts that the task makes of the package's data, and the package's data themselves where it is installed."""

import random
import socket
import sys
import zlib
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions

NAMES = ("mnist1d", "mnist1d-shuffled")
# CRC-32 of x, float32, as NumPy 2.0 with SciPy 1.13 and NumPy 2.3 with SciPy 1.17 give it alike, and of y
CRCS = {
    "mnist1d": {"x": (0xE2103F5B, 0x0D5961C2), "y": (0x07CBDAED, 0x522376E6)},
    "mnist1d-shuffled": {"x": (0xB9A5AC34, 0x8A3C6A3B), "y": (0x07CBDAED, 0x522376E6)},
}


def drawn(args):
    """Data as the package draws them: from the global generators, which it seeds."""
    random.seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002
    x, y = np.random.standard_normal((5000, 40)), np.random.randint(0, 10, 5000)  # noqa: NPY002
    return {"x": x[:4000], "y": y[:4000], "x_test": x[4000:], "y_test": y[4000:], "shuffled": args.shuffle_seq}


@pytest.fixture
def package(monkeypatch):
    """A stand-in for the package; the list of the arguments that it was given."""
    module, seen = ModuleType("mnist1d.data"), []
    module.get_dataset_args = lambda: SimpleNamespace(seed=42, shuffle_seq=False)
    module.make_dataset = lambda args: seen.append(args) or drawn(args)
    monkeypatch.setitem(sys.modules, "mnist1d", ModuleType("mnist1d"))
    monkeypatch.setitem(sys.modules, "mnist1d.data", module)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_are_the_packages_and_validation_is_the_end_of_training(name, package):
    splits = get_task(name).load(LoadOptions())
    (args,) = package
    data = drawn(args)
    assert args.shuffle_seq is (name == "mnist1d-shuffled")
    expected = {
        "train": (data["x"][:3600], data["y"][:3600]),
        "val": (data["x"][3600:], data["y"][3600:]),
        "test": (data["x_test"], data["y_test"]),
    }
    assert list(splits) == list(expected)
    for part, (x, y) in expected.items():
        assert splits[part].x.dtype == np.float32
        np.testing.assert_array_equal(splits[part].x, x.astype("float32")[:, None])
        np.testing.assert_array_equal(splits[part].y, y)
        assert splits[part].lengths is None


@pytest.mark.parametrize("breaks", [False, True])
def test_global_generators_are_put_back(breaks, package, monkeypatch):
    if breaks:
        make = sys.modules["mnist1d.data"].make_dataset
        monkeypatch.setattr(sys.modules["mnist1d.data"], "make_dataset", lambda args: make(args)["no such array"])
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    expected = [random.random(), np.random.random()]  # noqa: NPY002
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    if breaks:
        with pytest.raises(KeyError):
            get_task("mnist1d").load(LoadOptions())
    else:
        get_task("mnist1d").load(LoadOptions())
    assert [random.random(), np.random.random()] == expected  # noqa: NPY002


def test_without_the_package(monkeypatch, tmp_path, capsys):
    """One line that says what to install, before anything is written; the tiny scale needs no package."""
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    run = tmp_path / "run"
    assert main(["train", "mnist1d", "--out", str(run)]) == 2
    assert capsys.readouterr().err.strip().endswith("a package that is not installed: pip install mnist1d")
    assert not run.exists()
    assert main(["train", "mnist1d", "--scale", "tiny", "--quiet", "--out", str(run)]) == 0
    assert main(["evaluate", str(run)]) == 0


def test_the_packages_data(monkeypatch):
    """Drawn without the network, the same numbers as elsewhere, as their authors describe them; shuffled, they are the same."""
    pytest.importorskip("mnist1d", reason="mnist1d is not installed")

    def refuse(*args):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    plain, shuffled = (get_task(name).load(LoadOptions()) for name in NAMES)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for name, splits in zip(NAMES, (plain, shuffled), strict=True):
        train = [np.concatenate([getattr(splits[part], which) for part in ("train", "val")]) for which in "xy"]
        for which, array in zip("xy", train, strict=True):
            crcs = [zlib.crc32(a.tobytes()) for a in (array, getattr(splits["test"], which))]
            assert crcs == list(CRCS[name][which])
    x = np.concatenate([split.x for split in plain.values()]).astype(float)
    y = np.concatenate([split.y for split in plain.values()])
    assert x.shape == (5000, 1, 40)
    assert abs(x.mean()) < 1e-6
    assert abs(x.std() - 1) < 1e-6
    assert np.bincount(y).tolist() == [500] * 10
    for part, split in plain.items():
        np.testing.assert_array_equal(np.sort(shuffled[part].x), np.sort(split.x))
        assert (shuffled[part].x != split.x).any()
