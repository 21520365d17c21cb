"""ListOps: generator against evaluator, the Arena's files, tokens, and a short training run through the command line."""

import json

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.tasks import get_task
from multires_ref.tasks import listops_data as lo
from multires_ref.tasks.listops import END, PAD, TOKENS, encode, load, load_short, to_split
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.data import fingerprint

SHORT = lo.Limits(min_length=5, max_length=40, max_depth=4, max_args=5)
SHORT_FINGERPRINT = {"train": "(200, 48) 5d5edb0f", "val": "(50, 48) fcb5f1d1", "test": "(50, 48) b619b074"}
THEIRS = """Source\tTarget
( ( ( ( [MAX 4 ) 3 ) ( ( ( [MIN 2 ) 3 ) ] ) ) ] )\t4
( ( ( ( ( [MED 9 ) 4 ) 7 ) 1 ) ] )\t5
( ( ( ( [SM 9 ) 9 ) 5 ) ] )\t3
"""


def length_of(source):
    return sum(token not in "()" for token in source.split())


def depth_of(source):
    depth = deepest = 0
    for token in source.split():
        depth += (token in lo.OPERATORS) - (token == "]")
        deepest = max(deepest, depth + (token.isdigit()))
    return deepest


def args_of(source):
    """The number of arguments of every operator."""
    counts, stack = [], [0]
    for token in source.split():
        if token in lo.OPERATORS:
            stack.append(0)
        elif token == "]":
            counts.append(stack.pop())
            stack[-1] += 1
        elif token.isdigit():
            stack[-1] += 1
    return counts


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[MAX 4 3 [MIN 2 3 ] 1 0 ]", 4),
        ("[MED 1 8 ]", 4),
        ("[MED 1 2 9 ]", 2),
        ("[MED 1 2 5 9 ]", 3),
        ("[SM 9 9 9 ]", 7),
        ("[MIN [MAX 3 5 ] [SM 6 6 ] ]", 2),
        ("7", 7),
    ],
)
def test_values_by_hand(source, value):
    assert lo.evaluate(source) == value


@pytest.mark.parametrize("source", ["", "[MAX 1 2", "1 2", "[MAX ]", "[SUM 1 2 ]", "]", "12", "__import__('os')"])
def test_what_is_no_expression_is_refused(source):
    with pytest.raises(ValueError, match="ListOps expression"):
        lo.evaluate(source)


@pytest.mark.parametrize("limits", [SHORT, lo.Limits()])
def test_generated_expressions_obey_the_limits(limits):
    examples = lo.generate(60, seed=3, limits=limits)
    for source, target in examples:
        assert lo.evaluate(source) == target
        assert limits.min_length < length_of(source) < limits.max_length
        assert depth_of(source) <= limits.max_depth
        assert all(2 <= n <= limits.max_args for n in args_of(source))
    assert len({source for source, _ in examples}) == 60


def test_a_wrong_target_is_caught(monkeypatch):
    monkeypatch.setattr(lo, "apply_operator", lambda operator, values: 0)
    with pytest.raises(ValueError, match="disagree"):
        lo.generate(50, seed=0, limits=SHORT)


def test_shares_of_digits_operators_and_arguments():
    """Below the root: a quarter operators, each kind alike, arguments uniform from 2 to 5 (no lengths refused here)."""
    limits, u = lo.Limits(0, 10**6, max_depth=3, max_args=5), lo.uniforms(np.random.default_rng(0))
    sources = [lo.draw_expression(u, limits)[0] for _ in range(20_000)]
    assert np.mean([source[0] == "(" for source in sources]) == pytest.approx(0.25, abs=0.02)
    counts = np.bincount([n for source in sources for n in args_of(source)], minlength=6)
    np.testing.assert_allclose(counts[2:] / counts.sum(), 0.25, atol=0.02)
    text = " ".join(sources)
    kinds = np.array([text.count(operator) for operator in lo.OPERATORS])
    np.testing.assert_allclose(kinds / kinds.sum(), 0.25, atol=0.02)


def test_the_seed_alone_decides_not_the_workers():
    one = lo.generate(700, seed=4, limits=SHORT)
    assert lo.generate(700, seed=4, limits=SHORT, workers=2) == one
    assert lo.generate(700, seed=5, limits=SHORT) != one


def test_impossible_limits_end():
    with pytest.raises(ValueError, match="too few"):
        lo.generate(30, seed=0, limits=lo.Limits(0, 3, max_depth=1))
    with pytest.raises(ValueError, match="max_length must be at least"):
        lo.Limits(min_length=5, max_length=6)


def test_their_files_are_read_and_ours_are_the_same_form(tmp_path):
    (tmp_path / "theirs.tsv").write_text(THEIRS)
    examples = lo.read_file(tmp_path / "theirs.tsv")
    assert [target for _, target in examples] == [4, 5, 3]
    assert all(lo.evaluate(source) == target for source, target in examples)
    lo.write_file(tmp_path / "ours.tsv", examples)
    assert (tmp_path / "ours.tsv").read_text() == THEIRS
    source = lo.generate(1, seed=0, limits=SHORT)[0][0]
    assert source.count("(") == source.count(")") > 0


@pytest.mark.parametrize(
    ("text", "message"), [("A\tB\n1\t1\n", "columns Source and Target"), ("Source\tTarget\n1\tx\n", "damaged near line 2")]
)
def test_damaged_files_are_named(tmp_path, text, message):
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(ValueError, match=message):
        lo.read_file(tmp_path / "bad.tsv")


def tokenise(source):
    """The Arena's tokeniser, word by word: parentheses dropped, the closing bracket read as X."""
    words = source.replace("(", "").replace(")", "").replace("]", "X").split()
    return [TOKENS.index(word) if word in TOKENS else 1 for word in words] + [END]


def test_tokens():
    for source, _ in lo.generate(30, seed=1, limits=SHORT):
        assert encode(source).tolist() == tokenise(source)
    assert len(TOKENS) == 18
    assert encode("1 ? 2").tolist() == [TOKENS.index("1"), 1, TOKENS.index("2"), END]
    long = encode("1 " * 5000)
    assert (len(long), long[-1]) == (2048, END)


def test_padding_and_lengths():
    split = to_split([("[MAX 1 2 ]", 2), ("7", 7)], 6)
    assert split.x.tolist() == [[*tokenise("[MAX 1 2 ]"), PAD], [TOKENS.index("7"), END, PAD, PAD, PAD, PAD]]
    assert (split.lengths.tolist(), split.y.tolist()) == ([5, 2], [2, 7])


def test_missing_data_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"multires-ref data listops --data-dir .*Long Range Arena"):
        load(LoadOptions(str(tmp_path)))
    assert {name: len(split) for name, split in load(LoadOptions(scale="tiny")).items()} == {"train": 200, "val": 50, "test": 50}


def test_from_generation_to_a_trained_run(tmp_path, capsys):
    """`data` writes and checks the files, `train` learns from them; a changed target is found out."""
    folder, out = str(tmp_path / "data"), tmp_path / "run"
    sizes = ["--train", "80", "--val", "20", "--test", "20", "--min-length", "5", "--max-length", "40"]
    arguments = ["data", "listops", "--data-dir", folder, *sizes, "--workers", "1", "--out", str(tmp_path / "example.png")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "all 120 targets are the values of their expressions" in printed
    assert "train: 80 examples" in printed
    assert (tmp_path / "example.png").stat().st_size > 1000
    settings = ["--scale", "tiny", "--epochs", "1", "--d-model", "4", "--max-length", "2048"]
    assert main(["train", "listops", "--data-dir", folder, "--out", str(out), "--quiet", *settings]) == 0
    assert 0 <= json.loads((out / "metrics.json").read_text())["test_accuracy"] <= 1
    path = tmp_path / "data" / "basic_val.tsv"
    source, target = lo.read_file(path)[0]
    path.write_text(path.read_text().replace(f"{source}\t{target}", f"{source}\t{(target + 1) % 10}"))
    assert main(arguments) == 2
    assert "1 of 120 targets" in capsys.readouterr().err


def test_short_listops_needs_no_files(tmp_path):
    out = tmp_path / "run"
    settings = ["--scale", "tiny", "--epochs", "1", "--d-model", "4"]
    assert main(["train", "listops-short", "--out", str(out), "--quiet", *settings]) == 0
    assert get_task("listops-short").network.d_input == len(TOKENS)
    assert json.loads((out / "metrics.json").read_text())["steps"] == 4
    example = tmp_path / "example.png"
    assert main(["data", "listops-short", "--out", str(example)]) == 0
    assert [path.name for path in tmp_path.iterdir() if path != out] == ["example.png"]  # no files of data are written


def test_each_part_comes_from_its_own_file(tmp_path):
    digits = {"train": [1, 2], "val": [3], "test": [4, 5, 6]}
    for part, name in lo.FILES.items():
        lo.write_file(tmp_path / name, [(f"[MAX {digit} 0 ]", digit) for digit in digits[part]])
    splits = load(LoadOptions(str(tmp_path)))
    assert {part: split.y.tolist() for part, split in splits.items()} == digits


def test_generated_parts_share_no_expression(tmp_path):
    folder = str(tmp_path / "data")
    sizes = ["--train", "60", "--val", "30", "--test", "20", "--min-length", "5", "--max-length", "40"]
    assert main(["data", "listops", "--data-dir", folder, *sizes, "--workers", "1", "--out", str(tmp_path / "a.png")]) == 0
    parts = {part: {source for source, _ in lo.read_file(tmp_path / "data" / name)} for part, name in lo.FILES.items()}
    assert {part: len(sources) for part, sources in parts.items()} == {"train": 60, "val": 30, "test": 20}
    assert len(set.union(*parts.values())) == 110


@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_short_listops_parts_share_no_expression(scale):
    splits = load_short(LoadOptions(scale=scale))
    rows = [{row.tobytes() for row in split.x} for split in splits.values()]
    assert [len(part) for part in rows] == [len(split) for split in splits.values()]
    assert len(set.union(*rows)) == sum(map(len, rows))


def test_short_listops_is_always_the_same_data():
    """The checksum of the data that the tutorials and stored results were made with."""
    assert fingerprint(load_short(LoadOptions(scale="tiny"))) == SHORT_FINGERPRINT
