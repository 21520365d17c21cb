"""`multires-ref data`: every number that it prints is counted again here; a picture only where a file is named."""

import argparse
import re

import numpy as np
import pytest
from stand_in import NAMES, OBJECTIVES, SIZES, data, put_in_place

from multires_ref.cli import main


def test_no_picture_unless_a_file_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "digits"]) == 0
    assert "train: 1,257 examples" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", [None, "theirs"])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_everything_it_says(kind, folder, monkeypatch, capsys):
    task = put_in_place(monkeypatch, kind)
    assert main(["data", "digits", *(["--data-dir", folder] if folder else [])]) == 0
    assert {options.data_dir for options in task.seen} == {folder}
    lines, labels = [f"a stand-in of {kind}"], task.labels(folder)
    for name, split in data(kind, folder, "full").items():
        shape, dtype = {"tokens": ([SIZES[name], 16], "int64")}.get(kind, (list(split.x.shape), "float32"))
        lines.append(f"{name}: {SIZES[name]} examples, x {shape} {dtype}")
        if kind == "tokens":
            ordered = sorted(split.lengths.tolist())
            lines.append(f"  lengths {ordered[0]} to {ordered[-1]}, median {np.median(ordered):.0f}")
        else:
            numbers = split.x.astype(float).ravel()
            mean = numbers.sum() / numbers.size
            deviation = (((numbers - mean) ** 2).sum() / numbers.size) ** 0.5
            lines.append(
                f"  values {min(numbers):.3f} to {max(numbers):.3f}, mean {mean:.3f}, standard deviation {deviation:.3f}"
            )
        if kind == "labels":
            counts = [int(split.y[:, c].sum()) for c in range(3)]
        elif kind != "density":
            counts = [(split.y == c).tolist().count(True) for c in range(3)]
        if kind != "density":
            lines.append("  " + ", ".join(f"{label} {n}" for label, n in zip(labels, counts, strict=True)))
        if OBJECTIVES[kind] == "classification":
            most = max(counts)
            lines.append(f"  always saying {labels[counts.index(most)]} is right for {100 * most / SIZES[name]:.1f} %")
    assert capsys.readouterr().out.splitlines() == lines


def test_classes_that_no_example_has_are_counted_too():
    from multires_ref.commands.data import count_lines

    assert count_lines(np.array([2, 0, 2, 2]), NAMES) == ["  cat 1, dog 0, owl 3", "  always saying owl is right for 75.0 %"]
    assert count_lines(np.array([1] * 1234), ()) == ["  0 0, 1 1,234", "  always saying 1 is right for 100.0 %"]
    twelve = count_lines(np.ones((2, 12)), tuple("abcdefghijkl"))  # eight a line
    assert [line.count(" 2") for line in twelve] == [8, 4]


@pytest.mark.parametrize("n", [None, 3])
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_picture_is_of_that_training_example(kind, n, tmp_path, monkeypatch, capsys):
    task = put_in_place(monkeypatch, kind)
    from multires_ref.plots import sequences as plots

    seen, plot = [], plots.plot_example
    monkeypatch.setattr(plots, "plot_example", lambda x, **more: seen.append((x, more)) or plot(x, **more))
    out = tmp_path / "example.png"
    assert main(["data", "digits", "--out", str(out), *([] if n is None else ["--example", str(n)])]) == 0
    ((x, more),) = seen
    n, train, labels = n or 0, data(kind, None, "full")["train"], task.labels()
    wanted = train.x[n] if kind != "tokens" else train.x[n][: train.lengths[n]]
    np.testing.assert_array_equal(x, wanted)
    if OBJECTIVES[kind] == "classification":
        what = f": {labels[train.y[n]]}"
    else:
        what = ": " + ", ".join(np.array(labels)[train.y[n] == 1]) if kind == "labels" else ""
    assert more == {"title": f"digits, training example {n}{what}", "tokens": tuple("pqrst") if kind == "tokens" else ()}
    assert out.read_bytes()[1:4] == b"PNG"
    assert capsys.readouterr().out.splitlines()[-1] == f"drew training example {n}{what} in {out}"


def test_a_task_prepares_its_data_with_its_own_flags(monkeypatch, capsys):
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", type=int, default=1, help="of the data")

    task = put_in_place(monkeypatch, "classes")
    task.more = {"add_data_arguments": add, "prepare": lambda args: [f"made {args.size} in {args.data_dir}"]}
    assert main(["data", "digits", "--size", "7", "--data-dir", "here"]) == 0
    assert capsys.readouterr().out.startswith("made 7 in here\na stand-in of classes\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--example", "3"], "give --out FILE.png too"),
        (["--out", "x.gif"], "the ending of --out must be one of '.png', '.svg'"),
        (["--out", "x.png", "--example", "-1"], "--example must be at least 0"),
        (["--out", "x.png", "--example", "11"], "--example must be between 0 and 10; got 11"),
    ],
)
def test_what_cannot_be_drawn_is_refused(words, message, tmp_path, capsys, monkeypatch):
    task = put_in_place(monkeypatch, "classes")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "digits", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert not task.seen or re.search("between 0 and", message)  # refused before anything is read, where that can be known
