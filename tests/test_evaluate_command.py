"""`multires-ref evaluate`: every number that it prints and writes is computed again; every flag changes what it should."""

import json
import sys

import numpy as np
import pytest
from stand_in import NAMES, OBJECTIVES, StandIn, data, put_in_place, untrained_run

from multires_ref import load_model
from multires_ref.cli import main
from multires_ref.ops.mixture_nll import mixture_nll


def loss_and_score(kind, model, split):
    """The mean loss, the score's name and value, and the outputs: of the whole split at once."""
    dtype = model.params["decoder"]["weight"].dtype
    x = split.x if kind == "tokens" else split.x.astype(dtype)
    out = model(x, split.lengths).astype(float)
    if kind == "density":
        nats = float(mixture_nll(out, x.astype(float), 5)) / x.size
        return nats, "bits_per_dim", nats / np.log(2), None
    if kind == "labels":
        loss = -np.log(np.where(split.y > 0, 1 / (1 + np.exp(-out)), 1 / (1 + np.exp(out)))).mean()
        return loss, "macro_auroc", np.mean([area(out[:, c], split.y[:, c]) for c in (0, 1)]), out
    log_p = out - np.log(np.exp(out).sum(axis=1, keepdims=True))
    return -log_p[range(len(split)), split.y].mean(), "accuracy", (out.argmax(axis=1) == split.y).mean(), out


def area(scores, targets):
    """How often a positive example scores higher than a negative one."""
    positive, negative = scores[targets > 0], scores[targets == 0]
    return np.mean(positive[:, None] > negative)


def printed_table(y, said, labels):
    """The confusion table as it should be printed."""
    width = max(5, *(len(name) + 2 for name in labels))
    head = max(11, *map(len, labels))
    lines = ["true \\ said".rjust(head) + "".join(name.rjust(width) for name in labels) + "  right"]
    for c, name in enumerate(labels):
        counts = [int(((y == c) & (said == p)).sum()) for p in range(len(labels))]
        share = f"{100 * counts[c] / (y == c).sum():7.1f} %"
        lines.append(name.rjust(head) + "".join(str(n or ".").rjust(width) for n in counts) + share)
    return lines


@pytest.mark.parametrize(
    ("kind", "part"),
    [("classes", "train"), ("classes", "val"), ("classes", "test"), ("tokens", "val"), ("labels", "test"), ("density", "train")],
)
def test_everything_it_says(kind, part, tmp_path, monkeypatch, capsys):
    """For a run that was trained on data of another folder, at another scale and in float64; batches of three."""
    task = put_in_place(monkeypatch, kind)
    about = {"task": "digits", "data_dir": "theirs", "scale": "tiny"}
    run = untrained_run(tmp_path / "run", kind, dtype="float64", **about)
    assert main(["evaluate", str(run), "--split", part, "--batch-size", "3"]) == 0
    report = json.loads((run / f"evaluate-{part}.json").read_text())
    split, labels, model = data(kind, "theirs", "tiny")[part], task.labels("theirs"), load_model(run)
    loss, name, score, out = loss_and_score(kind, model, split)
    assert report.pop("loss") == pytest.approx(loss, rel=1e-12)
    assert report.pop(name) == pytest.approx(score, rel=1e-12)
    shown = f"{score:.4f}" if name != "accuracy" else f"{100 * score:.1f} %"
    lines = [f"a stand-in of {kind}, {part} split, {len(split)} examples", f"{name.replace('_', ' ')} {shown}, loss {loss:.4f}"]
    expected = {"checkpoint": "best.safetensors", "split": part, "examples": len(split)}
    if OBJECTIVES[kind] == "classification":
        said = out.argmax(axis=1)
        table = [[int(((split.y == c) & (said == p)).sum()) for p in range(3)] for c in range(3)]
        expected |= {"labels": list(labels), "confusion": table}
        lines += printed_table(split.y, said, labels)
    elif kind == "labels":
        expected["auroc"] = {labels[c]: pytest.approx(area(out[:, c], split.y[:, c]), rel=1e-12) for c in (0, 1)}
        expected["left_out"] = [labels[2]]
        lines += [f"  {labels[c]:<12} {area(out[:, c], split.y[:, c]):.4f}" for c in (0, 1)]
        lines.append(f"left out, all their labels being equal: {labels[2]}")
    assert report == expected
    assert capsys.readouterr().out.splitlines() == lines
    pictures = {f"confusion-{part}.png"} if "confusion" in expected else set()
    assert {path.name for path in run.iterdir()} == {"best.safetensors", "last.safetensors", f"evaluate-{part}.json"} | pictures


def score_of(words, folder):
    assert main(["evaluate", *map(str, words)]) == 0
    return json.loads((folder / "evaluate-test.json").read_text())["loss"]


def test_flags_go_before_what_the_run_says(tmp_path, monkeypatch):
    """--task and --data-dir, the last checkpoint, and a file that says nothing but its network."""
    put_in_place(monkeypatch, "classes", StandIn("tokens", "listops-short"))
    run = untrained_run(tmp_path / "run", "tokens", task="digits", data_dir="theirs")
    other = lambda name, folder: loss_and_score("tokens", load_model(run / name), data("tokens", folder, "full")["test"])[0]  # noqa: E731
    flags = ["--task", "listops-short"]
    assert score_of([run, *flags], run) == pytest.approx(other("best.safetensors", "theirs"), rel=1e-5)
    flags += ["--data-dir", "mine"]
    assert score_of([run, *flags], run) == pytest.approx(other("best.safetensors", "mine"), rel=1e-5)
    assert score_of([run / "last.safetensors", *flags], run) == pytest.approx(other("last.safetensors", "mine"), rel=1e-5)
    assert json.loads((run / "evaluate-test.json").read_text())["checkpoint"] == "last.safetensors"


def test_the_batches_have_the_size_that_was_asked_for(tmp_path, monkeypatch):
    put_in_place(monkeypatch, "classes")
    run = untrained_run(tmp_path / "run", "classes", task="digits")
    sizes = []
    from multires_ref.network import Model

    call = Model.__call__
    monkeypatch.setattr(Model, "__call__", lambda self, x, *args, **more: sizes.append(len(x)) or call(self, x, *args, **more))
    for flags in (["--batch-size", "3"], []):
        assert main(["evaluate", str(run), *flags]) == 0
    assert sizes == [3, 3, 2, 8]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task", "listops-short"], "train"),  # tokens, which this network does not take
        (["--device", "gpu"], "device='gpu' needs CuPy"),
        (["--batch-size", "0"], "batch_size must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(flags, message, tmp_path, monkeypatch, capsys):
    put_in_place(monkeypatch, "classes", StandIn("tokens", "listops-short"))
    monkeypatch.setitem(sys.modules, "cupy", None)
    run = untrained_run(tmp_path / "run", "classes", task="digits")
    assert main(["evaluate", str(run), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not list(run.glob("evaluate*"))


def test_a_loss_that_is_not_finite_is_refused(tmp_path, monkeypatch, capsys):
    put_in_place(monkeypatch, "classes")
    run = untrained_run(tmp_path / "run", "classes", task="digits")
    monkeypatch.setattr("multires_ref.training.evaluate.float", lambda value: float("nan"), raising=False)
    assert main(["evaluate", str(run)]) == 2
    assert f"{run / 'best.safetensors'}: the loss of the evaluated split is nan" in capsys.readouterr().err
    assert not list(run.glob("evaluate*"))


def test_a_class_without_examples_has_a_dash():
    from multires_ref.commands.evaluate import confusion_lines

    assert confusion_lines([[9, 1, 0], [0, 0, 0], [1, 0, 3]], list(NAMES))[1:] == [
        "        cat    9    1    .   90.0 %",
        "        dog    .    .    .      -",
        "        owl    1    .    3   75.0 %",
    ]
