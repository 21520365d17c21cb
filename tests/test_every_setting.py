"""Every flag of `multires-ref train` reaches the run as it was typed, and nothing else changes; what is recorded and shown."""

import json
import sys
from dataclasses import fields, replace

import pytest
from stand_in import StandIn, put_in_place

from multires_ref import NetworkConfig
from multires_ref.cli import main
from multires_ref.training.config import TrainingConfig

NETWORK = {  # setting: (flags, what changes)
    "d_model": (["--d-model", "6"], {"d_model": 6}),
    "n_layers": (["--n-layers", "2"], {"n_layers": 2}),
    "kernel_size": (["--kernel-size", "3"], {"kernel_size": 3}),
    "max_length": (["--max-length", "32"], {"max_length": 32}),
    "depth": (["--depth", "2"], {"depth": 2}),
    "tree_select": (["--tree-select", "uniform", "--memory-size", "9"], {"tree_select": "uniform", "memory_size": 9}),
    "norm": (["--norm", "batch"], {"norm": "batch"}),
    "dropout": (["--dropout", "0.25"], {"dropout": 0.25}),
    "wavelet": (["--wavelet", "db3"], {"wavelet": "db3", "kernel_size": 6}),
    "filter_order": (
        ["--wavelet", "db2", "--filter-order", "reversed"],
        {"wavelet": "db2", "kernel_size": 4, "filter_order": "reversed"},
    ),
    "tied": (["--no-tied"], {"tied": False}),
    "untied": (["--untied"], {"tied": False}),
    "indep_res_init": (["--indep-res-init"], {"indep_res_init": True}),
    "wavelet and taps": (["--wavelet", "db2", "--kernel-size", "4"], {"wavelet": "db2", "kernel_size": 4}),
    "none": (["--wavelet", "none", "--depth", "none"], {}),
}
TRAINING = {
    "epochs": (["--epochs", "7"], {"epochs": 7}),
    "batch_size": (["--batch-size", "3"], {"batch_size": 3}),
    "lr": (["--lr", "0.5"], {"lr": 0.5}),
    "optimizer": (["--optimizer", "adam"], {"optimizer": "adam"}),
    "weight_decay": (["--weight-decay", "0"], {"weight_decay": 0.0}),
    "warmup_epochs": (["--warmup-epochs", "1.5"], {"warmup_epochs": 1.5}),
    "clip": (["--clip", "0.1"], {"clip": 0.1}),
    "seed": (["--seed", "9"], {"seed": 9}),
    "dtype": (["--dtype", "float64"], {"dtype": "float64"}),
    "engine": (["--engine", "tree"], {"engine": "tree"}),
    "checkpoint_seconds": (["--checkpoint-seconds", "5"], {"checkpoint_seconds": 5.0}),
    "no clip": (["--clip", "NONE"], {}),
}


@pytest.fixture
def begun(monkeypatch):
    """What each run begins with, instead of a run."""
    seen = []

    def fit(network, training, splits, objective, out, **more):
        seen.append({"network": network, "training": training, "objective": objective.name, "out": out, "splits": splits} | more)
        raise KeyboardInterrupt

    monkeypatch.setattr("multires_ref.training.loop.fit", fit)
    return seen


@pytest.mark.parametrize(("flags", "changed"), (NETWORK | TRAINING).values(), ids=NETWORK | TRAINING)
def test_a_setting_changes_what_it_says_and_nothing_else(flags, changed, begun, monkeypatch, tmp_path):
    task = put_in_place(monkeypatch, "classes").task
    assert main(["train", "digits", *flags, "--out", str(tmp_path / "run")]) == 130
    network = {name: value for name, value in changed.items() if hasattr(task.network, name)}
    training = {name: value for name, value in changed.items() if hasattr(task.training, name)}
    assert begun[0]["network"] == replace(task.network, **network)
    assert begun[0]["training"] == replace(task.training, **training)


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_folder_in_use_is_noticed_before_the_data_are_read(more, begun, monkeypatch, tmp_path, capsys):
    from multires_ref.base.lock import FolderLock

    task = put_in_place(monkeypatch, "classes")
    with FolderLock(tmp_path):
        assert main(["train", "digits", "--out", str(tmp_path), *more]) == 2
    assert f"{tmp_path} is in use by process" in capsys.readouterr().err
    assert (task.seen, begun) == ([], [])


def test_no_setting_is_left_out():
    fixed_by_the_data = {"d_input", "d_output", "kind", "encoder", "n_values", "memory_size", "bucket"}
    settings = {field.name for config in (NetworkConfig, TrainingConfig) for field in fields(config)}
    assert settings == (set(NETWORK | TRAINING) & settings) | fixed_by_the_data


def test_bucket_is_for_sequences_of_unequal_length(begun, monkeypatch, tmp_path):
    put_in_place(monkeypatch, "tokens")
    for flags, wanted in (([], False), (["--bucket"], True), (["--no-bucket"], False)):
        assert main(["train", "digits", *flags, "--out", str(tmp_path / "run")]) == 130
        assert begun[-1]["training"].bucket is wanted


def test_what_belongs_to_the_run_and_not_to_the_settings(begun, monkeypatch, tmp_path, capsys):
    task = put_in_place(monkeypatch, "classes")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits"]) == 130
    assert main(["train", "digits", "--data-dir", "theirs", "--scale", "tiny", "--quiet", "--out", "my run"]) == 130
    first, second = begun
    assert first["about"] == {"task": "digits", "scale": "full", "data_dir": None}
    assert second["about"] == {"task": "digits", "scale": "tiny", "data_dir": "theirs"}
    assert [(options.data_dir, options.scale) for options in task.seen] == [(None, "full"), ("theirs", "tiny")]
    assert [len(run["splits"]["train"]) for run in begun] == [11, 10]
    assert [run["network"].n_layers for run in begun] == [1, 2]  # the task's own, and its tiny one
    assert (first["quiet"], second["quiet"]) == (False, True)
    assert {(run["device"], run["resume"], run["objective"]) for run in begun} == {("cpu", False, "classification")}
    assert (first["out"].parts[0], str(second["out"])) == ("runs", "my run")
    assert capsys.readouterr().err.endswith("\n  multires-ref train digits --out 'my run' --resume\n")


def test_the_device_is_handed_on_or_refused_by_its_flag(begun, monkeypatch, tmp_path, capsys):
    put_in_place(monkeypatch, "classes")
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["train", "digits", "--device", "gpu", "--out", str(tmp_path / "run")]) == 2
    assert "CuPy" in capsys.readouterr().err
    monkeypatch.setattr("multires_ref.training.device.check_device", lambda device: device)
    assert main(["train", "digits", "--device", "gpu", "--engine", "fft", "--out", str(tmp_path / "run")]) == 2
    assert "--engine must be auto or one of gpu, tree for --device gpu; got 'fft'" in capsys.readouterr().err
    assert main(["train", "digits", "--device", "gpu", "--out", str(tmp_path / "run")]) == 130
    assert [run["device"] for run in begun] == ["gpu"]


@pytest.mark.parametrize(
    ("kind", "score_name", "said", "more"),
    [
        ("classes", "accuracy", lambda score: f"accuracy {100 * score:.1f} %", "the confusion table"),
        ("labels", "macro_auroc", lambda score: f"macro AUROC {score:.3f}", "every label's score"),
        ("density", "bits_per_dim", lambda score: f"score {score:.3f} bits per dimension", "the score of any split"),
    ],
)
def test_the_last_line_and_the_curves_are_those_of_the_run(kind, score_name, said, more, monkeypatch, tmp_path, capsys):
    """A real run of a few steps: the score, the epoch and the time of metrics.json, and the curves of all epochs."""
    put_in_place(monkeypatch, kind)
    from multires_ref.plots import training as plots

    seen, plot = [], plots.plot_curves
    monkeypatch.setattr(plots, "plot_curves", lambda lines, *names: seen.append((lines, *names)) or plot(lines, *names))
    run = tmp_path / "run"
    assert main(["train", "digits", "--epochs", "3", "--quiet", "--data-dir", "x", "--engine", "tree", "--out", str(run)]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    out = capsys.readouterr().out
    assert out == (
        f"Test {said(metrics[f'test_{score_name}'])} (best epoch {metrics['best_epoch']} by validation) "
        f"in {metrics['seconds']:.0f} s. Run folder: {run}; look at curves.png;\n`multires-ref evaluate {run}` shows {more}.\n"
    )
    ((lines, name, title),) = seen
    assert lines == [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert (len(lines), name, title) == (3, score_name, f"a stand-in of {kind}")
    recorded = json.loads((run / "config.json").read_text())
    assert (recorded["task"], recorded["data_dir"], recorded["scale"], recorded["device"]) == ("digits", "x", "full", "cpu")


def test_the_summary_shows_each_number_in_its_place():
    from pathlib import Path

    from multires_ref.commands.train import summary

    metrics = {"test_accuracy": 0.25, "val_accuracy": 0.5, "best_epoch": 7, "epochs": 9, "seconds": 3.4}
    shown = summary(metrics, "accuracy", Path("a"))
    assert shown.startswith("Test accuracy 25.0 % (best epoch 7 by validation) in 3 s. Run folder: a; ")


def test_a_resumed_run_keeps_its_settings(begun, monkeypatch, tmp_path, capsys):
    """But for those that may be given anew: where the data are, the device, and how often a checkpoint is written."""
    put_in_place(monkeypatch, "classes", StandIn("classes", "digits-density"))
    run = tmp_path / "run"
    run.mkdir()
    recorded = {"task": "digits", "data_dir": "old", "scale": "tiny", "device": "cpu"}
    network, training = NetworkConfig(2, 3, 5, 1, max_length=16), TrainingConfig(4, 3, 0.02, seed=8, clip=2.0)
    (run / "config.json").write_text(json.dumps(recorded | {"network": network.to_dict(), "training": training.to_dict()}))
    resume = ["train", "digits", "--resume", "--out", str(run)]
    same = ["--d-model", "5", "--lr", "0.02", "--scale", "tiny"]
    for flags, folder, seconds in (
        ([], "old", 60.0),
        (same, "old", 60.0),
        (["--data-dir", "new", "--checkpoint-seconds", "7"], "new", 7.0),
    ):
        assert main([*resume, *flags]) == 130
        seen = begun[-1]
        assert (seen["network"], seen["training"]) == (network, replace(training, checkpoint_seconds=seconds))
        assert (seen["about"], seen["resume"]) == ({"task": "digits", "scale": "tiny", "data_dir": folder}, True)
    capsys.readouterr()
    for flags, words in (
        (["--scale", "full"], "scale (the run: tiny; now: full)"),
        (["--seed", "1", "--clip", "none"], "clip (the run: 2.0; now: None); seed (the run: 8; now: 1)"),
    ):
        assert main([*resume, *flags]) == 2
        assert words in capsys.readouterr().err
    assert main(["train", "digits-density", *resume[2:]]) == 2
    assert "it is a run of task 'digits', not 'digits-density'" in capsys.readouterr().err
    assert len(begun) == 3
