"""Compiled and in-place operations against their definitions: values, dtypes, NaN, threads, arguments left alone, no Numba."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from multires_ref.base import threads as engine_threads
from multires_ref.base.threads import set_num_threads
from multires_ref.ops import registry
from multires_ref.ops.adam_update import adam_factors, adam_update
from multires_ref.ops.batch_norm import batch_statistics
from multires_ref.ops.registry import FUNCTIONS, OPERATIONS, forget_choices

pytest.importorskip("numba", reason="Numba is not installed")

DTYPES = ["float32", "float64"]
CLOSE = {"float32": 1e-6, "float64": 1e-13}  # of the largest number or 1; and no worse than 3 times the definition's own error
NAMES = ("gelu", "glu", "conv1x1", "mixing", "embed", "masked_mean", "layer_norm", "batch_norm")
OF_BLAS = ("conv1x1", "mixing")  # BLAS sums in an order of its own
DEFINITIONS = {name: FUNCTIONS[name].definition for name in (*NAMES, *(f"{name}_adjoint" for name in NAMES), "batch_statistics")}


def find(name, kind):
    return FUNCTIONS[name].find(kind)


def arguments(B, D, L, dtype, seed=0):
    """A list of argument tuples for every operation."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    x, r, g, u, weight, bias = draw(B, D, L), draw(B, D, L), draw(B, D, L), draw(B, 2 * D, L), draw(D), draw(D)
    mask = (2 * (rng.random((B, D, 1)) < 0.5)).astype(dtype)
    mean, var, table, tokens = draw(D), draw(D) ** 2, draw(5, D), rng.integers(0, 5, (B, L))
    lengths, matrix, wide_bias, other_mask = rng.integers(1, L + 1, B), draw(2 * D, D), draw(2 * D), mask[::-1]
    return {
        "gelu": [(3 * x, mask), (x, None)],
        "gelu_adjoint": [(g, 3 * x, mask), (g, x, None)],
        "glu": [(3 * u, mask), (u, None)],
        "glu_adjoint": [(g, 3 * u, mask), (g, u, None)],
        "conv1x1": [(x, matrix, wide_bias)],
        "conv1x1_adjoint": [(u, x, matrix, wide_bias)],
        "mixing": [(3 * x, matrix, wide_bias, mask, other_mask), (x, matrix, wide_bias)],
        "mixing_adjoint": [(g, 3 * x, matrix, wide_bias, mask, other_mask), (g, x, matrix, wide_bias)],
        "embed": [(table, tokens)],
        "embed_adjoint": [(g, table, tokens)],
        "masked_mean": [(x, lengths), (x, None)],
        "masked_mean_adjoint": [(draw(B, D), x, lengths), (draw(B, D), x, None)],
        "layer_norm": [(x, r, weight, bias)],
        "layer_norm_adjoint": [(g, x, r, weight, bias)],
        "batch_statistics": [(x + 10, r)],
        "batch_norm": [(x, r, weight, bias, mean, var, True)],
        "batch_norm_adjoint": [
            (g, x, r, weight, bias, *batch_statistics.definition(x, r), True),
            (g, x, r, weight, bias, mean, var, False),
        ],
    }


def several(result):
    return result if isinstance(result, tuple) else (result,)


def in_float64(args):
    return tuple(a.astype("float64") if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args)


def check(name, args, dtype):
    """The fast operation against its definition in float64, and its dtype, shape and arguments."""
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    definition = FUNCTIONS[name].definition
    assert find(name, "numpy") is not definition
    found = several(find(name, "numpy")(*args))
    exact, usual = several(definition(*in_float64(args))), several(definition(*args))
    for got, want, plain in zip(found, exact, usual, strict=True):
        assert (got.dtype, got.shape) == (plain.dtype, plain.shape)
        allowed = CLOSE[dtype] * max(1, np.abs(want).max()) + 3 * np.abs(plain - want).max()
        assert np.abs(got - want).max() <= allowed
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=12)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 150), st.integers(0, 99))
def test_values(name, dtype, B, D, L, seed):
    for args in arguments(B, D, L, dtype, seed)[name]:
        check(name, args, dtype)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_operation_and_its_adjoint_on_its_examples(name, dtype, rng):
    """Whatever is registered, so that a new operation with a compiled implementation is held to its definition here."""
    operation = OPERATIONS[name]
    adjoint = FUNCTIONS.get(f"{operation.definition.__name__}_adjoint")
    for example in operation.examples:
        args = example.arguments(*(rng.standard_normal(shape).astype(dtype) for shape in example.shapes))
        args = tuple(a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args)
        g = rng.standard_normal(np.shape(operation.definition(*args))).astype(dtype)
        for function, arguments_of in ((operation, args), (adjoint, (g, *args))):
            if function is not None and function.find("numpy") is not function.definition:
                check(function.definition.__name__, arguments_of, dtype)


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (1, 2, 129), (5, 40, 300)], ids=str)
def test_values_at_the_edges(name, shape):
    for dtype in DTYPES:
        for args in arguments(*shape, dtype)[name]:
            check(name, args, dtype)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_arrays_that_are_not_contiguous(name):
    """The same numbers laid out otherwise give the same results, bit for bit."""

    def turned(a):
        return np.asfortranarray(a) if isinstance(a, np.ndarray) and a.ndim > 1 else a

    for args in arguments(2, 3, 70, "float32")[name]:
        for got, want in zip(several(find(name, "numpy")(*map(turned, args))), several(find(name, "numpy")(*args)), strict=True):
            if name.startswith(OF_BLAS):
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["gelu", "gelu_adjoint", "glu", "glu_adjoint", "layer_norm", "layer_norm_adjoint", "masked_mean"]
)
def test_nan_and_infinity_stay_where_the_definition_has_them(name, dtype):
    for args in arguments(2, 6, 80, dtype)[name]:
        for array in (a for a in args if isinstance(a, np.ndarray) and a.ndim == 3 and a.shape[2] > 1):
            array[0, 0, [1, 9, 66, 71]] = np.nan, np.inf, -np.inf, -200.0
            array[1, -1, [0, 9, 66, 79]] = np.inf, np.nan, 200.0, -np.inf
        with np.errstate(all="ignore"):
            found, wanted = several(find(name, "numpy")(*args)), several(DEFINITIONS[name](*args))
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
            np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)])
            assert np.isfinite(got[np.isfinite(want)]).all()


@pytest.mark.parametrize("name", [name for name in DEFINITIONS if not name.startswith("conv1x1")])
def test_the_number_of_threads_changes_no_bit(name, monkeypatch):
    monkeypatch.setattr(engine_threads, "WORTH", 1)  # so that these small arrays are worth several
    results = []
    for threads in (1, None):
        set_num_threads(threads)
        results.append([several(find(name, "numpy")(*args)) for args in arguments(5, 9, 200, "float32")[name]])
    for a, b in zip(*results, strict=True):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_array_equal(p, q)


def ulp_error(got, exact):
    """The largest error, in units of the last place of the exact result rounded to float32."""
    return (np.abs(got - exact) / np.spacing(np.abs(exact).astype("float32"))).max()


def test_float32_functions_in_ulp():
    """The bounds that `ops/numba/_math.py` states."""
    from numba import njit

    from multires_ref.ops.numba._math import negative_exp, normal, sigmoid

    @njit(error_model="numpy")
    def table(x):
        out = np.empty((4, x.size), x.dtype)
        for i in range(x.size):
            out[0, i], out[1, i] = normal(x[i])
            out[2, i], out[3, i] = sigmoid(x[i]), negative_exp(-abs(x[i]))
        return out

    x = np.linspace(-12, 12, 2_000_001).astype("float32")
    Phi, phi, s, e = table(x)
    exact = x.astype("float64")
    positive, near = x > 0, x > -4
    assert ulp_error(Phi[positive], ndtr(exact)[positive]) < 4
    assert ulp_error(Phi[near], ndtr(exact)[near]) < 8
    assert ulp_error(s, expit(exact)) < 3
    assert ulp_error(e, np.exp(-np.abs(exact))) < 1
    np.testing.assert_allclose(Phi, ndtr(exact), rtol=1e-5)
    np.testing.assert_allclose(phi, np.exp(-(exact**2) / 2) / np.sqrt(2 * np.pi), rtol=1e-5)
    np.testing.assert_array_equal(table(np.float32([-1e9, -np.inf]))[:, 0], 0)
    far = np.linspace(-35, -12, 1001)
    Phi, phi, s, e = table(far)  # float64, far out, where (1 + erf) / 2 has no digit left
    np.testing.assert_allclose(Phi, ndtr(far), rtol=1e-13)
    np.testing.assert_allclose(phi, np.exp(-(far**2) / 2) / np.sqrt(2 * np.pi), rtol=1e-13)
    np.testing.assert_allclose(s, expit(far), rtol=1e-14)
    np.testing.assert_allclose(e, np.exp(far), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_agrees_bit_for_bit(dtype):
    draws = np.random.default_rng(0).standard_normal((4, 7, 11)).astype(dtype)
    ours, theirs = draws.copy(), draws.copy()
    ours[3], theirs[3] = ours[3] ** 2, theirs[3] ** 2
    for step in (1, 2, 3):
        find("adam_update", "numpy")(*ours, adam_factors(1e-2, 0.1, step))
        adam_update.definition(*theirs, adam_factors(1e-2, 0.1, step))
    np.testing.assert_array_equal(ours, theirs)
    for turned in range(4):  # in place, whichever of the four lies otherwise in memory
        ours, theirs = [a.copy() for a in draws], [a.copy() for a in draws]
        ours[3], theirs[3] = ours[3] ** 2, theirs[3] ** 2
        ours[turned] = np.asfortranarray(ours[turned])
        find("adam_update", "numpy")(*ours, adam_factors(1e-2, 0.1, 4))
        adam_update.definition(*theirs, adam_factors(1e-2, 0.1, 4))
        np.testing.assert_array_equal(ours, theirs)


def test_adam_by_hand():
    """Two steps of one parameter, as AdamW's formulas have them; the second with moments that are not zero."""
    p, m, v = np.array([2.0]), np.array([0.0]), np.array([0.0])
    p_want, m_want, v_want = 2.0, 0.0, 0.0
    for step, g in ((1, 0.5), (2, -3.0)):
        m_want, v_want = 0.8 * m_want + 0.2 * g, 0.9 * v_want + 0.1 * g * g
        p_want = p_want * (1 - 0.1 * 0.3) - 0.1 * (m_want / (1 - 0.8**step)) / (np.sqrt(v_want / (1 - 0.9**step)) + 1e-2)
        for adam in (find("adam_update", "numpy"), adam_update.definition):
            after = [p.copy(), m.copy(), v.copy()]
            adam(after[0], np.array([g]), *after[1:], adam_factors(0.1, 0.3, step, 0.8, 0.9, 1e-2))
            np.testing.assert_allclose(np.ravel(after), [p_want, m_want, v_want], rtol=1e-14)
        p, m, v = after


def test_tokens_outside_the_table():
    table = np.arange(8.0).reshape(4, 2)
    with pytest.raises(IndexError):
        find("embed", "numpy")(table, np.array([[4]]))
    np.testing.assert_array_equal(find("embed", "numpy")(table, np.array([[-1]])), table[3].reshape(1, 2, 1))
    with pytest.raises(IndexError):
        find("embed", "numpy")(table, np.array([[-5]]))
    assert find("embed", "numpy")(table, np.zeros((0, 5), int)).shape == (0, 2, 5)
    assert not find("embed_adjoint", "numpy")(np.ones((1, 2, 1)), table, np.array([[4]])).any()  # no row of the table


def test_mixed_and_other_dtypes_go_to_the_definition():
    x = np.linspace(-2, 2, 6, dtype="float32").reshape(1, 2, 3)
    assert find("gelu", "numpy")(x, np.ones((1, 2, 1))).dtype == np.float64
    assert find("layer_norm", "numpy")(*[x.astype("longdouble")] * 2, np.ones(2), np.ones(2)).dtype == np.longdouble


def test_without_numba_the_definitions(monkeypatch):
    monkeypatch.setattr(registry, "numba_works", lambda: False)
    forget_choices()
    try:
        for name, definition in DEFINITIONS.items():
            assert (find(name, "numpy") is definition) == (not name.startswith("conv1x1")), name
    finally:
        forget_choices()


@pytest.mark.parametrize("shape", [(3, 64, 4096), (2, 130, 4096)], ids=["two sequences a block", "one is more than a block"])
def test_products_of_a_few_sequences_at_a_time(shape):
    """The 1x1 convolution works through the batch in blocks: all of it, and both ways."""
    (B, E, L), rng = shape, np.random.default_rng(0)
    x, g, weight, bias = (rng.standard_normal(s) for s in ((B, 2, L), shape, (E, 2), (E,)))
    for name, args in (("conv1x1", (x, weight, bias)), ("conv1x1_adjoint", (g, x, weight, bias))):
        for got, want in zip(several(find(name, "numpy")(*args)), several(DEFINITIONS[name](*args)), strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-13 * np.abs(want).max())


def test_long_sums_of_float32_are_taken_in_float64():
    """The gradients of weights and biases add up 5,000 sequences of one step."""
    g, x = np.full((5000, 1, 1), 0.1, "float32"), np.full((5000, 1, 1), 0.3, "float32")
    exact = 5000 * np.float64(g[0, 0, 0]), 5000 * np.float64(g[0, 0, 0]) * np.float64(x[0, 0, 0])
    _, dweight, dbias = find("conv1x1_adjoint", "numpy")(g, x, np.ones((1, 1), "float32"), np.ones(1, "float32"))
    np.testing.assert_allclose([dbias[0], dweight[0, 0]], exact, rtol=1e-7)
    for total, count in (("masked_mean", 1), ("embed_adjoint", 5000)):
        tall = np.ascontiguousarray(g.reshape(1, 1, 5000))
        args = (tall,) if count == 1 else (tall, np.zeros((1, 1), "float32"), np.zeros((1, 5000), int))
        np.testing.assert_allclose(find(total, "numpy")(*args), count * np.float64(g[0, 0, 0]), rtol=1e-7)
