"""The figures' artists hold the computed numbers; figures leave no trace outside themselves; style and files."""

import ast
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from multires_ref import (
    Model,
    NetworkConfig,
    equivalent_kernel,
    frequency_responses,
    impulse_responses,
    memory,
    memory_rows,
    plots,
    pyramid,
    random_filters,
    wavelet_filters,
)
from multires_ref.memories import memory_matrix, past
from multires_ref.plots.filters import two_gains
from multires_ref.plots.gallery import ecg
from multires_ref.plots.memory import plot_signal
from multires_ref.plots.model import (
    OF_A_MODEL,
    figures_of_model,
    initial_layers,
    layers,
    scale_gains_over_frequency,
    scales_of_model,
)
from multires_ref.plots.scales import plot_scales, scale_shares, shares_by_scale
from multires_ref.plots.signal import Signal
from multires_ref.plots.style import (
    COLOURS,
    CYCLE,
    STYLE,
    level_colours,
    new_axes,
    new_figure,
    octaves,
    picture_bytes,
    save,
    styled,
)
from multires_ref.plots.tree import tree_lags
from multires_ref.response import transfer

HAAR = wavelet_filters("haar")
TREES = [(1, 2, "fading", None), (4, 2, "fading", None), (3, 4, "fading", None), (5, 3, "uniform", 9), (3, 2, "uniform", 20)]
each_tree = pytest.mark.parametrize(("J", "K", "select", "size"), TREES)


def luminance(colour):
    return np.dot(mpl.colors.to_rgb(colour), (0.2126, 0.7152, 0.0722))


# the tree


def marked(ax, label):
    return [(x, y) for line in ax.lines if line.get_label() == label for x, y in zip(*line.get_data(), strict=True)]


@each_tree
def test_tree_outlines_exactly_the_memory(J, K, select, size):
    ax = plots.plot_tree(J, K, select, size)
    for kind in "ab":
        for level in range(1, J + 1):
            drawn = {-x for x, _ in marked(ax, f"memory {kind}{level}")}
            kept = {r.lag for r in memory_rows(J, K, select, size) if (r.kind, r.level) == (kind, level)}
            assert drawn == kept
            rest = {-x for x, _ in marked(ax, f"{kind}{level}")}
            assert drawn | rest == set(tree_lags(J, K)[level])
            assert not drawn & rest


@each_tree
def test_tree_edges_are_the_taps(J, K, select, size):
    ax = plots.plot_tree(J, K, select, size)
    edges = [line.get_xydata() for line in ax.lines if line.get_linestyle() == "-" and line.get_alpha() == 0.55]
    expected = {
        (-(lag + k * 2 ** (i - 1)), i - 1, -lag, i) for i in range(1, J + 1) for lag in tree_lags(J, K)[i] for k in range(K)
    }
    assert {(x0, round(y0), x1, round(y1)) for (x0, y0), (x1, y1) in edges} == expected


@pytest.mark.parametrize(("J", "K"), [(1, 2), (4, 2), (3, 3), (2, 5)])
def test_tree_rests_on_exactly_the_samples_that_matter(J, K):
    """A change of x at a drawn lag changes a_J[n]; at no other lag does it."""
    g = impulse_responses(np.ones(K), np.ones(K), J)[-1][0]
    assert tree_lags(J, K)[0] == list(np.flatnonzero(g))


@each_tree
def test_lags_bars_are_the_stretches_that_rows_see(J, K, select, size):
    rows = [r for r in memory_rows(J, K, select, size) if r.kind != "unused"]
    z, _ = memory(np.eye(1, 400)[0], np.ones(K), np.arange(1.0, K + 1), J, select, size)  # filters without a zero
    bars = plots.plot_lags(J, K, select, size).patches
    for bar, response in zip(bars, z, strict=False):
        seen = np.flatnonzero(response)
        ends = sorted((bar.get_x(), bar.get_x() + bar.get_width()))
        assert ends == [-seen[-1] - 0.5, -seen[0] + 0.5]
    assert len(bars) == len(rows)


# filters, responses, kernel


def test_taps_and_gains_are_the_filters():
    h0, h1 = wavelet_filters("db2")
    ax = plots.plot_taps(h0, h1)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), h0)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), h1)
    ax = plots.plot_gain(h0, h1, points=33)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), abs(transfer(h1, np.linspace(0, 0.5, 33))))


@pytest.mark.parametrize("K", [2, 5])
def test_impulse_response_lines_are_the_responses(K):
    h0, h1 = (h[0] for h in random_filters(np.random.default_rng(0), 1, K, dtype="float64"))
    ax = plots.plot_impulse_responses(h0, h1, 4)
    expected = [d for _, d in impulse_responses(h0, h1, 4)] + [impulse_responses(h0, h1, 4)[-1][0]]
    lines = [line for line in ax.lines if line.get_label().startswith("$")]
    for r, (line, response) in enumerate(zip(lines, expected, strict=True)):
        lags, heights = line.get_data()
        np.testing.assert_array_equal(lags, 1 + np.arange(len(response)))
        np.testing.assert_allclose((heights - r) / 0.42, response / abs(response).max())


def test_frequency_response_lines_are_the_gains_in_decibels():
    ax = plots.plot_frequency_responses(*wavelet_filters("sym5"), 5)
    lines = {line.get_label(): line for line in ax.lines}
    f = lines["$b_{3}$"].get_xdata()
    _, pairs = frequency_responses(*wavelet_filters("sym5"), 5, frequencies=f)
    ratios = []
    for label, gain in (("$b_{3}$", abs(pairs[2][1])), ("$a_{5}$", abs(pairs[4][0]))):
        drawn = 10 ** (lines[label].get_ydata() / 20)
        heard = gain / 2 ** (int(label[4]) / 2)
        loud = heard > 1e-3 * heard.max()
        ratios.append(drawn[loud] / heard[loud])
    ratios = np.concatenate(ratios)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)  # the same but for the one 0 dB of the picture
    assert max(line.get_ydata().max() for line in ax.lines) == pytest.approx(0)


def test_untied_filters_are_drawn_level_by_level():
    h0, h1 = (h[:, 0] for h in random_filters(np.random.default_rng(1), 1, 2, J=3, dtype="float64"))  # [J, K]
    ax = plots.plot_impulse_responses(h0, h1, 3)
    line = next(line for line in ax.lines if line.get_label() == "$b_{2}$")
    expected = impulse_responses(h0[:, None], h1[:, None], 3)[1][1][0]
    np.testing.assert_allclose((line.get_ydata() - 1) / 0.42, expected / abs(expected).max())


@pytest.mark.parametrize(("select", "J", "m"), [("fading", 4, 5), ("uniform", 4, 7)])
def test_kernel_line_is_the_equivalent_kernel_and_the_sum_of_its_scales(select, J, m):
    rng = np.random.default_rng(2)
    w = rng.standard_normal(m)
    ax = plots.plot_kernel(*HAAR, w, 0.5, tree_select=select, depth=J)
    *parts, kernel = [line for line in ax.lines if not line.get_label().startswith("_")]
    h0, h1 = (h[None] for h in HAAR)
    expected = equivalent_kernel(h0, h1, w[None], np.array([0.5]), tree_select=select, depth=J)[0]
    np.testing.assert_allclose(kernel.get_ydata(), expected)
    baselines = dict(zip([label.get_text() for label in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert baselines["kernel"] == 0
    by_scale = {line.get_label(): line.get_ydata() - baselines[line.get_label()] for line in parts}
    by_scale = {name: np.pad(part, (0, len(expected) - len(part))) for name, part in by_scale.items()}
    assert list(baselines) == ["kernel", *by_scale]
    np.testing.assert_allclose(sum(by_scale.values()), expected, atol=1e-12)
    np.testing.assert_allclose(by_scale["skip"], 0.5 * np.eye(1, len(expected))[0], atol=1e-12)
    level = impulse_responses(h0[0], h1[0], J)
    rows = memory_rows(J, 2, select, m)
    coarsest = w[0] * np.pad(level[J - 1][0], (0, len(expected) - len(level[J - 1][0])))
    assert rows[0].kind == "a"
    np.testing.assert_allclose(by_scale[f"$a_{{{J}}}$"], coarsest, atol=1e-12)


def test_kernel_rows_have_a_scale_bar_of_a_round_weight():
    ax = plots.plot_kernel(*HAAR, np.array([0.0, 0.0, 3.0]), 0.0)  # the largest weight is 3 / sqrt 2 = 2.1
    assert ax.texts[0].get_text() == " weight 2"
    bar = ax.collections[-1].get_segments()[0]
    assert bar[1][1] - bar[0][1] == 2


# signals and memory


def test_memory_image_is_the_memory_row_by_row():
    z, rows = memory(ecg(), *HAAR, 6)
    ax = plots.plot_memory(z, rows)
    image = ax.images[0]
    np.testing.assert_allclose(image.get_array(), z / abs(z).max(axis=1, keepdims=True))
    assert tuple(image.get_extent()) == (-0.5, 1023.5, 6.5, -0.5)  # column n is centred on n


def test_memory_image_of_silence():
    z, rows = memory(np.zeros(20), *HAAR, 3)
    assert not plots.plot_memory(z, rows).images[0].get_array().any()


def test_levels_rows_are_the_coefficients():
    levels = pyramid(ecg(), *HAAR, 3)
    ax = plots.plot_levels(ecg(), levels)
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose((lines["$b_{2}$"] - 2) / 0.42, levels[1][1] / abs(levels[1][1]).max(), atol=1e-12)
    np.testing.assert_allclose((lines["$a_{3}$"] - 4) / 0.42, levels[2][0] / abs(levels[2][0]).max(), atol=1e-12)


def test_recovered_lines_are_past_and_projection():
    M, _ = memory_matrix(*HAAR, 5)
    ax = plots.plot_recovered(ecg(), 300, M)
    p = past(ecg(), 300, 32)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), p)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.linalg.pinv(M) @ M @ p)
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), -np.arange(32))


def test_forgetting_lines_are_the_curves():
    curves = {"a": np.linspace(1, 0, 8), "b": np.ones(4)}
    ax = plots.plot_forgetting(curves)
    for line, curve in zip(ax.lines, curves.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        np.testing.assert_array_equal(line.get_xdata(), 1 + np.arange(len(curve)))


# trained models and decisions


@pytest.fixture(
    params=[("fading", None, True), ("uniform", 6, True), ("fading", None, False)], ids=["fading", "uniform", "untied"]
)
def model(request):
    select, m, tied = request.param
    config = NetworkConfig(1, 4, 5, 3, max_length=32, tree_select=select, memory_size=m, tied=tied)
    return Model.init(config, np.random.default_rng(3))


def test_figures_of_a_model_are_drawn_for_any_tree(model):
    drawings = figures_of_model(model, Signal(ecg()[None], "an ECG", 360.0), initial_layers(model.config, 3))
    assert tuple(drawings) == OF_A_MODEL
    for kind, draw in drawings.values():
        assert picture_bytes(draw(), kind, dpi=40)


def test_shares_by_scale_are_percents_of_the_layer(model):
    """They add up to 100; the rows of one level count together; the picture's circles stand at them."""
    config, conv = model.config, layers(model)[0]
    shares = shares_by_scale(conv, config.J, config.tree_select)
    assert sum(shares.values()) == pytest.approx(100, rel=1e-12)
    assert len(shares) == len({(r.kind, r.level) for r in memory_rows(config.J, 2, config.tree_select, config.m)}) + 1
    before = shares_by_scale(layers(model)[1], config.J, config.tree_select)
    ax = plot_scales(shares, before)
    heights = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert heights["now"] == [*shares.values()]
    assert heights["at the start"] == [before[name] for name in shares]
    assert [label.get_text() for label in ax.get_xticklabels()] == [*shares]


def test_all_circles_of_all_layers_are_inside_their_axes(model):
    """The layers share one y axis: it must hold the largest share of any, and room for the circles at 0."""
    for before in (None, initial_layers(model.config, 5)):
        axes = [ax for ax in scales_of_model(model, before).axes if ax.get_visible()]
        assert len(axes) == model.config.n_layers
        for ax in axes:
            low, high = ax.get_ylim()
            heights = np.concatenate([line.get_ydata() for line in ax.lines])
            assert low < heights.min() - 3
            assert heights.max() < high
            assert ax.get_ylim() == axes[0].get_ylim()


def test_initial_layers_are_those_a_run_begins_with(model):
    for start, now in zip(initial_layers(model.config, 3), layers(model), strict=True):
        for name in start:
            np.testing.assert_array_equal(start[name], now[name])


def test_layer_response_lines_are_root_mean_squares_over_channels():
    config = NetworkConfig(1, 4, 5, 1, max_length=32)
    conv = layers(Model.init(config, np.random.default_rng(4)))[0]
    f = np.linspace(0.01, 0.5, 9)
    gains = scale_gains_over_frequency(conv, config.J, "fading", f)
    _, pairs = frequency_responses(conv["h0"], conv["h1"], config.J, frequencies=f)
    b2 = np.sqrt(np.mean((conv["w"][:, -2, None] * abs(pairs[1][1])) ** 2, axis=0))  # w: a_J, b_J, ..., b_2, b_1
    np.testing.assert_allclose(gains["b", 2], b2)
    assert list(gains) == [*(("b", i) for i in range(1, config.J + 1)), ("a", config.J)]


def test_learned_filters_go_from_start_to_end():
    rng = np.random.default_rng(5)
    before, after = ({"h0": rng.standard_normal((4, 3)), "h1": rng.standard_normal((4, 3))} for _ in range(2))
    ax = plots.plot_learned_filters(before, after)
    paths = [line.get_xydata() for line in ax.lines if line.get_label() == "_path"]
    np.testing.assert_allclose(paths[2], np.stack((two_gains(before["h0"][2]), two_gains(after["h0"][2]))))
    np.testing.assert_allclose([line for line in ax.lines if line.get_label() == "$h_1$"][0].get_xydata(), two_gains(after["h1"]))
    np.testing.assert_allclose(two_gains(after["h1"]), np.real(transfer(after["h1"], np.array([0, 0.5]))), atol=1e-12)


def test_scale_gains_image_holds_shares(model):
    config = model.config
    ax = plots.plot_scale_gains(layers(model), config.J, config.tree_select)
    np.testing.assert_allclose(ax.images[0].get_array(), scale_shares(layers(model), config.J, config.tree_select))
    np.testing.assert_allclose(ax.images[0].get_array().sum(axis=1), 1)


@pytest.mark.parametrize("R", [1, 2, 7, 64, 1000])
def test_parts_picture_loses_nothing(R):
    parts = np.random.default_rng(6).standard_normal((4, R))
    ax = plots.plot_parts(parts, list("abcd"))
    drawn = {step.get_label(): r - step.get_data().values for r, step in heights_of_steps(ax)}
    unit = {name: drawn[f"_raises {name}"] + drawn[f"_lowers {name}"] for name in "abcd"}
    sums = np.array([row.sum() for row in unit.values()])
    np.testing.assert_allclose(sums / sums[0], parts.sum(axis=1) / parts.sum(axis=1)[0], rtol=1e-9)
    assert [text.get_text() for text in ax.texts] == [*(f"{total:+.2f}" for total in parts.sum(axis=1)), "sum"]


def heights_of_steps(ax):
    """The steps of a picture of parts, each with the row that it stands on."""
    return [(step.get_data().baseline, step) for step in ax.patches]


# style


def test_figures_leave_no_trace(monkeypatch):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    plots.plot_tree(3, 2)
    plots.plot_gain(*HAAR)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.plot_tree(3, 2, ax=ax),
        lambda ax: plots.plot_lags(3, 2, ax=ax),
        lambda ax: plots.plot_taps(*HAAR, ax),
        lambda ax: plots.plot_gain(*HAAR, ax),
        lambda ax: plots.plot_impulse_responses(*HAAR, 3, ax),
        lambda ax: plots.plot_frequency_responses(*HAAR, 3, ax),
        lambda ax: plots.plot_kernel(*HAAR, np.ones(4), 0.0, ax),
        lambda ax: plots.plot_levels(ecg(), pyramid(ecg(), *HAAR, 2), ax),
        lambda ax: plots.plot_memory(*memory(ecg(), *HAAR, 3), ax),
        lambda ax: plot_signal(ecg(), ax, at=3),
        lambda ax: plots.plot_recovered(ecg(), 9, np.eye(2, 4), ax),
        lambda ax: plots.plot_forgetting({"a": np.ones(3)}, ax),
        lambda ax: plots.plot_parts(np.eye(3), list("abc"), ax),
        lambda ax: plots.plot_image(np.eye(3), ax),
    ],
)
def test_draws_into_the_axes_it_is_given_and_names_what_it_draws(draw):
    figure, ((left, right),) = new_figure(columns=2)
    assert draw(left) is left
    assert left.has_data()
    assert not right.has_data()
    if left.axison and left.get_xticks().size:
        assert left.get_xlabel()


def test_colours_keep_their_order_in_grey_print():
    for J in (2, 5, 12):
        grey = [luminance(colour) for colour in level_colours(J)]
        assert (np.diff(grey) < 0).all()
    assert len(set(CYCLE)) == len(CYCLE)
    assert set(CYCLE) <= set(COLOURS.values())


def test_styled_passes_on_results_and_keeps_the_name():
    @styled
    def draw(n):
        """Words."""
        return n, mpl.rcParams["font.size"]

    assert draw(3) == (3, STYLE["font.size"])
    assert (draw.__name__, draw.__doc__) == ("draw", "Words.")


@pytest.mark.parametrize("length", [1, 2, 3, 64, 1000])
def test_octaves_label_powers_of_two(length):
    ax = new_axes(4, 2)
    octaves(ax, length)
    labels = [int(label.get_text()) for label in ax.get_xticklabels()]
    assert labels == [2**e for e in range(20) if 2**e <= length]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_saved_files_are_the_same_each_time_and_hold_no_date(tmp_path, kind):
    files = [save(plots.plot_tree(3, 2), tmp_path / f"{n}.{kind}") for n in range(2)]
    data = [file.read_bytes() for file in files]
    assert data[0] == data[1]
    assert b"dc:date" not in data[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"0.{kind}", f"1.{kind}"]  # and nothing unfinished beside them


def test_save_refuses_another_kind(tmp_path):
    with pytest.raises(ValueError, match="kind must be one of 'svg', 'png'; got 'pdf'"):
        save(new_axes(2, 2), tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_public_names_load():
    for name in plots.PUBLIC:
        assert callable(getattr(plots, name))
    assert set(plots.PUBLIC) <= set(dir(plots))
    with pytest.raises(AttributeError, match="no attribute 'plot_nothing'"):
        plots.plot_nothing  # noqa: B018


def test_every_drawing_function_is_public():
    """Each function `plot_...` of each file, and in its place."""
    folder = Path(plots.__file__).parent
    drawing = {
        node.name: path.stem
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("plot_")
    }
    assert drawing.items() <= plots.PUBLIC.items()
