"""An engine is one record in one file: it is found by being there, and everybody who lists engines then knows it."""

from __future__ import annotations

import dataclasses
import sys
from types import ModuleType

import numpy as np
import pytest
from autograd import grad
from cases import random_arguments

import multires_ref as mr
from multires_ref import engines
from multires_ref.engines import ENGINES, Engine

TREE = ENGINES["tree"]
FILE = '''"""An engine that a test adds."""

from multires_ref.engines.engine import Engine
from multires_ref.engines.tree import ENGINE as TREE

ENGINE = Engine("added", about="one file, {threads} threads", runs_on=("numpy",), forward=TREE.forward, backward=TREE.backward)
'''


def test_every_engine_is_complete_and_tells_whether_it_can_be_used():
    for name, engine in ENGINES.items():
        assert engine.name == name
        problem = engine.problem()
        line = engines.available_engines()[name]
        assert line == f"not available: {problem}" if problem else line == engine.about.format(threads=engines.num_threads())
        for kind in ("numpy", "cupy"):
            assert (name in engines.usable_engines(kind)) == (kind in engine.runs_on and not problem)
    assert {"tree", "fft"} <= set(engines.usable_engines())
    assert list(ENGINES) == sorted(ENGINES)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A second folder in which engines are looked for."""
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("multires_ref.engines."):
            del sys.modules[name]


def test_one_file_is_enough(folder):
    (folder / "added.py").write_text(FILE)
    (folder / "helper.py").write_text('"""No engine."""\n')
    found = engines.find_engines()
    assert set(found) == {*ENGINES, "added"}
    assert found["added"].runs_on == ("numpy",)


def test_two_engines_of_one_name_are_refused(folder):
    (folder / "added.py").write_text(FILE.replace('"added"', '"tree"'))
    with pytest.raises(ValueError, match="two engines are called 'tree'"):
        engines.find_engines()


def test_a_registered_engine_computes_the_layer_and_its_gradients(monkeypatch):
    asked = []

    def forward(*args):
        asked.append("forward")
        return TREE.forward(*args)

    def backward(*args):
        asked.append("backward")
        return TREE.backward(*args)

    args = random_arguments(np.random.default_rng(0), B=2, D=3, L=20)
    mine = Engine("mine", "an example", ("numpy",), forward=forward, backward=backward)
    monkeypatch.setitem(ENGINES, "mine", mine)
    np.testing.assert_array_equal(mr.multires_conv(*args, engine="mine"), mr.multires_conv(*args, engine="tree"))
    of_x = [grad(lambda x, e=e: (mr.multires_conv(x, *args[1:], engine=e) ** 2).sum())(args[0]) for e in ("mine", "tree")]
    np.testing.assert_array_equal(*of_x)
    assert asked == ["forward", "forward", "backward"]
    assert engines.available_engines()["mine"] == "an example"
    assert "mine" in engines.usable_engines()
    with pytest.raises(ValueError, match="did you mean 'mine'"):
        mr.multires_conv(*args, engine="mime")


def test_auto_takes_the_fastest_that_can_be_used(monkeypatch):
    x = np.zeros((1, 1, 64))
    slow = dataclasses.replace(TREE, name="slow", speed=0)
    broken = dataclasses.replace(TREE, name="broken", speed=99, needs="luck", problem=lambda: "wait for it")
    monkeypatch.setitem(ENGINES, "slow", slow)
    monkeypatch.setitem(ENGINES, "broken", broken)
    assert engines.choose("auto", x, 3, (1, 1, 1), 2) in ("tree", "fused")
    monkeypatch.setitem(ENGINES, "slow", dataclasses.replace(slow, speed=99, crossover=lambda B, L: 10 * B + L))
    assert engines.explain_choice(x, 3, (1, 1, 1), 2) == (
        "slow",
        "13 multiplications a sample, below the 74 from where transforms would be faster at this length and batch",
    )
    assert engines.explain_choice(x, 20, (1,) * 20, 2) == (
        "fft",
        "81 multiplications a sample, above the 74 from where transforms are faster than 'slow' at this length and batch",
    )
    with pytest.raises(ImportError, match="^engine 'broken' needs luck: wait for it$"):
        engines.choose("broken", x, 3, (1, 1, 1), 2)


def test_arrays_that_an_engine_does_not_run_on_are_refused(monkeypatch):
    args = random_arguments(np.random.default_rng(0))
    monkeypatch.setitem(ENGINES, "mine", dataclasses.replace(TREE, name="mine", runs_on=("cupy",)))
    with pytest.raises(TypeError, match="engine 'mine' runs on CuPy arrays; x is a NumPy array"):
        mr.multires_conv(*args, engine="mine")


def test_what_auto_takes_for_cupy_arrays(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", ModuleType("cupy"))
    x = type("ndarray", (), {"__module__": "cupy", "shape": (2, 3, 64)})()
    assert engines.explain_choice(x, 3, (1, 1, 1), 2) == ("gpu", "the arrays are CuPy's")
    with pytest.raises(TypeError, match="engine 'fft' runs on NumPy arrays; x is a CuPy array"):
        engines.choose("fft", x, 3, (1, 1, 1), 2)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="engine 'gpu' needs CuPy: pip install"):
        engines.choose("gpu", x, 3, (1, 1, 1), 2)


WRONG = {
    "an unknown kind": (
        {"runs_on": ("numpy", "torch")},
        ValueError,
        "must be a tuple of 'numpy' and 'cupy'",
    ),
    "a list of kinds": ({"runs_on": ["numpy"]}, ValueError, "runs_on must be a tuple"),
    "a text for a kind": ({"runs_on": "numpy"}, ValueError, "runs_on must be a tuple"),
    "no kinds": ({"runs_on": ()}, ValueError, "runs_on must be a tuple"),
    "the name of the choice": ({"name": "auto"}, ValueError, "name must be a word other than 'auto'"),
    "two words": ({"name": "my engine"}, ValueError, "name must be a word"),
    "two lines": ({"about": "one\ntwo"}, ValueError, "about must be one line"),
    "no lines": ({"about": ""}, ValueError, "about must be one line"),
    "no function forward": ({"forward": None}, TypeError, "engine 'mine': forward must be a function"),
    "no function backward": ({"backward": 3}, TypeError, "engine 'mine': backward must be a function"),
    "a text for a problem": ({"problem": "wait for it"}, TypeError, "engine 'mine': problem must be a function"),
    "a number for the crossover": ({"crossover": 100.0}, TypeError, "engine 'mine': crossover must be a function"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_record_that_is_wrong_is_refused_when_it_is_made(wrong):
    changed, error, words = WRONG[wrong]
    with pytest.raises(error, match=words):
        dataclasses.replace(TREE, **{"name": "mine"} | changed)


@pytest.mark.parametrize("field", ["name", "about", "runs_on", "forward", "backward"])
def test_a_record_that_lacks_a_field_is_refused(field):
    fields = {f.name: getattr(TREE, f.name) for f in dataclasses.fields(TREE) if f.name != field}
    with pytest.raises(TypeError, match=f"missing 1 required positional argument: '{field}'"):
        Engine(**fields)
