"""The pictures of the later tutorials show the numbers they are given."""

import numpy as np
import pytest

from multires_ref.plots.errors import plot_layer_errors
from multires_ref.plots.sequences import plot_ages, plot_beliefs, plot_images, plot_reading
from multires_ref.plots.speed import plot_costs
from multires_ref.plots.training import plot_runs


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
    assert [line.get_xdata()[0] for line in lines_of(ax, "mean")] == pytest.approx([0.6])  # one run has no mean
    assert [text.get_text() for text in ax.get_yticklabels()] == list(groups)


def test_costs_are_the_given_points_on_logarithmic_axes():
    ax = plot_costs([64, 256], {"tree": [0.1, 0.4], "fft": [0.2, 0.3]})
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(lines_of(ax, "fft")[0].get_xydata(), [[64, 0.2], [256, 0.3]])


def test_layer_errors_stand_in_order_and_zero_at_the_edge():
    ax = plot_layer_errors(["conv", "gelu", "mix"], {"ours": [1e-7, 0.0, 3e-7]})
    np.testing.assert_allclose(lines_of(ax, "ours")[0].get_xydata(), [[1e-7, 0], [1e-7, 1], [3e-7, 2]])
    assert ax.yaxis_inverted()


def test_layer_errors_have_a_logarithmic_axis_from_the_least_error_s_decade_and_the_spacing():
    """The first layer on top; an error of 0 at the decade of the least one; a comparison by its own name and colour."""
    errors = {"ours": [3e-8, 0.0], "theirs": [2e-6, 5e-7]}
    ax = plot_layer_errors(["conv", "mix"], errors, unit=2.0**-23, title="a title")
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_title("left")) == ("log", "relative error", "a title")
    np.testing.assert_allclose(lines_of(ax, "ours")[0].get_xydata(), [[3e-8, 0], [1e-8, 1]])
    np.testing.assert_allclose(lines_of(ax, "theirs")[0].get_xydata(), [[2e-6, 0], [5e-7, 1]])
    (spacing,) = lines_of(ax, "spacing of the numbers near 1")
    assert [*spacing.get_xdata()] == [2.0**-23] * 2
    assert [text.get_text() for text in ax.get_yticklabels()] == ["conv", "mix"]
    assert lines_of(ax, "ours")[0].get_color() != lines_of(ax, "theirs")[0].get_color()
    ax = plot_layer_errors(["conv"], {"same": [0.0]})
    np.testing.assert_allclose(lines_of(ax, "same")[0].get_xdata(), [1e-17])
    assert not lines_of(ax, "spacing of the numbers near 1")


def test_the_path_of_reading_goes_along_each_row_to_the_right():
    ax = plot_reading(np.arange(9.0), title="a title")
    paths, arrows = ax.lines[::2], ax.lines[1::2]
    for row, (path, arrow) in enumerate(zip(paths, arrows, strict=True)):
        assert [*path.get_ydata()] == [row, row]
        assert path.get_xdata()[0] < 0 < 2 < path.get_xdata()[1]
        assert (arrow.get_marker(), [*arrow.get_xdata()], [*arrow.get_ydata()]) == (">", [path.get_xdata()[1]], [row])
    left, right = ax.texts[::2], ax.texts[1::2]
    assert [text.get_position()[1] for text in (*left, *right)] == [0, 1, 2] * 2
    assert all(a.get_position()[0] < b.get_position()[0] for a, b in zip(left, right, strict=True))


def test_the_likeliest_classes_are_named_in_order_of_their_best():
    """A class that was likeliest for a while is named though it is not at the end; colours tell the named from the others."""
    p = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.6, 0.1, 0.3]])
    ax = plot_beliefs(p, ["x", "y", "z"], named=2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["y", "x"]
    np.testing.assert_array_equal(lines_of(ax, "y")[0].get_xydata(), [[0, 0.7], [1, 0.1], [2, 0.1]])
    assert lines_of(ax, "x")[0].get_color() != lines_of(ax, "y")[0].get_color()
    assert ax.get_xlim() == (0, 2)
    assert [*ax.get_yticks()] == [0, 0.5, 1]


def test_images_have_one_scale_and_dark_is_large():
    x = np.array([[0.0, 1, 2, 3], [4, 5, 6, 9]])
    ax = plot_images(x, columns=1)
    image = ax.images[0]
    assert image.get_clim() == (0, 9)
    assert image.get_cmap().name == "Greys"
    np.testing.assert_array_equal(image.get_array().filled(-1), [[0, 1], [2, 3], [-1, -1], [4, 5], [6, 9]])


def test_ages_are_those_of_the_pixel_s_row_and_column():
    ax = plot_ages(3, 2, 0)
    written = {text.get_position(): int(text.get_text()) for text in ax.texts}  # (column, row)
    assert written == {(j, i): 6 - 3 * i - j for i in range(3) for j in range(3) if 3 * i + j <= 6}


def test_runs_and_costs_stand_in_the_order_given_from_the_top():
    ax = plot_runs({"one": [0.1, 0.2, 0.9], "two": [0.5, 0.7]}, xlabel="a score", title="a title")
    assert ax.yaxis_inverted()
    assert [line.get_ydata()[0] for line in lines_of(ax, "runs")] == [0, 1]
    assert [*lines_of(ax, "mean")[0].get_xdata()] == pytest.approx([0.4, 0.4])
    assert np.mean(lines_of(ax, "mean")[1].get_ydata()) == 1
    assert (ax.get_xlabel(), ax.get_title("left")) == ("a score", "a title")
    ax = plot_costs([64, 1024], {"tree": [1.0, 2.0], "fft": [3.0, 4.0]}, ylabel="bytes")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["64", "1,024"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["tree", "fft"]
    assert ax.get_ylabel() == "bytes"
