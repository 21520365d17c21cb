"""The pictures of the later tutorials show the numbers they are given."""

import numpy as np
import pytest

from multires_ref.plots.agreement import plot_layer_errors
from multires_ref.plots.scores import plot_costs, plot_runs
from multires_ref.plots.sequences import plot_ages, plot_beliefs, plot_images, plot_reading


def lines_of(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def test_images_stand_row_by_row_with_gaps():
    x = np.random.default_rng(0).random((5, 9))
    sheet = plot_images(x, columns=3).images[0].get_array()
    assert sheet.shape == (2 * 4 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(sheet[4:7, 4:7], x[4].reshape(3, 3))
    assert sheet.mask[3].all()
    assert sheet.mask[4:, 8:].all()  # there is no sixth image


def test_the_path_of_reading_names_both_ends_of_each_row():
    ax = plot_reading(np.arange(16.0))
    assert [text.get_text() for text in ax.texts] == ["0", "3", "4", "7", "8", "11", "12", "15"]
    np.testing.assert_array_equal(ax.images[0].get_array(), np.arange(16.0).reshape(4, 4))


def test_ages_count_back_from_the_pixel():
    ax = plot_ages(4, 2, 1)
    assert [int(text.get_text()) for text in ax.texts] == list(range(9, -1, -1))
    assert ax.images[0].get_array().mask.sum() == 16 - 10


def test_beliefs_draw_every_class_and_name_the_likeliest():
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=7)
    ax = plot_beliefs(p, "abcd", named=2)
    chief = np.argsort(-p.max(axis=0))[:2]
    for c in chief:
        np.testing.assert_array_equal(lines_of(ax, "abcd"[c])[0].get_ydata(), p[:, c])
    drawn = np.sort([line.get_ydata().sum() for line in ax.lines])
    np.testing.assert_allclose(drawn, np.sort(p.sum(axis=0)))


def test_every_run_is_a_dot_and_the_line_their_mean():
    groups = {"one": [0.5, 0.7], "two": [0.9]}
    ax = plot_runs(groups)
    assert [line.get_xdata().tolist() for line in lines_of(ax, "runs")] == [[0.5, 0.7], [0.9]]
    assert [line.get_xdata()[0] for line in lines_of(ax, "mean")] == pytest.approx([0.6, 0.9])
    assert [text.get_text() for text in ax.get_yticklabels()] == list(groups)


def test_costs_are_the_given_points_on_logarithmic_axes():
    ax = plot_costs([64, 256], {"tree": [0.1, 0.4], "fft": [0.2, 0.3]})
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(lines_of(ax, "fft")[0].get_xydata(), [[64, 0.2], [256, 0.3]])


def test_layer_errors_stand_in_order_and_zero_at_the_edge():
    ax = plot_layer_errors(["conv", "gelu", "mix"], {"ours": [1e-7, 0.0, 3e-7]})
    np.testing.assert_allclose(lines_of(ax, "ours")[0].get_xydata(), [[1e-7, 0], [1e-7, 1], [3e-7, 2]])
    assert ax.yaxis_inverted()
