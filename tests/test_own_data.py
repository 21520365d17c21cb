"""`multires-ref train FILE`: a user's own file from training to prediction, and what is refused before any work."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from multires_ref import MultiresClassifier, MultiresRegressor
from multires_ref.cli import main
from multires_ref.tasks.own_data import OwnData, own_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.console import StopRequest
from multires_ref.training.run_folder import read_config, read_lines

SMALL = ["--d-model", "6", "--n-layers", "1", "--epochs", "2", "--quiet"]


def write_digits(path, first, count, classes=3):
    """A .csv file of digits 0, 1, ... of scikit-learn, a line an image, labelled "zero", "one", ..."""
    images, digits = load_digits(return_X_y=True)
    which = np.flatnonzero(digits < classes)[first : first + count]
    names = np.array(["zero", "one", "two", "three"])[digits[which]]
    lines = ["kind," + ",".join(f"t{n}" for n in range(64))]
    lines += [",".join([name, *map(str, image)]) for name, image in zip(names, images[which], strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return images[which], names


def write_waves(path, n=40, seed=0):
    """An .npz file of padded series of two channels; the target is the size of the wave in the first, times 50."""
    rng = np.random.default_rng(seed)
    y, lengths = rng.uniform(1, 3, n), rng.integers(10, 16, n)
    X = rng.normal(0, 0.1, (n, 2, 16)) + y[:, None, None] * np.array([[1.0], [0]]) * np.sin(np.arange(16))
    np.savez(path, X=X, y=50 * y, lengths=lengths)
    return [x[:, :k] for x, k in zip(X, lengths, strict=True)], 50 * y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    write_digits(folder / "digits.csv", 0, 90)
    write_waves(folder / "waves.npz")
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    run = folder / "run"
    assert main(["train", str(folder / "digits.csv"), "--label", "kind", "--out", str(run), *SMALL]) == 0
    return run


def test_from_a_file_to_a_resumed_run_its_score_and_its_pictures(folder, tmp_path, monkeypatch, capsys, trained):
    file, run = str(folder / "digits.csv"), tmp_path / "run"
    start = ["train", file, "--label", "kind", "--out", str(run), *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "requested", True) or self)
        assert main(start) == 130  # as after Ctrl-C in the first step
    assert f"multires-ref train {file} --out {run} --resume" in capsys.readouterr().err
    assert main([*start, "--resume"]) == 0
    assert capsys.readouterr().out.startswith("Test accuracy ")
    same = [{k: v for k, v in line.items() if k != "seconds"} for line in read_lines(run)]
    assert same == [{k: v for k, v in line.items() if k != "seconds"} for line in read_lines(trained)]
    assert main(["evaluate", str(run)]) == 0
    report = json.loads((run / "evaluate-test.json").read_text())
    assert report["labels"] == ["one", "two", "zero"]
    assert report["accuracy"] == json.loads((run / "metrics.json").read_text())["test_accuracy"]
    assert (run / "curves.png").read_bytes()[1:4] == (run / "confusion-test.png").read_bytes()[1:4] == b"PNG"
    capsys.readouterr()
    assert main(["figures", "--run", str(run), "--only", "memory"]) == 0
    assert "task" not in capsys.readouterr().out  # it is the file's own example, and no stand-in


def test_what_the_run_says_and_keeps(trained, folder, tmp_path, capsys):
    config = read_config(trained)
    assert (config["task"], config["own_data"]["file"]) == ("digits.csv", str(folder / "digits.csv"))
    assert len(config["own_data"]["sha256"]) == 64
    assert config["estimator"]["labels"] == ["one", "two", "zero"]
    assert main(["train", str(folder / "digits.csv"), "--label", "kind", "--out", str(tmp_path / "run"), *SMALL]) == 0
    said = capsys.readouterr().err
    assert "90 series of 1 channel, 64 time steps; 3 classes: one (" in said
    assert "training 57, validation 15 (--val-fraction 0.2 of those not for the test), test 18 (--test-fraction 0.2)" in said


def test_the_run_is_a_fitted_classifier(trained, folder):
    """Its predictions for the series of the test part are those that the run's score counts, from the raw numbers of the file."""
    made = own_task(OwnData(str(folder / "digits.csv"), label="kind"))
    test = made.task.load(LoadOptions())["test"]
    raw = test.x * made.parts.scale[:, None] + made.parts.mean[:, None]
    for path in (trained, trained / "best.safetensors", trained / "last.safetensors"):
        classifier = MultiresClassifier.load(path)
        assert classifier.classes_.tolist() == ["one", "two", "zero"]
        assert classifier.predict_proba(raw).shape == (18, 3)
    classifier = MultiresClassifier.load(trained)
    metrics = json.loads((trained / "metrics.json").read_text())
    assert accuracy_score(classifier.classes_[test.y], classifier.predict(raw)) == metrics["test_accuracy"]
    assert [line["epoch"] for line in classifier.history_] == [1, 2]
    assert classifier.n_iter_ == metrics["best_epoch"]
    np.testing.assert_array_equal(classifier.predict(raw), classifier.predict(raw[:, 0]))  # [n, L] too
    with pytest.raises(ValueError, match="holds a MultiresClassifier; MultiresRegressor.load cannot read it"):
        MultiresRegressor.load(trained)


def test_a_fitted_classifier_of_a_run_can_be_saved_and_fitted_again(trained, tmp_path):
    classifier = MultiresClassifier.load(trained)
    classifier.save(tmp_path / "again.safetensors")
    X, y = write_digits(tmp_path / "more.csv", 90, 30)
    again = MultiresClassifier.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    assert again.set_params(max_epochs=1, validation_fraction=0.0).fit(X, y).model_.config == classifier.model_.config


def test_regression_in_the_files_own_unit(folder, tmp_path, capsys):
    run, test = tmp_path / "run", tmp_path / "test.npz"
    X, y = write_waves(test, n=12, seed=1)
    flags = ["--regression", "--test", str(test), "--out", str(run), *SMALL]
    assert main(["train", str(folder / "waves.npz"), *flags]) == 0
    metrics, regressor = json.loads((run / "metrics.json").read_text()), MultiresRegressor.load(run)
    predicted = regressor.predict(X)
    assert predicted.shape == (12,)
    assert metrics["test_r2"] == pytest.approx(r2_score(y, predicted), rel=1e-5)
    assert metrics["test_mae"] == pytest.approx(mean_absolute_error(y, predicted), rel=1e-5)
    assert f"Test R^2 {metrics['test_r2']:.4f}, mean absolute error {metrics['test_mae']:.3g}" in capsys.readouterr().out
    assert all(line["val_mae"] > 0 for line in read_lines(run))
    assert main(["evaluate", str(run)]) == 0
    report = json.loads((run / "evaluate-test.json").read_text())
    assert report["mae"]["target"] == pytest.approx(metrics["test_mae"], rel=1e-5)
    assert "the mean squared error of the standardised targets" in capsys.readouterr().out


def test_each_part_has_the_classes_in_the_same_share_and_the_training_part_is_standard(folder):
    parts = own_task(OwnData(str(folder / "digits.csv"), label="kind")).parts
    counts = np.array([parts.counts[label] for label in parts.classes.tolist()])
    for split in parts.splits.values():
        assert (np.abs(np.bincount(split.y) - counts * len(split) / 90) < 1).all()
    x = parts.splits["train"].x
    assert abs(x.mean()) < 1e-12
    assert abs(x.std() - 1) < 1e-12
    rows = np.concatenate([split.x for split in parts.splits.values()])
    assert len(np.unique(rows, axis=0)) == 90  # every series is in one part, and only there


def refused(argv, message, capsys, status=2):
    """The command ends with one line that says so, and makes no run folder."""
    assert main(argv) == status
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("multires-ref: ")]
    assert len(said) == 1
    assert message in said[0]


PAIRS, TRIPLES = "up,1\ndown,2\n" * 9, "a,1\nb,1\nc,1\n" * 3
BAD = {
    "no such file": ("nothing.csv", "", [], "nothing.csv"),
    "another format": ("heart.txt", "1,2\n", [], "heart.txt must end in .npz, .csv, .ts"),
    "no labels": (
        "a.csv",
        "t0,t1\n1,2\n3,4\n",
        [],
        "has no labels to learn: name the column or array",
    ),
    "empty": ("a.csv", "", [], "is empty: it holds no series"),
    "NaN": ("a.csv", "label,t0\nup,nan\n", [], "a.csv, line 2, column 2 (t0) must hold a finite number"),
    "no such column": ("a.csv", "label,t0\nup,1\n", ["--label", "kind"], "no column is called 'kind'"),
    "one class": ("a.csv", "label,t0\n" + "up,1\n" * 9, [], "at least two classes; all are of class up"),
    "one member": (
        "a.csv",
        "label,t0\n" + "up,1\n" * 9 + "down,2\n",
        [],
        "class down has only one series left when",
    ),
    "few": (
        "a.csv",
        "label,t0\n" + TRIPLES,
        ["--test-fraction", "0.1"],
        "9 series cannot be divided by",
    ),
    "numbers": ("a.csv", "label,t0\n0.5,1\n1,2\n", [], "series 1: 0.5 is no class (to learn numbers: --regression)"),
    "texts": (
        "a.csv",
        "label,t0\n1,1\nup,2\n",
        ["--regression"],
        "series 2: the label, with --regression, must hold",
    ),
    "share": ("a.csv", "label,t0\n1,1\n", ["--val-fraction", "1"], "--val-fraction must be between"),
    "both": ("a.csv", "", ["--test", "b.csv", "--test-fraction", "0.1"], "leave one of them out"),
    "folder of data": ("a.csv", "", ["--data-dir", "x"], "--data-dir is for tasks"),
    "length": ("a.csv", "label,t0\n" + PAIRS, ["--length", "9"], "--length is for tasks that generate"),
    "channels": (
        "a.csv",
        "label,t0\n" + PAIRS,
        ["--d-input", "2"],
        "--d-input must be 1, as the data of",
    ),
}


@pytest.mark.parametrize(("name", "text", "flags", "message"), BAD.values(), ids=BAD)
def test_refused_before_any_work(tmp_path, monkeypatch, capsys, name, text, flags, message):
    monkeypatch.chdir(tmp_path)
    if text or name == "a.csv":
        (tmp_path / name).write_text(text)
    refused(["train", name, *flags], message, capsys)
    assert not (tmp_path / "runs").exists()


def test_a_test_file_that_does_not_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("label,t0\n" + PAIRS)
    (tmp_path / "b.csv").write_text("label,t0\nup,1\nleft,2\n")
    refused(["train", "a.csv", "--test", "b.csv"], "b.csv, series 2: the class 'left' does not occur in", capsys)
    np.savez(tmp_path / "c.npz", X=np.ones((2, 3, 4)), y=["up", "down"])
    refused(["train", "a.csv", "--test", "c.npz"], "c.npz must have 1 channels, as", capsys)


def test_flags_of_files_and_tasks_do_not_mix(capsys):
    refused(["train", "digits", "--regression"], "--regression is for a file of your own", capsys)
    refused(["train", "digit"], "did you mean 'digits'", capsys)


def test_a_run_knows_its_file(trained, folder, tmp_path, capsys):
    file = folder / "digits.csv"
    resume = ["--out", str(trained), "--resume", "--quiet"]
    refused(["train", str(file), "--val-fraction", "0.3", *resume], "--val-fraction (the run: 0.2; now: 0.3)", capsys)
    refused(["train", "digits", *resume], "it is a run of task 'digits.csv', not 'digits'", capsys)
    refused(["train", str(file), "--test", str(file), *resume], "the run has no --test", capsys)
    other = tmp_path / "digits.csv"
    other.write_bytes(file.read_bytes() + b"one" + b",0" * 64 + b"\n")
    refused(["train", str(other), *resume], "has changed since the run began", capsys)
    refused(["evaluate", str(trained), "--data-dir", str(tmp_path)], "has changed since the run began", capsys)
    other.write_bytes(file.read_bytes())
    assert main(["evaluate", str(trained), "--data-dir", str(tmp_path)]) == 0  # the same file in another folder
    assert main(["train", str(other), *resume]) == 0


def test_a_run_of_a_task_does_not_resume_as_a_file(folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "digits", "--scale", "tiny", "--epochs", "1", "--quiet", "--out", str(run)]) == 0
    message = "it is a run of task 'digits', not of the file"
    refused(["train", str(folder / "digits.csv"), "--out", str(run), "--resume"], message, capsys)
