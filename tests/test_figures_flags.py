"""`multires-ref figures` for a run: the example is of its own data, the start is its own, and every flag is obeyed."""

import numpy as np
import pytest
from stand_in import NETWORKS, data, put_in_place, untrained_run

from multires_ref import Model, init_params
from multires_ref.cli import main
from multires_ref.plots import model as model_plots
from multires_ref.plots.style import new_figure

KINDS = {
    "responses": "svg",
    "filters": "svg",
    "scales": "svg",
    "memory": "png",
    "recovered": "svg",
    "kernels": "svg",
    "nearest": "svg",
}


@pytest.fixture
def asked(monkeypatch):
    """What figures are made of, instead of making them."""
    seen = []

    def figures_of_model(model: Model, signal, before=None):
        seen.append((model, signal, before))
        return {name: (kind, lambda: new_figure(1, 1)[0]) for name, kind in KINDS.items()}

    monkeypatch.setattr(model_plots, "figures_of_model", figures_of_model)
    return seen


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_run_brings_its_example_and_its_start(kind, asked, tmp_path, monkeypatch, capsys):
    """The first test example of the run's own folder and scale, without padding; parameters as they were drawn from its seed."""
    task = put_in_place(monkeypatch, kind)
    run = untrained_run(tmp_path / "run", kind, seed=5, dtype="float64", task="digits", data_dir="theirs", scale="tiny")
    for path in (run, run / "last.safetensors"):
        assert main(["figures", "--run", str(path), "--only", "scales", "memory"]) == 0
        assert capsys.readouterr().out.split() == [str(run / f"figures/{name}") for name in ("scales.svg", "memory.png")]
        test, labels = data(kind, "theirs", "tiny")["test"], task.labels("theirs")
        model, signal, before = asked[-1]
        wanted = test.x[0] if test.lengths is None else test.x[0, : test.lengths[0]]
        np.testing.assert_array_equal(signal.x, wanted)
        more = f", a {labels[test.y[0]]}" if kind in ("classes", "tokens") else ""
        assert signal.title == f"digits, test example 0{more}"
        assert model.config == NETWORKS[kind]
        start = init_params(NETWORKS[kind], np.random.default_rng(5), "float64")["blocks"]
        for block, shown in zip(start, before, strict=True):
            for name, array in block["conv"].items():
                np.testing.assert_array_equal(shown[name], array)


def test_the_names_and_the_folder(asked, tmp_path, monkeypatch):
    put_in_place(monkeypatch, "classes")
    monkeypatch.chdir(tmp_path)
    run = untrained_run(tmp_path / "run", "classes", task="digits")
    assert main(["figures", "--run", str(run)]) == 0
    report = {"filter_report.txt", "filter_report.json"}
    assert {path.name for path in (run / "figures").iterdir()} == {f"{name}.{kind}" for name, kind in KINDS.items()} | report
    assert main(["figures", "--run", str(run), "--out", "here", "--only", "memory"]) == 0
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["memory.png"]
    assert main(["figures", "--only", "tree"]) == 0
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["tree.svg"]


def test_an_example_of_other_channels_is_not_drawn(asked, tmp_path, monkeypatch, capsys):
    """A run that names a task whose examples it cannot take gets a stand-in, and a line that says so."""
    put_in_place(monkeypatch, "classes")
    run = untrained_run(tmp_path / "run", "density", task="digits")
    assert main(["figures", "--run", str(run), "--only", "memory"]) == 0
    assert "examples of the task digits have other channels than this network" in capsys.readouterr().out
    assert asked[0][1].title.startswith("stand-in")


def test_the_users_signal_and_its_rate(asked, tmp_path):
    x = np.arange(24.0).reshape(2, 12)
    np.save(tmp_path / "mine.npy", x)
    run = untrained_run(tmp_path / "run", "classes")
    for flags, rate in ([], None), (["--rate", "50"], 50.0):
        assert main(["figures", "--run", str(run), "--signal", str(tmp_path / "mine.npy"), "--only", "scales", *flags]) == 0
        np.testing.assert_array_equal(asked[-1][1].x, x)
        assert asked[-1][1][1:] == ("mine.npy", rate)
