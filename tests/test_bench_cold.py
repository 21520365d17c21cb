"""`multires-ref bench cold`: the lines and numbers of known runs, and a small measurement."""

import json
import subprocess

import pytest

pytest.importorskip("numba", reason="Numba is not installed")

from multires_ref.bench import cold
from multires_ref.cli import main
from multires_ref.training.ahead import SWITCH


def known_run(kind, number):
    """Run `number` of its kind; run 0 is the round that is not counted."""
    seconds = {cold.COLD: 6.0, cold.ALONE: 12.0, cold.WARM: 3.0}[kind] + number + 100 * (number == 0)
    here = kind != cold.WARM
    of_loops = [
        ["fused: forward", 0.5 if not here else 2.0 + number, here],
        ["gelu: gelu rows", 0.25, here],
        ["embed", 0.25, False],
    ]
    return {"seconds": seconds, "loops": of_loops, "data": 1.0}


@pytest.fixture
def runs(monkeypatch):
    """The runs that were asked for: (name of the cache, whether alone, further words)."""
    asked = []

    def one_run(folder, cache, alone, words):
        kind = cold.WARM if cache == "warm" else cache.rpartition(" ")[0]
        number = sum(1 for before, *_ in asked if (before if before == "warm" else before.rpartition(" ")[0]) == kind)
        asked.append((cache, alone, words))
        return known_run(kind, number)

    monkeypatch.setattr(cold, "one_run", one_run)
    return asked


def test_the_figures_are_those_of_the_runs(runs, tmp_path, capsys):
    assert main(["bench", "cold", "--repeats", "3", "--out", str(tmp_path / "cold.json")]) == 0
    printed = capsys.readouterr().out.splitlines()
    result = json.loads((tmp_path / "cold.json").read_text())
    assert {kind: row["median"] for kind, row in result["rows"].items()} == {"cold": 8.0, "cold, alone": 14.0, "warm": 5.0}
    assert result["parts"]["cold"] == {"loops": 4.5, "data": 1.0, "rest": 2.5}
    assert result["parts"]["warm"] == {"loops": 1.0, "data": 1.0, "rest": 3.0}
    assert (result["compiled"], result["slowest"]) == (2, [["fused: forward", 4.0], ["gelu: gelu rows", 0.25]])
    assert printed[1] == "cold: multires-ref train digits in a new process, until its first step is done"
    assert printed[3].split() == ["cold", "8,000", "7,500", "to", "8,500", "1.60x"]
    assert printed[6:] == [
        "  cold: loops 4.50 s, data 1.00 s, rest 2.50 s",
        "  cold, alone: loops 4.50 s, data 1.00 s, rest 8.50 s",
        "  warm: loops 1.00 s, data 1.00 s, rest 3.00 s",
        "  loops compiled: 2; the slowest: fused: forward 4.00 s, gelu: gelu rows 0.25 s",
        "  cold / warm: 1.60",
        "  cold, with the helper / alone: 0.57",
    ]


def test_every_cold_run_has_a_cache_of_its_own(runs, capsys):
    main(["bench", "cold", "--quick"])
    small = ["--scale", "tiny"]
    kinds = [("cold", False), ("cold, alone", True)]
    one_round = [[(f"{kind} {n}", alone, small) for kind, alone in kinds] + [("warm", True, small)] for n in range(2)]
    assert runs == one_round[0] + one_round[1]


def test_a_run_that_fails_is_named(monkeypatch, tmp_path):
    seen = {}

    def failing(command, env, **options):
        seen.update(env)
        return subprocess.CompletedProcess(command, 1, "", "MemoryError: no memory")

    monkeypatch.setattr(cold.subprocess, "run", failing)
    with pytest.raises(RuntimeError, match="did not get to its first step: MemoryError: no memory"):
        cold.one_run(tmp_path, "warm", True, [])
    assert (seen["NUMBA_CACHE_DIR"], seen[SWITCH]) == (str(tmp_path / "warm"), "0")


@pytest.mark.slow  # a first run, which compiles, and one after it
def test_a_first_run_and_the_next_one(tmp_path):
    first, second = (cold.one_run(tmp_path, "cache", True, ["--scale", "tiny"]) for _ in range(2))
    assert {name for name, _, here in first["loops"] if here} == {name for name, _, _ in second["loops"]}
    assert not any(here for _, _, here in second["loops"])
    for run in (first, second):
        assert sum(seconds for _, seconds, _ in run["loops"]) + run["data"] < run["seconds"]
    assert "fused: forward" in {name for name, _, _ in first["loops"]}
