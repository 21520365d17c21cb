"""The oracle itself, against numbers worked out on paper."""

import numpy as np

from multires_ref.definition import memory_loops, multires_conv_loops, pyramid_loops

X = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
SUM, DIFFERENCE = np.array([1.0, 1.0]), np.array([1.0, -1.0])


def test_pyramid_by_hand():
    (a1, b1), (a2, b2) = pyramid_loops(X, SUM, DIFFERENCE, 2)
    np.testing.assert_array_equal(a1, [1, 3, 5, 7, 9, 11, 13, 15])
    np.testing.assert_array_equal(b1, [1, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(a2, [1, 3, 6, 10, 14, 18, 22, 26])  # a1[n] + a1[n - 2]
    np.testing.assert_array_equal(b2, [1, 3, 4, 4, 4, 4, 4, 4])  # a1[n] - a1[n - 2]


def test_lag_order():
    """h[0] weights the newest sample, h[2] the one two dilations ago."""
    a1, _ = pyramid_loops(X, np.array([1.0, 10.0, 100.0]), np.zeros(3), 1)[0]
    assert a1[4] == 5 + 10 * 4 + 100 * 3


def test_fading_memory_by_hand():
    levels = pyramid_loops(X, SUM, DIFFERENCE, 2)
    assert memory_loops(levels, 7, K=2, tree_select="fading", m=3) == [26.0, 4.0, 1.0]  # a_2, b_2, b_1


def test_uniform_memory_by_hand():
    """Depth 2, K = 2: a_2[n]; b_2[n]; then two of level 1, spaced 2: b_1[n], b_1[n - 2]. A fifth weight has nothing left."""
    ramp_squared = X**2
    levels = pyramid_loops(ramp_squared, SUM, DIFFERENCE, 2)
    b1 = levels[0][1]  # x[n]^2 - x[n-1]^2 = 2 x[n] - 1
    assert memory_loops(levels, 7, K=2, tree_select="uniform", m=5) == [174.0, 113.0 - 61.0, b1[7], b1[5], 0.0]
    assert (b1[7], b1[5]) == (15.0, 11.0)


def test_layer_by_hand():
    x = X[None, None]
    y = multires_conv_loops(x, SUM[None], DIFFERENCE[None], np.array([[1.0, 10.0, 100.0]]), np.array([0.5]))
    assert y[0, 0, 7] == 26 + 10 * 4 + 100 * 1 + 0.5 * 8
    assert y[0, 0, 0] == 1 + 10 * 1 + 100 * 1 + 0.5 * 1  # zero history: every coefficient is x[0]
