"""ListOps' data: what `multires-ref data` is told decides the files, what is read and noted, and how many examples there are."""

import argparse
import hashlib
import json

import pytest

from multires_ref.tasks import get_task, listops
from multires_ref.tasks import listops_data as lo
from multires_ref.tasks.task import LoadOptions

SHORT = lo.Limits(min_length=5, max_length=40, max_depth=4, max_args=5)


def parsed(folder, *words):
    """What the command line would hand to `prepare`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    listops.add_data_arguments(parser)
    return parser.parse_args(["--data-dir", str(folder), *words])


def digest(examples):
    return hashlib.sha256(json.dumps(examples).encode()).hexdigest()[:16]


def test_the_generator_draws_what_it_always_drew():
    """Two chunks of a seed, and an expression of each length: the files of a seed stay the same listops."""
    examples = lo.generate(700, seed=4, limits=SHORT)
    assert len({source for source, _ in examples}) == 700
    lengths = [sum(token not in "()" for token in source.split()) for source, _ in examples]
    assert (min(lengths), max(lengths)) == (6, 39)  # strictly between the limits, and up to them
    assert digest(examples) == "c2e1503f975f6a6e"


FLAGS = {  # flag -> (value, how the limits or the seed change)
    "--seed": ("7", {"seed": 7}),
    "--min-length": ("10", {"min_length": 10}),
    "--max-length": ("25", {"max_length": 25}),
    "--max-depth": ("3", {"max_depth": 3}),
    "--max-args": ("3", {"max_args": 3}),
}
USUAL = {"--seed": "1", "--min-length": "5", "--max-length": "40", "--max-depth": "4", "--max-args": "5"}
SIZES = ("--train", "30", "--val", "20", "--test", "10", "--workers", "1")


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_of_the_generator(tmp_path, flag, monkeypatch):
    """The three files hold the stretches of what the generator gives for these limits and this seed."""
    value, change = FLAGS[flag]
    words = [word for pair in (USUAL | {flag: value}).items() for word in pair]
    lines = listops.prepare(parsed(tmp_path, *SIZES, *words))
    limits = {"min_length": 5, "max_length": 40, "max_depth": 4, "max_args": 5} | change
    seed = limits.pop("seed", 1)
    expected = lo.generate(60, seed, lo.Limits(**limits))
    for part, rows in {"train": slice(30), "val": slice(30, 50), "test": slice(50, 60)}.items():
        assert listops.read_file(tmp_path / f"basic_{part}.tsv") == expected[rows]
    assert f"generated 60 expressions with seed {seed} in {tmp_path}" in lines[0]
    assert "all 60 targets are the values of their expressions" in lines[1]
    calls = count_evaluations(monkeypatch)
    assert listops.prepare(parsed(tmp_path, *SIZES, *words)) == lines[1:]  # they are there: not made again,
    assert len(calls) == 60  # but every one is checked again, although the files are noted as checked


def test_what_the_generator_does_where_nothing_is_said():
    """The Long Range Arena's sizes and limits."""
    args = parsed("x")
    assert (args.train, args.val, args.test, args.seed) == (96_000, 2_000, 2_000, 1)
    assert (args.min_length, args.max_length, args.max_depth, args.max_args) == (500, 2000, 10, 10)
    assert lo.Limits() == lo.Limits(500, 2000, 10, 10)
    short = get_task("listops-short")
    assert short.add_data_arguments is None
    (line,) = short.prepare(argparse.Namespace(data_dir="x"))
    assert "with seed 5" in line
    assert "min_length=7, max_length=48, max_depth=4, max_args=4" in line


@pytest.mark.parametrize("number", ["seed", "count", "workers"])
def test_numbers_of_the_generator_are_checked(number):
    with pytest.raises(ValueError, match=f"{number} must be at least"):
        lo.generate(**{"count": 3, "seed": 0, "limits": SHORT} | {number: -1})


@pytest.mark.parametrize("change", [{"max_depth": 0}, {"max_args": 1}, {"min_length": -1}, {"max_length": 6}])
def test_limits_are_checked(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be at least"):
        lo.Limits(**{"min_length": 5, "max_length": 40} | change)


def write_parts(folder, count=3):
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(("basic_train.tsv", "basic_val.tsv", "basic_test.tsv")):
        listops.write_file(folder / name, [(f"[MAX {n} {k % 10} ]", max(n, k % 10)) for k in range(count)])


def test_the_tiny_scale(tmp_path, monkeypatch):
    """The first 200 examples of each file; made up, at full length, only where no folder was named and files are lacking."""
    write_parts(tmp_path / "own", 205)
    for scale, count in (("tiny", 200), ("full", 205)):
        splits = listops.load(LoadOptions(str(tmp_path / "own"), scale))
        for n, split in enumerate(splits.values()):
            assert split.y.tolist() == [max(n, k % 10) for k in range(count)]
            assert split.x.shape == (count, 2048)
    asked = []

    def generate(*arguments):
        asked.append(arguments)
        return [(f"[MAX 9 {n % 10} ]", 9) for n in range(300)]

    monkeypatch.setattr(listops, "generate", generate)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="basic_train.tsv is not in"):
        listops.load(LoadOptions(str(tmp_path / "nowhere"), "tiny"))
    with pytest.raises(FileNotFoundError, match=r"basic_train\.tsv is not in data/listops"):
        listops.load(LoadOptions())
    for times in (1, 2):
        splits = listops.load(LoadOptions(scale="tiny"))
        assert [split.x.shape for split in splits.values()] == [(200, 2048), (50, 2048), (50, 2048)]
        assert asked == [(300, 5)] * times  # with the Long Range Arena's limits
        write_parts(tmp_path / "data" / "listops")
        assert [len(split) for split in listops.load(LoadOptions(scale="tiny")).values()] == [3, 3, 3]
        (tmp_path / "data" / "listops" / "basic_test.tsv").unlink()


def test_an_expression_may_fill_its_row():
    split = listops.to_split([("[MAX 1 2 ]", 2)], 5)
    assert split.x.shape == (1, 5)
    with pytest.raises(ValueError, match="an expression has 5 tokens with the end; at most 4 fit"):
        listops.to_split([("7", 7), ("[MAX 1 2 ]", 2)], 4)


def count_evaluations(monkeypatch):
    calls = []
    monkeypatch.setattr(listops, "evaluate", lambda source: calls.append(source) or lo.evaluate(source))
    return calls


def test_what_was_checked_is_noted_for_every_file(tmp_path, monkeypatch):
    """A file is noted when all of it was read, beside the others; a part that was read is checked and not noted."""
    write_parts(tmp_path)
    calls = count_evaluations(monkeypatch)
    paths = [tmp_path / name for name in listops.FILES.values()]
    for path in paths:
        assert len(listops.read_file(path, most=2)) == 2
    assert not (tmp_path / listops.NOTE).exists()
    for path in paths:
        listops.read_file(path)
    assert len(calls) == 6 + 9
    for path in paths:
        listops.read_file(path)
    assert len(calls) == 15
    paths[0].write_bytes(paths[1].read_bytes())  # right too, but not what was checked under this name
    listops.read_file(paths[0])
    assert len(calls) == 18


def test_a_folder_that_takes_no_note(tmp_path, monkeypatch):
    """The file is read all the same, and checked the next time too."""
    write_parts(tmp_path)
    (tmp_path / listops.NOTE).mkdir()
    calls = count_evaluations(monkeypatch)
    for times in (3, 6):
        assert len(listops.read_file(tmp_path / "basic_val.tsv")) == 3
        assert len(calls) == times


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("( [MAX 4 3 ] ) )\t4", r"the parentheses do not match: 1 \( and 2 \)"),
        ("( ( [MAX 4 3 ] )\t4", r"the parentheses do not match: 2 \( and 1 \)"),
        ("[MAX 4 3 ]\t5", "the target is 5, but the value of the expression is 4"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path, line, words):
    (tmp_path / "x.tsv").write_text(f"Source\tTarget\n7\t7\n{line}\n")
    with pytest.raises(ValueError, match=rf"x\.tsv, line 3: {words}"):
        listops.read_file(tmp_path / "x.tsv")
    (tmp_path / "x.tsv").write_bytes(b"Source\tTarget\n7\t7\n\xff\t4\n")
    with pytest.raises(ValueError, match=r"x\.tsv, line 3: text in UTF-8 is expected; got the byte 0xff"):
        listops.read_file(tmp_path / "x.tsv")
