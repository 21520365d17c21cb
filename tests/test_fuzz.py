"""The fuzzer finds nothing in the public functions, and finds what is planted."""

import contextlib
import subprocess
import sys
import warnings
from pathlib import Path

import fuzz
import fuzz_calls
import numpy as np
import pytest
from cases import plant_engine

from multires_ref.base import checks
from multires_ref.engines import ENGINES


@pytest.mark.parametrize("calls", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_calls_of_all_kinds(calls):
    """In a process of its own, whose memory is bounded."""
    command = [sys.executable, str(Path(fuzz.__file__)), "--calls", str(calls), "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=550)
    assert f"{calls:,} calls, " in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[:-1] == []


def test_a_call_can_be_drawn_again():
    first, second = (fuzz.draw(np.random.default_rng([3, 14]), None) for _ in range(2))
    assert first[1:] == second[1:]
    for a, b in zip(first[0].arguments.values(), second[0].arguments.values(), strict=True):
        np.testing.assert_array_equal(a, b)


def wrong_number(x, *rest):
    y = TREE_FORWARD(x, *rest)
    y[..., -1] *= 1.001
    return y


def not_causal(x, *rest):
    return TREE_FORWARD(x, *rest) + 0 * x.sum(axis=-1, keepdims=True)


def writes(x, *rest):
    if x.flags.writeable:
        x[...] = 0
    return TREE_FORWARD(x, *rest)


def warns(*arguments):
    warnings.warn("look", stacklevel=1)
    return TREE_FORWARD(*arguments)


TREE_FORWARD = ENGINES["tree"].forward
PLANTED = {
    "a wrong number": (wrong_number, "multires_conv", "was expected within"),
    "the future": (not_causal, "not_finite", "y before the bad sample: at"),
    "another dtype": (lambda *a: TREE_FORWARD(*a).astype("float16"), "multires_conv", "float16"),
    "another shape": (lambda *a: TREE_FORWARD(*a)[..., None], "multires_conv", "was expected; got"),
    "a written argument": (writes, "multires_conv", "it wrote to x"),
    "a warning": (warns, "multires_conv", "it warned: UserWarning: look"),
    "another error": (lambda *a: {}["x"], "multires_conv", "KeyError: 'x'"),
    "a refusal": (lambda *a: checks.check_int("depth", -1, 1), "multires_conv", "a good call was refused"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_is_planted_is_found(monkeypatch, fault):
    forward, only, words = PLANTED[fault]
    monkeypatch.setattr(fuzz_calls, "ENGINES", ["tree"])
    assert not [fault for _, what, fault in fuzz.fuzz(40, 1, only) if " with " not in what]
    plant_engine(monkeypatch, "tree", forward=forward)
    found = [fault for _, what, fault in fuzz.fuzz(40, 1, only) if " with " not in what]
    assert any(words in fault for fault in found), found


def test_a_wrong_gradient_is_found(monkeypatch):
    backward = ENGINES["fft"].backward
    monkeypatch.setattr(fuzz_calls, "ENGINES", ["fft"])
    plant_engine(monkeypatch, "fft", backward=lambda *a: (2 * backward(*a)[0], *backward(*a)[1:]))
    assert any("the gradient of x" in fault for _, _, fault in fuzz.fuzz(20, 1, "gradients"))


def test_bad_arguments_that_are_taken_or_refused_without_a_name(monkeypatch):
    def nothing(name, value, *more):
        return 3

    def nameless(name, value, choices):
        raise ValueError("this will not do")

    from multires_ref import tree as module

    monkeypatch.setattr(module, "check_int", nothing)
    found = [fault for _, _, fault in fuzz.fuzz(40, 1, "receptive_field")]
    assert any("it was taken" in fault for fault in found)
    monkeypatch.setattr("multires_ref.base.layer_checks.check_choice", nameless)
    assert any("names no argument" in fault for _, _, fault in fuzz.fuzz(60, 1, "memory_rows"))


def test_a_call_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    monkeypatch.setattr(fuzz_calls, "ENGINES", ["tree"])

    def forever(*arguments):
        while True:
            with contextlib.suppress(Exception):
                sum(range(1000))

    plant_engine(monkeypatch, "tree", forward=forever)
    assert any("it took more than 0.2 s" in fault for _, _, fault in fuzz.fuzz(4, 1, "not_finite"))
