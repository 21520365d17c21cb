"""Compiled loops ask for wide vectors, and only those that say so."""

import numpy as np
import pytest

numba = pytest.importorskip("numba", reason="Numba is not installed")


def test_only_a_function_that_asks_has_the_wish():
    from multires_ref.base.vectors import WISH, wide_vectors

    def doubled(x):
        for n in range(len(x)):
            x[n] += x[n]

    def wide(x):
        wide_vectors()
        for n in range(len(x)):
            x[n] += x[n]

    for function, wishes in ((doubled, False), (wide, True)):
        compiled, x = numba.njit(function), np.arange(37, dtype=np.float32)
        compiled(x)
        np.testing.assert_array_equal(x, 2 * np.arange(37, dtype=np.float32))
        [code] = compiled.inspect_llvm().values()
        assert (WISH in code) == wishes
