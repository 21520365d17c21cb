"""Every hand-written gradient: adjoint identities, finite differences, the authors' numbers, dtypes, planted errors."""

import numpy as np
import pytest
from autograd import grad, make_vjp
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads
from cases import conv_case, conv_cases, random_arguments

from multires_ref import multires_conv, multires_conv_traced
from multires_ref.diagnose.gradients import cases
from multires_ref.engines import usable_engines
from multires_ref.ops.dilated_conv import advance, delay, dilated_conv, dilated_correlate, dilated_taps
from multires_ref.ops.embed import embed, embed_adjoint
from multires_ref.ops.gelu import gelu
from multires_ref.ops.masked_mean import masked_mean, masked_mean_adjoint
from multires_ref.ops.registry import FUNCTIONS

EXACT = {"rtol": 1e-12, "atol": 1e-12}
LENGTHS = np.array([3, 7])
TOKENS = np.array([[0, 2, 2, 1, 0, 3, 3], [1, 1, 1, 1, 0, 0, 2]])


def inputs(rng, *shapes, dtype="float64"):
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


CASES = {case.name: case for case in cases(usable_engines())}  # every registered operation with its examples


@pytest.mark.parametrize("name", CASES)
def test_against_finite_differences(name, rng):
    order = 1 if name == "batch_norm, training" else 2  # its statistics are constants for the second derivative
    check_grads(CASES[name].run, modes=["rev"], order=order)(*inputs(rng, *CASES[name].example.shapes))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_forward_and_backward(name, dtype, rng):
    """The gradient itself is looked at, before autograd casts it to the parameter's dtype."""
    case = CASES[name]
    args = inputs(rng, *case.example.shapes, dtype=dtype)
    rest = case.example.arguments(*args)[len(args) :]
    rest = [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in rest]
    for n, arg in enumerate(args):
        vjp, out = make_vjp(lambda a, n=n: case.ours(*args[:n], a, *args[n + 1 :], *rest), 0)(arg)
        assert out.dtype == dtype
        gradient = vjp(np.ones(out.shape, dtype))
        assert gradient.dtype == dtype, f"gradient of argument {n}"
        assert gradient.shape == arg.shape


ADJOINTS = {  # forward in one argument, its adjoint, the argument's shape
    "delay": (lambda a: delay.definition(a, 3), lambda g: advance.definition(g, 3), (2, 3, 7)),
    "dilated_conv": (
        lambda a: dilated_conv.definition(a, np.arange(12.0).reshape(3, 4), 2),
        lambda g: dilated_correlate.definition(g, np.arange(12.0).reshape(3, 4), 2),
        (2, 3, 7),
    ),
    "masked_mean": (
        lambda x: masked_mean.definition(x, LENGTHS),
        lambda g: masked_mean_adjoint.definition(g, np.zeros((2, 3, 7)), LENGTHS),
        (2, 3, 7),
    ),
    "embed": (lambda t: embed.definition(t, TOKENS), lambda g: embed_adjoint.definition(g, np.zeros((4, 3)), TOKENS), (4, 3)),
}


@pytest.mark.parametrize("name", ADJOINTS)
def test_adjoint_identity(name, rng):
    """<g, A x> = <A' g, x> for the linear operations."""
    forward, adjoint, shape = ADJOINTS[name]
    x = rng.standard_normal(shape)
    y = forward(x)
    g = rng.standard_normal(y.shape)
    np.testing.assert_allclose((g * y).sum(), (adjoint(g) * x).sum(), **EXACT)


@pytest.mark.parametrize("tree_select", ["fading", "uniform"])
def test_adjoint_identity_of_the_operator(tree_select, rng):
    """<g, conv(x)> = <conv'(g), x>, and the same in w with w_skip, in which the operator is linear too."""
    args = random_arguments(rng, L=33, J=4, m=5)
    y, vjp = forward_and_vjp(args, tree_select=tree_select, depth=4)
    g = rng.standard_normal(y.shape)
    dx, _, _, dw, dw_skip = vjp(g)
    np.testing.assert_allclose((g * y).sum(), (dx * args[0]).sum(), **EXACT)
    np.testing.assert_allclose((g * y).sum(), (dw * args[3]).sum() + (dw_skip * args[4]).sum(), **EXACT)


def forward_and_vjp(args, function=multires_conv, **options):
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp as core_make_vjp

    vjp, y = core_make_vjp(lambda a: function(*a, **options), traced_tuple(args))
    return y, vjp


@pytest.mark.parametrize("function", [multires_conv, multires_conv_traced])
@pytest.mark.parametrize("name", conv_cases())
def test_the_authors_numbers(name, function):
    case = conv_case(name)
    y, vjp = forward_and_vjp(case["args"], function, **case["options"])
    np.testing.assert_allclose(y, case["y"], rtol=1e-12, atol=1e-12 * np.abs(case["y"]).max())
    for ours, theirs in zip(vjp(case["dy"]), case["grads"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


def test_fused_is_traced_to_any_order(rng):
    """Third derivatives of the fused operator (by its traced fallback) equal those of the traced one."""
    args = random_arguments(rng, B=1, D=1, L=6, K=2, J=2)

    def third(function):
        along = lambda t: (function(args[0] * t, args[1] * t, *args[2:]) ** 3).sum()  # noqa: E731
        return grad(grad(grad(along)))(0.7)

    np.testing.assert_allclose(third(multires_conv), third(multires_conv_traced), rtol=1e-10)


def test_backward_stores_no_tree(rng):
    """Blocks of the batch one after the other: the peak of memory hardly depends on the depth."""
    import tracemalloc

    def peak(J):
        args = random_arguments(rng, B=64, D=16, L=512, K=2, J=J, dtype="float32")
        vjp, y = make_vjp(lambda x: multires_conv(x, *args[1:], engine="tree"), 0)(args[0])
        tracemalloc.start()
        vjp(y)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest / args[0].nbytes

    assert peak(9) < peak(2) + 6  # the traced tree would store 2 arrays more a level: 14


@pytest.mark.parametrize("function", ["gelu_adjoint", "glu_adjoint", "conv1x1_adjoint", "layer_norm_adjoint"])
def test_nothing_is_written_into_the_arguments(function, rng):
    shapes = {
        "gelu_adjoint": [(2, 4, 7), (2, 4, 7)],
        "glu_adjoint": [(2, 2, 7), (2, 4, 7)],
        "conv1x1_adjoint": [(2, 5, 7), (2, 4, 7), (5, 4), (5,)],
        "layer_norm_adjoint": [(2, 4, 7), (2, 4, 7), (2, 4, 7), (4,), (4,)],
    }[function]
    args = inputs(rng, *shapes)
    copies = [a.copy() for a in args]
    FUNCTIONS[function](*args)
    for a, copy in zip(args, copies, strict=True):
        np.testing.assert_array_equal(a, copy)


def test_a_planted_wrong_gradient_is_caught(rng):
    """The checker must be able to fail: gradients off by a factor, by a shift, and missing a term."""

    @primitive
    def conv_with_wrong_gradient(a, h):
        return dilated_conv.definition(a, h, 2)

    a, h = inputs(rng, (2, 3, 7), (3, 4))
    wrong = {
        "factor": lambda g: 1.01 * dilated_correlate.definition(g, h, 2),
        "shift": lambda g: advance.definition(dilated_correlate.definition(g, h, 2), 1),
        "missing tap": lambda g: dilated_correlate.definition(g, h[:, :3], 2),
        "forward for backward": lambda g: dilated_conv.definition(g, h, 2),
    }
    for rule in wrong.values():
        defvjp(
            conv_with_wrong_gradient,
            lambda ans, a, h, rule=rule: rule,
            lambda ans, a, h: lambda g: dilated_taps.definition(g, a, 2, 4),
        )
        with pytest.raises(AssertionError):
            check_grads(conv_with_wrong_gradient, modes=["rev"], order=1)(a, h)
    defvjp(
        conv_with_wrong_gradient,
        lambda ans, a, h: lambda g: dilated_correlate.definition(g, h, 2),
        lambda ans, a, h: lambda g: dilated_taps.definition(g, a, 2, 4),
    )
    check_grads(conv_with_wrong_gradient, modes=["rev"], order=1)(a, h)


def test_gelu_is_exact():
    """Against the normal distribution itself, not the tanh approximation."""
    from scipy.stats import norm

    x = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(gelu.definition(x), x * norm.cdf(x), **EXACT)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 3)])
def test_only_one_number_has_a_gradient(shape):
    """The gradient of an array is not defined; its sum would be taken silently otherwise."""
    from multires_ref.ops.tracing import value_and_gradients

    with pytest.raises(ValueError, match="must give one number"):
        value_and_gradients(lambda params: params["a"] * 2, {"a": np.ones(shape)})


@pytest.mark.parametrize("function", [multires_conv, multires_conv_traced])
def test_a_constant_gradient_is_differentiated_too(function, rng):
    """The plain sum of y: nothing traced arrives at the operator from above, and its second derivative is not zero."""
    x, h0, h1, w, s = random_arguments(rng, J=3)
    along = lambda t: function(x, t * h0, t * h1, t * w, t * s).sum()  # noqa: E731
    t, step = 0.7, 1e-3
    numeric = (along(t + step) - 2 * along(t) + along(t - step)) / step**2
    np.testing.assert_allclose(grad(grad(along))(t), numeric, rtol=1e-4)


def test_gradients_of_a_nest():
    """A nest like the parameters: sums over all uses, zeros where there is none, also where nothing depends on any."""
    from multires_ref.ops.tracing import value_and_gradients

    params = {"a": np.array([1.0, 2.0]), "b": [np.float32([3.0]), {"unused": np.ones((2, 3), np.float32)}]}
    value, gradients = value_and_gradients(lambda p: (p["a"] ** 2 + 5 * p["a"]).sum() * p["b"][0], params)
    np.testing.assert_array_equal(value, [(1 + 5 + 4 + 10) * 3])  # an array of one number is one number
    assert list(gradients) == ["a", "b"]
    assert type(gradients["b"]) is list
    np.testing.assert_array_equal(gradients["a"], [3 * (2 + 5), 3 * (4 + 5)])
    np.testing.assert_array_equal(gradients["b"][0], [20])
    unused = gradients["b"][1]["unused"]
    assert (unused.shape, unused.dtype, unused.any()) == ((2, 3), np.float32, np.False_)
    value, gradients = value_and_gradients(lambda p: 7.0, params)
    assert value == 7.0
    assert not gradients["a"].any()
    assert not gradients["b"][1]["unused"].any()


def test_the_gradients_of_one_arrival_are_the_gradients(rng):
    """A g that is no column of ones, for every operation: <g, change of the output> is the change of <g, output>."""
    for name, case in CASES.items():
        args, function = inputs(rng, *case.example.shapes), case.run
        for n, arg in enumerate(args):
            at = lambda a, args=args, n=n, f=function: f(*args[:n], a, *args[n + 1 :])  # noqa: E731
            vjp, out = make_vjp(at, 0)(arg)
            g, direction = inputs(rng, np.shape(out), arg.shape)
            change = ((at(arg + 1e-6 * direction) - at(arg - 1e-6 * direction)) / 2e-6 * g).sum()
            np.testing.assert_allclose((vjp(g) * direction).sum(), change, rtol=1e-5, atol=1e-7, err_msg=f"{name}, argument {n}")
