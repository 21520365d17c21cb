"""`multires-ref verify gradients`: the checker covers every operation, and catches wrong gradients."""

import numpy as np
import pytest
from autograd.core import primitive_vjps
from autograd.extend import defvjp, primitive

from multires_ref.cli import main
from multires_ref.interop import gradients
from multires_ref.interop.gradients import Case, cases, check_case, check_gradients, finite_differences
from multires_ref.ops import OPERATIONS, Example

ENGINES = ["tree"]


def test_every_gradient_holds():
    rows = check_gradients()
    wrong = [row for row in rows if not row.passed]
    assert not wrong, wrong


def test_every_operation_is_there():
    """Whatever this package registers with autograd is on the list."""
    registered = {f.__name__ for f in primitive_vjps if getattr(f, "__module__", "").startswith("multires_ref.")}
    by_definition = {operation.definition.__name__: name for name, operation in OPERATIONS.items()}
    listed = {case.name.split(",")[0] for case in cases(ENGINES)}
    assert {by_definition[name] for name in registered} <= listed


@primitive
def doubled(x):
    return 2.0 * x


@primitive
def swapped(x, y):
    return x * y


defvjp(doubled, lambda ans, x: lambda g: 2.00001 * g)
defvjp(swapped, lambda ans, x, y: lambda g: g * x, lambda ans, x, y: lambda g: g * x)


def test_a_wrong_gradient_is_caught(rng):
    """Wrong by one part in 200,000; and wrong in one of two arguments."""
    (row,) = check_case(Case("doubled", doubled, Example([(2, 3)])), rng)
    assert not row.passed
    assert row.finite == pytest.approx(5e-6, rel=1e-3)
    wrong, right = check_case(Case("swapped", swapped, Example([(2, 3), (2, 3)])), rng)
    assert (wrong.passed, right.passed) == (False, True)


def test_a_wrong_gradient_gives_status_1(monkeypatch, capsys):
    right = gradients.cases
    monkeypatch.setattr(gradients, "cases", lambda engines: [*right(ENGINES), Case("doubled", doubled, Example([(2, 3)]))])
    assert main(["verify", "gradients", "--op", "gelu"]) == 0
    assert main(["verify", "gradients", "--op", "doubled"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "0 of 1 gradients hold" in out


def test_a_wrong_pytorch_twin_is_caught(rng):
    """The same finite differences hold, but the twin computes something else."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.ops.dilated_conv import delay

    (row,) = check_case(Case("delay", delay, Example([(2, 3, 7)], (3,)), "advance"), rng)
    assert row.finite < 1e-10
    assert not row.passed


def test_finite_differences_are_of_fourth_order():
    """Exact, but for rounding, for polynomials up to degree 4; of x^5 the error is 4 h^4."""
    x = np.array([0.5])
    for degree, expected in ((4, 4 * 0.5**3), (5, 5 * 0.5**4 - 4 * gradients.STEP**4)):
        operation = Case("power", lambda x, degree=degree: x**degree, Example([(1,)]))
        assert finite_differences(operation, [x], 0, np.ones(1))[0] == pytest.approx(expected, abs=2e-13)


def test_one_operation_by_name(capsys):
    assert {row.operation for row in check_gradients("gelu")} == {"gelu", "gelu, dropout"}
    assert {row.operation for row in check_gradients("gelu, dropout")} == {"gelu, dropout"}
    assert main(["verify", "gradients", "--op", "gelo"]) == 2
    assert "did you mean 'gelu'" in capsys.readouterr().err


def test_without_pytorch(monkeypatch, rng):
    monkeypatch.setattr(gradients, "find_spec", lambda name: None)
    assert all(row.torch is None and row.passed for row in check_gradients("glu"))
