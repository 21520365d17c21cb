"""The drawing of a block shows what a block has; the tree backwards; labels, scales and palettes of pictures."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from multires_ref import Model, NetworkConfig, plots
from multires_ref.plots.style import fewer_colours, new_axes, picture_bytes

CONFIGS = {
    "classifier": NetworkConfig(1, 10, d_model=6, n_layers=1, max_length=16),
    "untied, batch norm": NetworkConfig(1, 10, d_model=6, n_layers=1, kernel_size=3, max_length=16, norm="batch", tied=False),
    "rms norm": NetworkConfig(1, 10, d_model=6, n_layers=1, max_length=16, norm="rms"),
    "autoregressive": NetworkConfig(1, 15, d_model=6, n_layers=1, max_length=16, kind="autoregressive", n_values=17),
}


def lines_of(ax):
    return [line for text in ax.texts for line in text.get_text().splitlines()]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_block_names_every_parameter_with_its_shape(config):
    block = Model.init(config, np.random.default_rng(0)).params["blocks"][0]
    expected = [f"{name} {list(a.shape)}" for part in block.values() for name, a in part.items()]
    drawn = [
        line for line in lines_of(plots.plot_block(config)) if line.split(" ")[0] in ("h0", "h1", "w", "w_skip", "weight", "bias")
    ]
    assert sorted(drawn) == sorted(expected)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_steps_of_a_block_are_those_that_a_hook_is_shown_in_their_order(config):
    names = []
    model = Model.init(config, np.random.default_rng(0))
    model(np.zeros((1, 1, 16), np.float32), hook=lambda name, array: names.append(name))
    drawn = [text.get_text().strip('"') for text in plots.plot_block(config).texts if text.get_text().startswith('"')]
    assert drawn == [name.removeprefix("blocks.0.") for name in names if name.startswith("blocks.0.")]


def test_without_a_config_a_block_has_symbols_and_the_second_map():
    lines = lines_of(plots.plot_block())
    assert {"h0 [D, K]", "w [D, m]", "w_skip [D]", "weight [2 D, D]", "weight [D, D]", '"mix2"'} <= set(lines)
    with pytest.raises(TypeError, match="config must be a NetworkConfig or None; got dict"):
        plots.plot_block({})


@pytest.mark.parametrize(("J", "K"), [(1, 2), (2, 3), (3, 2)])
def test_backwards_an_arrow_comes_down_every_tap_and_g_comes_to_every_place(J, K):
    """x[n] reaches the times n ... n + (K - 1)(2^i - 1) at level i; its gradient is collected from there."""
    ax = plots.plot_tree_backwards(J, K)
    drawn = {
        (tuple(np.round(text.xyann, 6)), tuple(np.round(text.xy, 6))) for text in ax.texts if getattr(text, "arrowprops", None)
    }
    reached = [range((K - 1) * (2**i - 1) + 1) for i in range(J + 1)]
    taps = {((t + k * 2**i, i + 1), (t, i)) for i in range(J) for t in reached[i] for k in range(K)}
    arrivals = {((round(t - 0.28, 6), i + 0.42), (round(t - 0.06, 6), i)) for i in range(J + 1) for t in reached[i]}
    assert drawn == taps | arrivals
    assert {end[0] for _, end in drawn if end[1] == J} == {round(t - 0.06, 6) for t in reached[J]}


def test_a_tree_may_be_drawn_without_a_memory():
    ax = plots.plot_tree(3, 2, None)
    assert ax.get_title("left") == "J = 3, K = 2"
    assert not any(line.get_label().startswith("memory") and len(line.get_xdata()) for line in ax.lines)


def test_each_row_says_what_it_was_divided_by():
    x, a, b = (scale * np.sin(np.arange(8.0)) / np.sin(8 * 0 + 2.0) for scale in (1, 20, 3))
    ax = plots.plot_levels(x, [(a, b)])
    largest = [abs(row).max() for row in (x, b, a)]
    assert [text.get_text() for text in ax.texts] == [f"±{value:,.3g}" for value in largest]


def test_labels_stand_above_their_images():
    ax = plots.plot_images(np.zeros((3, 16)), columns=2, labels=["a", "b", "c"])
    assert [(text.get_text(), text.get_position()[0]) for text in ax.texts] == [("a", 1.5), ("b", 6.5), ("c", 1.5)]
    assert ax.texts[2].get_position()[1] > ax.texts[0].get_position()[1]


def test_a_group_of_one_run_is_a_dot_and_no_mean():
    ax = plots.plot_runs({"one": [0.5], "two": [0.4, 0.6]})
    assert [line.get_label() for line in ax.lines].count("mean") == 1


def colours_of(png):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int)


def test_a_palette_is_taken_only_where_nobody_sees_it():
    ax = new_axes(3, 2)
    ax.plot([0, 1], [0, 1])
    line = picture_bytes(ax, "png", dpi=50)
    assert len(fewer_colours(line)) < len(line)
    figure = Figure(figsize=(2, 2))
    r, c = np.mgrid[0:64, 0:64] / 63
    figure.figimage(np.stack([r, c, 1 - r * c], axis=-1), resize=True)
    gradient = picture_bytes(figure, "png", dpi=50)
    np.testing.assert_array_equal(colours_of(fewer_colours(gradient)), colours_of(gradient))
