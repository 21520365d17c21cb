"""`multires-ref bench`: which parts are measured, with which flags, what is written, and whose status is handed back."""

import json
from functools import wraps
from importlib import import_module

import pytest

from multires_ref.cli import main
from multires_ref.commands import bench
from multires_ref.engines import num_threads

TOGETHER = ["operator", "step", "small", "busy", "scaling", "pyramid", "swt", "startup", "memories"]
APART = ["sample", "paper", "peers", "gpu"]


@pytest.fixture
def measured(monkeypatch):
    """The flags that each part is given, instead of measuring it."""
    seen = []
    for name in TOGETHER:
        part = bench.module(bench.PARTS[name])

        @wraps(getattr(part, f"measure_{name}"))  # whose docstring is the text of --help
        def measure(args, name=name):
            seen.append((name, args.quick, args.repeats, num_threads()))
            return {"rows": {name: 1}}

        monkeypatch.setattr(part, f"measure_{name}", measure)
        monkeypatch.setattr(part, f"{name}_lines", lambda result: [f"measured {list(result['rows'])}"])
    for name in APART:
        part = import_module(f"multires_ref.bench.{name}")
        monkeypatch.setattr(part, "run", lambda args, name=name: seen.append((name, vars(args))) or 3)
    monkeypatch.setattr(bench, "chart", lambda results, path: seen.append((results, path)))
    return seen


@pytest.mark.parametrize(("words", "parts"), [([], TOGETHER), (["all"], TOGETHER), *(([name], [name]) for name in TOGETHER)])
def test_the_parts_that_were_asked_for(words, parts, measured, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *words]) == 0
    *given, (results, picture) = measured
    assert given == [(name, False, 7, num_threads()) for name in parts]
    assert picture.parts[0] == "runs"
    written = json.loads((tmp_path / picture).with_name("bench.json").read_text())
    assert written == json.loads(json.dumps(results))
    assert list(written) == ["machine", *parts]
    assert [written[name] for name in parts] == [{"rows": {name: 1}} for name in parts]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:-1] == [f"measured {[name]}" for name in parts]
    assert lines[-1] == f"wrote {picture.with_name('bench.json')} and {picture}"


def test_flags_reach_the_part(measured, tmp_path):
    out = tmp_path / "there"
    assert main(["bench", "step", "--quick", "--repeats", "2", "--threads", "1", "--out", str(out)]) == 0
    assert measured[0] == ("step", True, 2, 1)
    assert (out / "bench.json").exists()
    assert json.loads((out / "bench.json").read_text())["machine"]["threads"] == 1


@pytest.mark.parametrize(
    ("flags", "message"), [(["--repeats", "0"], "repeats must be at least 1"), (["--threads", "0"], "threads must be at least 1")]
)
def test_bad_numbers_are_refused_before_anything_is_measured(flags, message, measured, tmp_path, capsys):
    assert main(["bench", "step", *flags, "--out", str(tmp_path / "there")]) == 2
    assert message in capsys.readouterr().err
    assert measured == []
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", APART)
def test_parts_of_their_own_hand_their_status_back(name, measured):
    assert main(["bench", name]) == 3
    assert [given[0] for given in measured] == [name]


def test_a_gpu_is_the_part_for_gpus(measured):
    """`bench --device gpu` is `bench gpu` with its defaults."""
    assert main(["bench", "--device", "gpu"]) == 3
    assert main(["bench", "gpu"]) == 3
    (_, first), (_, second) = measured
    assert {name: second[name] for name in first} == first
