"""ListOps: generator against evaluator, the Arena's files, tokens, and a short training run through the command line."""

import json
import os

import numpy as np
import pytest

from multires_ref.cli import main
from multires_ref.tasks import get_task
from multires_ref.tasks import listops as files
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
    examples = files.read_file(tmp_path / "theirs.tsv")
    assert [target for _, target in examples] == [4, 5, 3]
    assert all(lo.evaluate(source) == target for source, target in examples)
    files.write_file(tmp_path / "ours.tsv", examples)
    assert (tmp_path / "ours.tsv").read_text() == THEIRS
    source = lo.generate(1, seed=0, limits=SHORT)[0][0]
    assert source.count("(") == source.count(")") > 0


GOOD = b"( ( ( [MAX 4 ) 3 ) ] )\t4\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "an expression, a tab and its value, one digit, are expected; got an empty line"),
        (b"7", "a tab and its value, one digit, are expected; got '7'"),
        (b"7\t7\t7", "are expected; got"),
        (b"7\tx", "one digit, are expected; got"),
        (b"7\t", "one digit, are expected; got"),
        (b"10\t10", "one digit, are expected; got"),
        (b"[MAX 4 ? ]\t4", "'?' is no digit, operator or ]"),
        (b"[SUM 4 3 ]\t7", "'[SUM' is no digit, operator or ]"),
        (b"[MAX 12 3 ]\t3", "'12' is no digit"),
        (b"[MAX 4 3\t4", "1 operators are not closed by ]"),
        (b"[MAX 4 ] ]\t4", "] closes nothing"),
        (b"[MAX ]\t4", "] closes an operator without arguments"),
        (b"4 3\t4", "it has 2 values"),
        (b"( [MAX 4 3 ]\t4", "the parentheses do not match: 1 ( and 0 )"),
        (b"[MAX 4 3 ]\t3", "the target is 3, but the value of the expression is 4"),
        (b"[SM" + b" 1" * 2046 + b" ]\t6", "at most 2,048 tokens, the end's included, are expected; got 2,049"),
        (b"7\xff\t7", "text in UTF-8 is expected; got the byte 0xff"),
        (b"\x007\t7", "is no digit"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, words):
    (tmp_path / "bad.tsv").write_bytes(b"Source\tTarget\n" + 3 * GOOD + line + b"\n" + GOOD)
    for _ in range(2):  # it is not noted as checked
        with pytest.raises(ValueError) as error:
            files.read_file(tmp_path / "bad.tsv")
        assert str(error.value).startswith(f"{tmp_path / 'bad.tsv'}, line 5: ")
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"A\tB\n1\t1\n", "line 1: the columns Source and Target"),
        (b"", "line 1: the columns Source and Target"),
        (b"Source\tTarget\n", "must hold at least one expression"),
        (b"\xff\xfeS\x00", "line 1: text in UTF-8 is expected; got the byte 0xff"),
    ],
)
def test_a_file_without_examples_is_named(tmp_path, text, words):
    (tmp_path / "bad.tsv").write_bytes(text)
    with pytest.raises(ValueError, match=words) as error:
        files.read_file(tmp_path / "bad.tsv")
    assert "bad.tsv" in str(error.value)
    (tmp_path / "bad.tsv").unlink()
    os.mkfifo(tmp_path / "bad.tsv")
    with pytest.raises(ValueError, match="must be a file; it is a pipe"):
        files.read_file(tmp_path / "bad.tsv")


def test_the_longest_expression_is_not_cut():
    source = "[SM" + " 1" * 2045 + " ]"
    assert encode(source).tolist() == tokenise(source)
    assert len(encode(source)) == lo.MAX_LENGTH
    with pytest.raises(ValueError, match=r"must have fewer than 2,048 tokens; got 2,048"):
        encode("[SM" + " 1" * 2046 + " ]")


def test_a_checked_file_is_not_evaluated_again(tmp_path, monkeypatch):
    """The note holds for the very bytes that were checked; a damaged note is as good as none."""
    path, calls = tmp_path / "x.tsv", []
    monkeypatch.setattr(files, "evaluate", lambda source: calls.append(source) or lo.evaluate(source))
    path.write_bytes(b"Source\tTarget\n" + 3 * GOOD)
    expected = [("( ( ( [MAX 4 ) 3 ) ] )", 4)] * 3
    evaluated = []
    for again in (False, False, True):
        assert files.read_file(path, again=again) == expected
        evaluated.append(len(calls))
    assert evaluated == [3, 3, 6]
    (tmp_path / files.NOTE).write_text("[" * 100_000)
    assert files.read_file(path) == expected
    assert len(calls) == 9
    assert files.read_file(path, most=2) == expected[:2]
    assert len(calls) == 9
    path.write_bytes(b"Source\tTarget\r\n" + GOOD.replace(b"\n", b"\r\n") + b"7\t8\r\n")
    assert files.read_file(path, most=1) == expected[:1]  # of a file that was changed since: what is read is checked
    assert len(calls) == 10
    with pytest.raises(ValueError, match="line 3: the target is 8, but the value of the expression is 7"):
        files.read_file(path)


def test_folders_that_hold_no_data(tmp_path, capsys):
    for name, state in (("nowhere", "does not exist"), ("empty", "is empty"), ("other", "holds other files")):
        if name != "nowhere":
            (tmp_path / name).mkdir()
        if name == "other":
            (tmp_path / name / "basic_val.tsv").touch()
        with pytest.raises(FileNotFoundError, match=rf"basic_train\.tsv is not in .*{name}, which {state}\. Generate"):
            load(LoadOptions(str(tmp_path / name)))
    for command in ("data", "train"):
        assert main([command, "listops", "--data-dir", str(tmp_path / "other" / "basic_val.tsv")]) == 2
        assert "is a file; a folder with basic_train.tsv, basic_val.tsv, basic_test.tsv is expected" in capsys.readouterr().err
    assert main(["data", "listops", "--data-dir", str(tmp_path / "other")]) == 2
    assert "basic_train.tsv is not in" in capsys.readouterr().err


def tokenise(source):
    """The Arena's tokeniser, word by word: parentheses dropped, the closing bracket read as X."""
    words = source.replace("(", "").replace(")", "").replace("]", "X").split()
    return [TOKENS.index(word) if word in TOKENS else 1 for word in words] + [END]


def test_tokens():
    for source, _ in lo.generate(30, seed=1, limits=SHORT):
        assert encode(source).tolist() == tokenise(source)
    assert len(TOKENS) == 18
    for source in ("1 ? 2", "1 [SUM 2", "1 é 2", "1 € 2"):
        with pytest.raises(ValueError, match="must consist of digits, operators, brackets and parentheses; got '[?[é€]'"):
            encode(source)


def test_padding_and_lengths():
    split = to_split([("[MAX 1 2 ]", 2), ("7", 7)], 6)
    assert split.x.tolist() == [[*tokenise("[MAX 1 2 ]"), PAD], [TOKENS.index("7"), END, PAD, PAD, PAD, PAD]]
    assert (split.lengths.tolist(), split.y.tolist()) == ([5, 2], [2, 7])


def test_missing_data_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"multires-ref data listops --data-dir .*Long Range Arena"):
        load(LoadOptions(str(tmp_path)))


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
    source, target = files.read_file(path)[0]
    path.write_text(path.read_text().replace(f"{source}\t{target}", f"{source}\t{(target + 1) % 10}"))
    for command in (arguments, ["train", "listops", "--data-dir", folder, "--out", str(tmp_path / "second"), *settings]):
        assert main(command) == 2
        assert f"{path}, line 2: the target is {(target + 1) % 10}, but" in capsys.readouterr().err


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
    for part, name in files.FILES.items():
        files.write_file(tmp_path / name, [(f"[MAX {digit} 0 ]", digit) for digit in digits[part]])
    splits = load(LoadOptions(str(tmp_path)))
    assert {part: split.y.tolist() for part, split in splits.items()} == digits


def test_generated_parts_share_no_expression(tmp_path):
    folder = str(tmp_path / "data")
    sizes = ["--train", "60", "--val", "30", "--test", "20", "--min-length", "5", "--max-length", "40"]
    assert main(["data", "listops", "--data-dir", folder, *sizes, "--workers", "1", "--out", str(tmp_path / "a.png")]) == 0
    parts = {part: {source for source, _ in files.read_file(tmp_path / "data" / name)} for part, name in files.FILES.items()}
    assert {part: len(sources) for part, sources in parts.items()} == {"train": 60, "val": 30, "test": 20}
    assert len(set.union(*parts.values())) == 110


@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_short_listops_parts_share_no_expression(scale):
    splits = load_short(LoadOptions(scale=scale))
    sizes = {"train": 20_000, "val": 1_000, "test": 1_000} if scale == "full" else {"train": 200, "val": 50, "test": 50}
    assert {part: split.x.shape for part, split in splits.items()} == {part: (size, 48) for part, size in sizes.items()}
    for split in splits.values():  # every row is an expression of 8 to 47 tokens and the end
        np.testing.assert_array_equal((split.x != PAD).sum(axis=1), split.lengths)
        np.testing.assert_array_equal(split.x[np.arange(len(split)), split.lengths - 1], END)
        assert 8 < split.lengths.min() <= split.lengths.max() <= 48
    rows = [{row.tobytes() for row in split.x} for split in splits.values()]
    assert [len(part) for part in rows] == [len(split) for split in splits.values()]
    assert len(set.union(*rows)) == sum(map(len, rows))


def test_short_listops_is_always_the_same_data():
    """The checksum of the data that the tutorials and stored results were made with."""
    assert fingerprint(load_short(LoadOptions(scale="tiny"))) == SHORT_FINGERPRINT
