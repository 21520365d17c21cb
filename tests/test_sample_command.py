"""`multires-ref sample`: the numbers are those that `sample` draws with what the flags say; the picture, and clear errors."""

import sys

import numpy as np
import pytest
from stand_in import StandIn, data, put_in_place, untrained_run

from multires_ref import load_model
from multires_ref.cli import main
from multires_ref.network.sampling import sample


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run on data of another folder at the tiny scale."""
    put_in_place(monkeypatch, "density", StandIn("density", "digits-density"))
    return untrained_run(tmp_path / "run", "density", task="digits-density", data_dir="theirs", scale="tiny")


@pytest.fixture
def drawn(monkeypatch):
    """What is put into pictures."""
    from multires_ref.plots import sequences

    seen, plot = [], sequences.plot_samples
    monkeypatch.setattr(sequences, "plot_samples", lambda x, **more: seen.append((x, more)) or plot(x, **more))
    return seen


@pytest.mark.parametrize(
    ("flags", "n", "seed", "temperature", "folder"),
    [
        ([], 25, 0, 1.0, None),
        (["--n", "5", "--seed", "3"], 5, 3, 1.0, None),
        (["--n", "5", "--temperature", "0.5"], 5, 0, 0.5, None),
        (["--n", "5", "--temperature", "0"], 5, 0, 0.0, None),
        (["--n", "7", "--complete"], 7, 0, 1.0, "theirs"),  # all test images there are
        (["--n", "4", "--complete", "--data-dir", "mine", "--temperature", "2"], 4, 0, 2.0, "mine"),
    ],
)
def test_the_numbers_and_the_picture(flags, n, seed, temperature, folder, run, drawn, capsys):
    assert main(["sample", str(run), *flags]) == 0
    given = data("density", folder, "tiny")["test"].x[:n, :, :8] if folder else None
    x = sample(load_model(run), np.random.default_rng(seed), n, temperature=temperature, given=given)
    stem = run / ("completions" if folder else "samples")
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["samples"], x)
        assert (stored["samples"].dtype, stored["samples"].shape) == (np.float32, (n, 1, 16))
        assert int(stored["given"]) == (8 if folder else 0)
    ((shown, more),) = drawn
    np.testing.assert_array_equal(shown, x)
    assert more == {"given": 8 if folder else 0, "title": f"temperature {temperature:g}, seed {seed}"}
    out = capsys.readouterr().out
    assert out.startswith(f"{n} samples of 1 x 16 numbers in ")
    assert out.endswith(f" s: {stem}.png and {stem}.npz\n")
    assert stem.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    if folder:
        np.testing.assert_array_equal(x[:, :, :8], given)


def test_flags_change_what_is_drawn(run, tmp_path):
    """Another seed, another temperature and another checkpoint give other numbers; the same seed the same picture."""
    drawn = {}
    for name, words in {
        "first": [run],
        "again": [run],
        "seed": [run, "--seed", "1"],
        "temperature": [run, "--temperature", "0.2"],
        "last": [run / "last.safetensors"],
    }.items():
        assert main(["sample", *map(str, words), "--n", "6", "--out", str(tmp_path / f"{name}.png")]) == 0
        drawn[name] = np.load(tmp_path / f"{name}.npz")["samples"]
    assert {name for name in drawn if np.array_equal(drawn[name], drawn["first"])} == {"first", "again"}
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_bad_input_is_named(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    silent = untrained_run(tmp_path / "silent", "density")
    classifier = untrained_run(tmp_path / "classifier", "classes", task="digits")
    before = set(tmp_path.rglob("*"))
    for words, message in (
        ([str(tmp_path / "none")], "none"),
        ([str(run), "--n", "0"], "n must be at least 1"),
        ([str(run), "--seed", "-1"], "seed must be at least 0"),
        ([str(run), "--temperature", "-1"], "temperature"),
        ([str(run), "--out", str(tmp_path / "x.gif")], "ending of --out"),
        ([str(run), "--complete", "--n", "8"], "n must be at most 7, the test images there are; got 8"),
        ([str(run), "--device", "gpu"], "device='gpu' needs CuPy"),
        ([str(silent), "--complete"], "does not say which task it was trained on"),
        ([str(classifier)], "only an autoregressive network"),
    ):
        assert main(["sample", *words]) == 2
        assert message in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before
