"""`multires-ref verify gradients`: the checker covers every operation, and catches wrong gradients."""

from dataclasses import replace

import numpy as np
import pytest
from autograd.core import primitive_vjps
from autograd.extend import defvjp, primitive

from multires_ref.cli import main
from multires_ref.diagnose import gradients
from multires_ref.diagnose.gradients import Case, cases, check_case, check_gradients, finite_differences
from multires_ref.ops import OPERATIONS, Example

ENGINES = ["tree"]


def case_of(name, ours, shapes, rest=(), in_torch=None):
    return Case(name, ours, Example(shapes, rest), in_torch)


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
    (row,) = check_case(case_of("doubled", doubled, [(2, 3)]), rng)
    assert not row.passed
    assert row.finite == pytest.approx(5e-6, rel=1e-3)
    wrong, right = check_case(case_of("swapped", swapped, [(2, 3), (2, 3)]), rng)
    assert (wrong.passed, right.passed) == (False, True)


def test_a_wrong_gradient_gives_status_1(monkeypatch, capsys):
    right = gradients.cases
    monkeypatch.setattr(gradients, "cases", lambda engines: [*right(ENGINES), case_of("doubled", doubled, [(2, 3)])])
    assert main(["verify", "gradients", "--op", "gelu"]) == 0
    assert main(["verify", "gradients", "--op", "doubled"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "0 of 1 gradients hold" in out


def test_a_wrong_pytorch_twin_is_caught(rng):
    """The same finite differences hold, but the twin computes something else."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.ops.dilated_conv import delay

    (row,) = check_case(case_of("delay", delay, [(2, 3, 7)], (3,), "advance"), rng)
    assert row.finite < 1e-10
    assert not row.passed


def test_finite_differences_are_of_fourth_order():
    """Exact, but for rounding, for polynomials up to degree 4; of x^5 the error is 4 h^4."""
    x = np.array([0.5])
    for degree, expected in ((4, 4 * 0.5**3), (5, 5 * 0.5**4 - 4 * gradients.STEP**4)):
        operation = case_of("power", lambda x, degree=degree: x**degree, [(1,)])
        assert finite_differences(operation, [x], 0, np.ones(1))[0] == pytest.approx(expected, abs=2e-13)


def test_one_operation_by_name(capsys):
    assert {row.operation for row in check_gradients("gelu")} == {"gelu", "gelu, dropout"}
    assert {row.operation for row in check_gradients("gelu, dropout")} == {"gelu, dropout"}
    assert main(["verify", "gradients", "--op", "gelo"]) == 2
    assert "did you mean 'gelu'" in capsys.readouterr().err


def test_without_pytorch(monkeypatch, rng):
    monkeypatch.setattr(gradients, "find_spec", lambda name: None)
    assert all(row.torch is None and row.passed for row in check_gradients("glu"))


def rule(factor=1.0, add=0.0, spoil=None):
    """An operation x^2 whose gradient is off as told."""

    @primitive
    def squared(x):
        return x**2

    def gradient(g, x):
        d = 2 * g * x * factor + add
        return d if spoil is None else spoil(d)

    defvjp(squared, lambda ans, x: lambda g: gradient(g, x))
    return case_of("squared", squared, [(20, 30)])


def at_one_place(value):
    def spoil(d):
        d = d.copy()
        d[13, 17] = value
        return d

    return spoil


@pytest.mark.parametrize(
    ("operation", "passed"),
    [
        (rule(), True),
        (rule(1 + 5e-9), True),
        (rule(1 + 2e-8), False),
        (rule(-1), False),
        (rule(add=1e-6), False),
        (rule(spoil=at_one_place(np.nan)), False),
        (rule(spoil=at_one_place(np.inf)), False),
        (rule(spoil=at_one_place(0.0)), False),
        (rule(spoil=lambda d: d * np.nan), False),
    ],
)
def test_one_part_in_100_million_is_allowed_and_no_nan(operation, passed, rng):
    (row,) = check_case(operation, rng)
    assert (row.operation, row.argument, row.torch, row.passed) == ("squared", 0, None, passed)
    with_it = gradients.format_gradients([row])
    assert f"{'ok' if passed else 'WRONG'}\n" in with_it
    assert f"{int(passed)} of 1 gradients hold" in with_it


def test_each_gradient_is_measured_by_its_own_size(rng):
    """One argument a million times as steep as the other does not hide an error of one per cent in the other's gradient."""

    @primitive
    def steep(x, y):
        return 1e6 * x + 1e-6 * y

    defvjp(steep, lambda ans, x, y: lambda g: 1e6 * g, lambda ans, x, y: lambda g: 1.01e-6 * g)
    first, second = check_case(case_of("steep", steep, [(2, 3), (2, 3)]), rng)
    assert (first.passed, first.argument, second.passed, second.argument) == (True, 0, False, 1)


def test_the_table_of_gradients():
    rows = [
        gradients.GradientRow("conv", 0, 1e-12, 2e-14, True),
        gradients.GradientRow("conv", 1, 3e-12, None, True),
        gradients.GradientRow("gelu", 0, 4e-3, 5e-1, False),
    ]
    lines = gradients.format_gradients(rows).split("\n")
    assert [line.split() for line in lines[1:4]] == [
        ["conv", "0", "1.0e-12", "2.0e-14", "ok"],
        ["1", "3.0e-12", "ok"],
        ["gelu", "0", "4.0e-03", "5.0e-01", "WRONG"],
    ]
    assert lines[-2:] == ["tolerances (relative): finite differences 1e-08, PyTorch 1e-12", "2 of 3 gradients hold"]


def test_a_pytorch_twin_that_gives_nan_or_little_else_is_refused(monkeypatch, rng):
    """Both columns decide; PyTorch's is held to 1e-12, here with a stand-in for it."""
    from multires_ref.ops.dilated_conv import advance, delay

    operation = case_of("delay", delay, [(2, 3, 7)], (3,), "delay")
    monkeypatch.setattr(gradients, "find_spec", lambda name: True)
    for change, passed in [(1.0, True), (1 + 5e-13, True), (1 + 2e-12, False), (np.nan, False), (0.0, False)]:
        monkeypatch.setattr(gradients, "torch_gradients", lambda op, arrays, g, change=change: [change * advance(g, 3)])
        (row,) = check_case(operation, rng)
        assert row.passed is passed
        assert row.finite < 1e-10
        assert row.torch == pytest.approx(abs(change - 1) / change if change else np.inf, abs=1e-15, nan_ok=True)


def test_a_twin_with_the_same_mistake_hides_nothing(monkeypatch, rng):
    """PyTorch's column agrees, finite differences do not."""
    monkeypatch.setattr(gradients, "find_spec", lambda name: True)
    monkeypatch.setattr(gradients, "torch_gradients", lambda op, arrays, g: [2.00001 * g])
    (row,) = check_case(case_of("doubled", doubled, [(2, 3)], (), "doubled"), rng)
    assert row.torch == 0.0
    assert not row.passed


def test_every_engine_that_runs_here_is_checked():
    for engine in gradients.usable_engines():
        rows = check_gradients(f"multires_conv, {engine} engine, fading")
        assert [row.argument for row in rows] == [0, 1, 2, 3, 4]


def test_your_own_operation_and_your_own_draws():
    """`also` is checked too and can be named; the generator is seeded with 0, and another one draws other arrays."""
    seen = []

    def ours(x):
        if isinstance(x, np.ndarray):
            seen.append(x.copy())
        return doubled(x)

    own = case_of("own, variant", ours, [(2, 3)])
    for rng, seed in ((None, 0), (np.random.default_rng(7), 7)):
        seen.clear()
        (row,) = check_gradients("own", also=[own], rng=rng)
        assert (row.operation, row.passed) == ("own, variant", False)
        np.testing.assert_array_equal(seen[0], np.random.default_rng(seed).standard_normal((2, 3)))


def test_what_is_checked():
    """Every variant: with and without dropout, lengths, training; and each engine that runs here, in its three forms."""
    names = [operation.name for operation in cases(["tree", "fft"])]
    examples = sum(len(operation.examples) for name, operation in OPERATIONS.items() if name != "multires_conv")
    assert len(names) == len(set(names)) == examples + 7  # by two engines, and as autograd records it
    assert {name for name in names if "engine" in name} == {
        f"multires_conv, {engine} engine, {form}" for engine in ("tree", "fft") for form in ("fading", "uniform", "untied")
    }
    assert set(gradients.usable_engines()) >= {"tree"}
    variants = {name for name in names if "," in name and "engine" not in name}
    assert variants >= {
        "gelu, dropout", "glu, dropout", "masked_mean, lengths", "batch_norm, training", "batch_norm, evaluation",
    }  # fmt: skip
    with pytest.raises(ValueError, match="op must be one of"):
        check_gradients("gelu, nothing")


def test_variants_are_variants(rng):
    """A mask, lengths and the mode of a norm change what an operation gives; an engine is the one that is named."""
    from multires_ref.engines import ENGINES

    table = {case.name: case for case in cases(["tree", "fft"])}
    for one, other in [("gelu", "gelu, dropout"), ("glu", "glu, dropout"), ("masked_mean", "masked_mean, lengths"),
                       ("batch_norm, training", "batch_norm, evaluation")]:  # fmt: skip
        arrays = [rng.standard_normal(shape) for shape in table[one].example.shapes]
        assert not np.allclose(table[one].run(*arrays), table[other].run(*arrays))
    calls, by_tree = [], ENGINES["tree"].forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "fft", replace(ENGINES["fft"], forward=lambda *a: calls.append("fft") or by_tree(*a)))
        for name in ("tree", "fft"):
            case = table[f"multires_conv, {name} engine, fading"]
            case.run(*(rng.standard_normal(shape) for shape in case.example.shapes))
    assert calls == ["fft"]
