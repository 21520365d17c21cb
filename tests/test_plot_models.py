"""Pictures of a model: what is drawn is computed anew from the model's parameters, and stands where and under what it says."""

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
    wavelet_filters,
)
from multires_ref.plots import gallery
from multires_ref.plots.filters import two_gains
from multires_ref.plots.model import figures_of_model, initial_layers, layers, mean_forgetting, spread, strongest_channel
from multires_ref.plots.scales import shares_by_scale
from multires_ref.plots.signal import Signal, fed_to_layer_1
from multires_ref.plots.stored import STORED

TREES = {"fading": {}, "uniform": {"tree_select": "uniform", "memory_size": 9}, "untied": {"tied": False}}
SIGNAL = Signal(np.sin(np.arange(60) / 4)[None], "mine", 50.0)


@pytest.fixture(params=TREES)
def model(request):
    """Two layers of three channels; the strongest channel differs from layer to layer, and is never the first."""
    made = Model.init(NetworkConfig(1, 4, 3, 2, max_length=16, **TREES[request.param]), np.random.default_rng(1))
    for n, block in enumerate(made.params["blocks"]):
        block["conv"]["w"][2 - n] *= 10
    return made


def drawn(model, name, before=None):
    kind, draw = figures_of_model(model, SIGNAL, before)[name]
    assert kind == ("png" if name == "memory" else "svg")
    return draw()


def visible(figure):
    return [ax for ax in figure.axes if ax.get_visible() and ax.lines]


def impulses(model, conv, d):
    """What the memory holds of a single 1, for channel d: [m, R], computed with `memory` alone."""
    config = model.config
    pair = [conv[name][..., d : d + 1, :] for name in ("h0", "h1")]
    R = config.receptive_field
    return memory(np.eye(1, R), *pair, config.J, config.tree_select, config.m)[0][0]


def test_the_strongest_channel_is_the_loudest_for_white_noise(model):
    for n, conv in enumerate(layers(model)):
        weights = [
            np.sqrt(((conv["w"][d][:, None] * impulses(model, conv, d)) ** 2).sum() + conv["w_skip"][d] ** 2) for d in range(3)
        ]
        assert strongest_channel(conv, model.config.J, model.config.tree_select) == np.argmax(weights) == 2 - n


def test_kernels_are_those_of_each_layer_s_strongest_channel(model):
    (ax,) = drawn(model, "kernels").axes
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    config = model.config
    for n, (line, conv) in enumerate(zip(curves, layers(model), strict=True)):
        kernel = equivalent_kernel(**conv, tree_select=config.tree_select, depth=config.J)[2 - n]
        np.testing.assert_allclose((line.get_ydata() + n) / 0.45, kernel / abs(kernel).max(), atol=1e-12)
        np.testing.assert_array_equal(line.get_xdata(), 1 + np.arange(len(kernel)))
    places = dict(zip(ax.get_yticks(), [text.get_text() for text in ax.get_yticklabels()], strict=True))
    assert places == {0: "layer 1", -1: "layer 2"}


def test_recovered_is_the_past_of_what_layer_1_is_fed(model):
    """The newest samples of the strongest channel's input, and the least-squares answer to its memory at the end."""
    (ax,) = drawn(model, "recovered").axes
    conv, v = layers(model)[0], fed_to_layer_1(model, SIGNAL.x)[2]
    M = impulses(model, conv, 2)
    R = M.shape[1]
    past = np.concatenate((v[::-1], np.zeros(R)))[:R]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), past)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.linalg.pinv(M) @ M @ past, rtol=1e-8, atol=1e-9)
    assert ax.get_xlim() == (-min(R, 60) + 0.5, 0.5)
    assert ax.get_title("left") == "mine: the past of channel 2 at the end, from layer 1's memory"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["the past x[n-t]", f"recovered from {len(M)} numbers"]


def test_the_memory_s_picture_is_of_the_strongest_channel(model):
    above, fed, picture, forgetting = drawn(model, "memory").axes[:4]
    v, conv, config = fed_to_layer_1(model, SIGNAL.x)[2], layers(model)[0], model.config
    np.testing.assert_array_equal(above.lines[0].get_ydata(), SIGNAL.x[0])
    np.testing.assert_array_equal(fed.lines[0].get_ydata(), v)
    assert "channel 2 of layer 1" in fed.get_title("left")
    pair = [conv[name][..., 2:3, :] for name in ("h0", "h1")]
    z = memory(v[None], *pair, config.J, config.tree_select, config.m)[0][0]
    scale = abs(z).max(axis=1, keepdims=True)
    np.testing.assert_allclose(picture.images[0].get_array(), z / np.where(scale > 0, scale, 1), atol=1e-12)
    assert picture.images[0].get_clim() == (-1, 1)
    names = [f"{r.kind}_{{{r.level}}}" for r in memory_rows(config.J, config.kernel_size, config.tree_select, config.m)]
    for text, name in zip(picture.get_yticklabels(), names, strict=True):
        assert name in text.get_text() or text.get_text() == "(unused)"
    curves = {line.get_label(): line.get_ydata() for line in forgetting.lines}
    assert list(curves) == ["layer 1", "layer 2"]
    for (label, curve), layer in zip(curves.items(), layers(model), strict=True):
        matrices = [impulses(model, layer, d) for d in range(3)]
        wanted = np.mean([np.diag(np.linalg.pinv(M) @ M) for M in matrices], axis=0)
        np.testing.assert_allclose(curve, wanted, rtol=1e-4, atol=1e-5, err_msg=label)


def test_at_most_the_first_channels_are_averaged_in_forgetting(model):
    conv = layers(model)[0]
    M = impulses(model, conv, 0)
    np.testing.assert_allclose(mean_forgetting(conv, model.config, most=1), np.diag(np.linalg.pinv(M) @ M), rtol=1e-8, atol=1e-9)


def test_responses_are_each_layer_s_in_decibels_of_its_loudest_scale(model):
    figure = drawn(model, "responses")
    config = model.config
    for n, (ax, conv) in enumerate(zip(visible(figure), layers(model), strict=True)):
        assert ax.get_title("left") == f"layer {n + 1}"
        f = ax.lines[0].get_xdata()
        assert (f[0], f[-1]) == pytest.approx((2.0 ** (-config.J - 2), 0.5))
        _, pairs = frequency_responses(conv["h0"], conv["h1"], config.J, frequencies=f)
        power = {}
        for w, r in zip(conv["w"].T, memory_rows(config.J, config.kernel_size, config.tree_select, config.m), strict=True):
            if r.kind != "unused":
                gain = (w[:, None] * abs(pairs[r.level - 1][0 if r.kind == "a" else 1])) ** 2
                power[f"${r.kind}_{{{r.level}}}$"] = power.get(f"${r.kind}_{{{r.level}}}$", 0) + gain.mean(axis=0)
        loudest = max(p.max() for p in power.values())
        assert {line.get_label() for line in ax.lines} == set(power)
        for line in ax.lines:
            np.testing.assert_allclose(line.get_ydata(), 10 * np.log10(np.maximum(power[line.get_label()] / loudest, 1e-24)))
        assert ax.get_xscale() == "log"
        assert ax.get_ylim() == (-40, 3)


def test_filters_go_from_the_start_to_now_in_each_layer(model):
    before = initial_layers(model.config, 8)
    figure = drawn(model, "filters", before)
    for n, (ax, start, end) in enumerate(zip(visible(figure), before, layers(model), strict=True)):
        assert ax.get_title("left") == f"layer {n + 1}"
        marks = {line.get_label(): line for line in ax.lines}
        for name, label in (("h0", "$h_0$"), ("h1", "$h_1$")):
            np.testing.assert_allclose(marks[label].get_xydata(), two_gains(end[name]).reshape(-1, 2))
        paths = [line.get_xydata() for line in ax.lines if line.get_label() == "_path"]
        wanted = [
            np.stack((two_gains(s[name]), two_gains(e[name])), -2).reshape(-1, 2, 2)
            for s, e in [(start, end)]
            for name in ("h0", "h1")
        ]
        np.testing.assert_allclose(paths, np.concatenate(wanted))
        reach = 1.08 * max(abs(np.concatenate(wanted)).max(), 0)
        assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-reach, reach))
    names = ["$h_0$ now", "$h_1$ now", "from the start to now"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert [text.get_text() for text in drawn(model, "filters").legends[0].get_texts()] == names[:2]


def test_scales_are_each_layer_s_now_and_at_the_start(model):
    before, config = initial_layers(model.config, 8), model.config
    figure = drawn(model, "scales", before)
    for n, ax in enumerate(visible(figure)):
        assert ax.get_title("left") == f"layer {n + 1}"
        circles = {line.get_label(): [*line.get_ydata()] for line in ax.lines}
        assert circles["now"] == [*shares_by_scale(layers(model)[n], config.J, config.tree_select).values()]
        assert circles["at the start"] == [*shares_by_scale(before[n], config.J, config.tree_select).values()]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["at the start", "now"]


def test_shares_are_of_the_deviation_that_each_scale_adds(model):
    """Of white noise, the mean over channels: recomputed from the memory of an impulse."""
    conv, config = layers(model)[1], model.config
    norms = np.array([np.sqrt((impulses(model, conv, d) ** 2).sum(axis=1)) for d in range(3)])
    gains = np.concatenate((abs(conv["w"]) * norms, abs(conv["w_skip"])[:, None]), axis=1).mean(axis=0)
    wanted = {}
    rows = memory_rows(config.J, config.kernel_size, config.tree_select, config.m)
    for r, gain in zip(rows, gains, strict=False):
        if r.kind != "unused":
            wanted[f"${r.kind}_{{{r.level}}}$"] = wanted.get(f"${r.kind}_{{{r.level}}}$", 0) + 100 * gain / gains.sum()
    wanted["skip"] = 100 * gains[-1] / gains.sum()
    shares = shares_by_scale(conv, config.J, config.tree_select)
    assert shares == pytest.approx(wanted)
    assert list(shares) == list(wanted)


def test_of_many_layers_some_are_shown_the_first_and_the_last_among_them():
    assert [n for n, _ in spread([{}] * 3)] == [0, 1, 2]
    chosen = spread([{"w": n} for n in range(20)])
    assert [n for n, _ in chosen] == [0, 4, 8, 11, 15, 19]
    assert all(block["w"] == n for n, block in chosen)
    assert len(spread([{}] * 20, 8)) == 8


def test_initial_layers_have_the_run_s_seed_and_dtype():
    config = NetworkConfig(1, 4, 3, 2, max_length=16)
    for dtype in ("float32", "float64"):
        made = Model.init(config, np.random.default_rng(5), dtype)
        for start, block in zip(initial_layers(config, 5, dtype), made.params["blocks"], strict=True):
            for name, array in start.items():
                assert array.dtype == np.float64
                np.testing.assert_array_equal(array, block["conv"][name])


# the package's own pictures that are too large to be compared to the bit elsewhere


def test_the_memory_figure_is_the_electrocardiogram_s():
    above, below, _ = gallery.memory_figure().axes
    x = gallery.ecg()
    assert abs(x.mean()) < 1e-12
    np.testing.assert_array_equal(above.lines[0].get_ydata(), x)
    z, rows = memory(x, *wavelet_filters("haar"), 9)
    np.testing.assert_allclose(below.images[0].get_array(), z / abs(z).max(axis=1, keepdims=True))
    assert [text.get_text() for text in below.get_yticklabels()] == ["$a_{9}[n]$", *(f"$b_{{{i}}}[n]$" for i in range(9, 0, -1))]


def test_the_three_memories_have_as_many_numbers():
    memories = gallery.three_memories(4)
    assert list(memories) == ["fading", "uniform", "last 5 samples"]
    assert {M.shape for M in memories.values()} == {(5, 16)}
    np.testing.assert_array_equal(memories["last 5 samples"], np.eye(5, 16))
    x = np.random.default_rng(0).standard_normal(30)
    for name in ("fading", "uniform"):
        z, _ = memory(x, *wavelet_filters("haar"), 4, name, 5)
        np.testing.assert_allclose(memories[name] @ x[29:13:-1], z[:, 29])


def test_every_stored_picture_names_its_file():
    wanted = {"learned": "digits.safetensors", "decision": "digits.safetensors", "agreement": "agreement.json"}
    wanted |= {"samples": "samples.npz", "speed": "bench.json", "peers": "peers.json", "mpi": "mpi.json"}
    assert {name: figure.needs for name, figure in STORED.items()} == wanted


# single pictures


def test_each_scale_is_named_and_coloured_by_its_level():
    h = wavelet_filters("db2")
    for ax in (plots.plot_impulse_responses(*h, 3), plots.plot_frequency_responses(*h, 3)):
        lines = [line for line in ax.lines if line.get_label().startswith("$")]
        assert [line.get_label() for line in lines] == ["$b_{1}$", "$b_{2}$", "$b_{3}$", "$a_{3}$"]
        colours = [line.get_color() for line in lines]

        assert len(set(colours)) == 4  # a_3 has a colour of its own, so that it is not taken for b_3
    responses = [d for _, d in impulse_responses(*h, 3)]
    ax = plots.plot_impulse_responses(*h, 3)
    assert ax.get_xlim()[1] == pytest.approx(1.05 * len(responses[-1]))
    assert ax.get_xscale() == "log"


def test_scale_gains_are_written_in_percent_by_layer():
    model = Model.init(NetworkConfig(1, 4, 3, 2, max_length=8), np.random.default_rng(2))
    ax = plots.plot_scale_gains(layers(model), model.config.J, top=0.5)
    shares = ax.images[0].get_array()
    written = {text.get_position(): text.get_text() for text in ax.texts}  # (row of the memory, layer)
    assert written == {(r, n): f"{100 * shares[n, r]:.0f}" for n in range(2) for r in range(shares.shape[1])}
    assert ax.images[0].get_clim() == (0, 0.5)
    names = [text.get_text() for text in ax.get_xticklabels()]
    J = model.config.J
    assert names == [f"$a_{{{J}}}$", *(f"$b_{{{i}}}$" for i in range(J, 0, -1)), "skip"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["layer 1", "layer 2"]


@pytest.mark.parametrize("L", [64, 65])
def test_levels_are_stems_where_signals_are_short(L):
    x = np.arange(1.0, L + 1)
    ax = plots.plot_levels(x, [(2 * x, -x)])
    rows = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    wanted = {"$x$": x / L, "$b_{1}$": 1 / 0.42 - x / L, "$a_{1}$": 2 / 0.42 + x / L}
    for name, heights in wanted.items():
        np.testing.assert_allclose(rows[name].get_ydata(), 0.42 * heights)
        np.testing.assert_array_equal(rows[name].get_xdata(), np.arange(L))
    assert bool(ax.collections) is (L == 64)
    assert ax.get_xlim() == (-0.6, L - 0.4)


def test_parts_stand_at_their_scale_and_lag():
    """Up and blue raises the output, down and red lowers it: one scale for all rows, rows from the top, lags from 1."""
    parts = np.zeros((3, 4))
    parts[1, 2], parts[2, 0] = 2.0, -5.0
    ax = plots.plot_parts(parts, ["a2", "b2", "skip"], label="margin")
    steps = {step.get_label(): step for step in ax.patches}
    assert ax.yaxis_inverted()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a2", "b2", "skip"]
    np.testing.assert_array_equal(steps["_raises b2"].get_data().edges, [1, 2, 3, 4, 5])
    raised, lowered = (1 - steps[f"_{word} b2"].get_data().values for word in ("raises", "lowers"))
    np.testing.assert_allclose(raised, [0, 0, 0.6 * 2 / 5, 0])
    assert not lowered.any()
    np.testing.assert_allclose(2 - steps["_lowers skip"].get_data().values, [-0.6, 0, 0, 0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["raises the margin", "lowers it"]
    key = [mpl.colors.to_hex(patch.get_facecolor()) for patch in ax.get_legend().get_patches()]
    assert key == [mpl.colors.to_hex(steps[f"_{word} b2"].get_facecolor()) for word in ("raises", "lowers")]


def test_filter_norms_are_quartiles_over_the_channels():
    rng = np.random.default_rng(3)
    before, after = ([{"h0": rng.standard_normal((5, 3)), "h1": rng.standard_normal((5, 3))} for _ in range(2)] for _ in range(2))
    ax = plots.plot_filter_norms(before, after)
    marks = {line.get_label(): line for line in ax.lines}
    norms = [np.median(np.sqrt((conv["h1"] ** 2).sum(axis=1))) for conv in after]
    np.testing.assert_allclose(marks["$h_1$ now"].get_ydata(), norms)
    assert marks["$h_0$ at the start"].get_markerfacecolor() == "white"
    whisker = ax.collections[0].get_segments()[0]  # h0 at the start, first layer
    np.testing.assert_allclose(whisker[:, 1], np.quantile(np.sqrt((before[0]["h0"] ** 2).sum(axis=1)), [0.25, 0.75]))


def test_recovered_shows_the_newest_of_a_window():
    ax = plots.plot_recovered(np.arange(8.0), 6, np.eye(2, 5), window=3)
    assert ax.get_xlim() == (-2.5, 0.5)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [6, 5, 4, 3, 2])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [6, 5, 0, 0, 0], atol=1e-12)
    assert plots.plot_recovered(np.arange(8.0), 6, np.eye(2, 5)).get_xlim() == (-4.5, 0.5)
    assert plots.plot_signal(np.arange(4.0), at=2).lines[1].get_xdata() == [2, 2]
