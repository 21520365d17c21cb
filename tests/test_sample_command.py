"""`multires-ref sample` on a small trained run: a picture and the numbers, completions, and clear errors."""

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.tasks import get_task
from multires_ref.tasks.digits_density import N_VALUES
from multires_ref.tasks.task import LoadOptions


@pytest.fixture(scope="module")
def density_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "density"
    assert main(["train", "digits-density", "--scale", "tiny", "--epochs", "1", "--out", str(out), "--quiet"]) == 0
    return out


def test_samples(density_run, capsys):
    assert main(["sample", str(density_run), "--n", "5"]) == 0
    assert "5 samples of 1 x 64 numbers" in capsys.readouterr().out
    assert (density_run / "samples.png").read_bytes()[:4] == b"\x89PNG"
    with np.load(density_run / "samples.npz", allow_pickle=False) as z:
        x, given = z["samples"], z["given"]
    assert (x.shape, x.dtype, given) == ((5, 1, 64), np.float32, 0)
    steps = (x + 1) * (N_VALUES - 1) / 2
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)


def test_the_seed_and_the_place(density_run, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["sample", str(density_run), "--n", "2", "--seed", seed, "--out", str(tmp_path / f"{name}.png")]) == 0
    a, b, _ = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    x = {name: np.load(tmp_path / f"{name}.npz")["samples"] for name in "abc"}
    np.testing.assert_array_equal(x["a"], x["b"])
    assert not np.array_equal(x["a"], x["c"])


def test_completion_keeps_the_upper_half(density_run):
    assert main(["sample", str(density_run), "--n", "6", "--complete"]) == 0
    with np.load(density_run / "completions.npz") as z:
        x, given = z["samples"], int(z["given"])
    real = get_task("digits-density").load(LoadOptions(scale="tiny"))["test"].x[:6]
    assert given == 32
    np.testing.assert_array_equal(x[:, :, :32], real[:, :, :32])
    assert not np.array_equal(x[:, :, 32:], real[:, :, 32:])


def test_bad_input_is_named(density_run, tmp_path, capsys):
    for words, message in (
        ([str(tmp_path / "none")], "none"),
        ([str(density_run), "--n", "0"], "n must be at least 1"),
        ([str(density_run), "--temperature", "-1"], "temperature"),
        ([str(density_run), "--out", "x.gif"], "ending of --out"),
        ([str(density_run), "--complete", "--n", "1000"], "n must be at most 64"),
    ):
        assert main(["sample", *words]) == 2
        assert message in capsys.readouterr().err


def test_a_classifier_cannot_be_sampled_from(tmp_path, capsys):
    out = tmp_path / "digits"
    assert main(["train", "digits", "--scale", "tiny", "--epochs", "1", "--out", str(out), "--quiet"]) == 0
    assert main(["sample", str(out)]) == 2
    assert "only an autoregressive network" in capsys.readouterr().err
