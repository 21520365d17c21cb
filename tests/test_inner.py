"""Functions that only compiled loops call: the same numbers, no machine code of their own, and Python may call them."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="Numba is not installed")

import numba

from multires_ref.base import inner
from multires_ref.base.compiled import njit

CONTRACT = {"contract"}


def square_and_more(x, n):
    return x * x + n


def made(decorate):
    """A loop over an inner function, which is decorated by `decorate`."""
    small = decorate(square_and_more)

    @numba.njit
    def loop(out, x):
        for i in range(len(x)):
            out[i] = small(x[i], 2) + small(x[i], i)

    return loop, small


def filled(loop, x):
    out = np.empty_like(x)
    loop(out, x)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_numbers_as_a_function_of_its_own(dtype, rng):
    x = rng.standard_normal(100).astype(dtype)
    loop, small = made(inner.inner_njit(fastmath=CONTRACT))
    np.testing.assert_array_equal(filled(loop, x), filled(made(njit(fastmath=CONTRACT))[0], x))
    assert len(small.overloads) == 1  # one for 2 and for i


def test_no_machine_code_of_its_own(rng):
    """Its library has no entry, where an ordinary function has one for Python."""
    loop, small = made(inner.inner_njit())
    ordinary = made(numba.njit())[1]
    filled(loop, rng.standard_normal(3))
    ordinary(1.0, 2)
    (result,), (other,) = small.overloads.values(), ordinary.overloads.values()
    names = [{f.name for f in r.library.get_defined_functions()} for r in (result, other)]
    assert [any("cpython" in name for name in of_one) for of_one in names] == [False, True]
    assert not result.library._object_caching_enabled


def test_python_may_call_it_before_and_after_a_loop(rng):
    loop, small = made(inner.inner_njit())
    assert small(3.0, 1) == 10.0
    x = rng.standard_normal(5)
    np.testing.assert_allclose(filled(loop, x), 2 * x * x + 2 + np.arange(5), rtol=1e-14)
    assert small(3.0, 1) == 10.0


def test_a_numba_without_a_place_to_stop_compiles_as_usual(monkeypatch, rng):
    """Numba's internals may change: then only time is lost."""
    monkeypatch.setattr(inner, "OF_LIBRARY", ("a method that it has not",))
    inner.inner_pipeline.cache_clear()
    try:
        loop, small = made(inner.inner_njit())
        x = rng.standard_normal(5)
        np.testing.assert_allclose(filled(loop, x), 2 * x * x + 2 + np.arange(5), rtol=1e-14)
        assert any("cpython" in f.name for r in small.overloads.values() for f in r.library.get_defined_functions())
    finally:
        inner.inner_pipeline.cache_clear()


def test_its_errors_are_those_of_the_loop():
    loop, _ = made(inner.inner_njit())
    with pytest.raises(numba.TypingError, match="square_and_more"):
        loop(np.ones(3), "text")
