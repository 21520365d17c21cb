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


def test_depth_three_by_hand():
    """Dilations 1, 2 and 4; under one detail of level 3 stand K = 3 of level 2, and seven of level 1."""
    x = np.zeros(16)
    x[0] = 1.0
    (a1, b1), (a2, b2), (a3, b3) = pyramid_loops(x, SUM, DIFFERENCE, 3)
    np.testing.assert_array_equal(a3, [1.0] * 8 + [0.0] * 8)
    np.testing.assert_array_equal(b3, [1.0] * 4 + [-1.0] * 4 + [0.0] * 8)
    taken = memory_loops([(a1, b1), (a2, b2), (a3, b3)], 7, K=3, tree_select="uniform", m=12)
    assert taken == [a3[7], b3[7], b2[7], b2[3], 0.0, b1[7], b1[5], b1[3], b1[1], 0.0, 0.0, 0.0]


def test_untied_filters_stand_fine_to_coarse():
    h0, h1 = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[7.0, 0.0], [11.0, 13.0]])
    (a1, b1), (a2, b2) = pyramid_loops(np.array([1.0, 0.0, 0.0, 0.0]), h0, h1, 2)
    for got, wanted in ((a1, [1, 2, 0, 0]), (b1, [7, 0, 0, 0]), (a2, [3, 6, 5, 10]), (b2, [11, 22, 13, 26])):
        np.testing.assert_array_equal(got, wanted)


def test_depth_given_and_zeros_for_what_the_tree_lacks():
    """A uniform memory of one level holds a_1 and b_1; the third weight has nothing to weight."""
    y = multires_conv_loops(
        X[None, None], SUM[None], DIFFERENCE[None], np.array([[1.0, 10.0, 100.0]]), np.zeros(1), tree_select="uniform", depth=1
    )
    np.testing.assert_array_equal(y[0, 0], [11.0, 13.0, 15.0, 17.0, 19.0, 21.0, 23.0, 25.0])
