"""Pictures of examples, samples, runs, errors and benchmarks: the artists hold the numbers given, at their place and by name."""

import matplotlib as mpl
import numpy as np
import pytest

from multires_ref import NetworkConfig
from multires_ref.plots.errors import LOWEST, plot_error_by_layer
from multires_ref.plots.sequences import LEAD_NAMES, plot_example, plot_samples
from multires_ref.plots.signal import Signal, plot_channels, seconds_beside, stand_in
from multires_ref.plots.speed import (
    LIMIT,
    OURS,
    THEIRS,
    plot_bench,
    plot_busy,
    plot_operator,
    plot_peaks,
    plot_scaling,
    plot_steps,
    plot_times,
)
from multires_ref.plots.style import COLOURS, new_axes
from multires_ref.plots.training import plot_confusion, plot_curves, plot_losses, plot_scores

RNG = np.random.default_rng


def labels_of(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def colour(artist):
    return mpl.colors.to_hex(artist.get_color()).upper()


# examples and samples


@pytest.mark.parametrize("C", [1, 3])
def test_a_square_example_is_an_image_read_row_by_row(C):
    x = RNG(0).random((C, 9)) * 5 - 2
    ax = plot_example(x, title="a title")
    image = np.asarray(ax.images[0].get_array())
    expected = (x - x.min()) / np.ptp(x)
    for row in range(3):
        for column in range(3):
            np.testing.assert_allclose(image[row, column], expected[:, 3 * row + column].squeeze())
    assert ax.images[0].get_cmap().name == "gray_r" or C == 3
    assert ax.get_title("left") == "a title"
    assert plot_example(np.ones((1, 4))).images[0].get_array().max() == 0  # nothing is divided by zero


@pytest.mark.parametrize("C", [2, 12])
def test_traces_stand_in_order_from_the_top(C):
    x = RNG(1).standard_normal((C, 50)) * np.arange(1, C + 1)[:, None]
    ax = plot_example(x)
    places = ax.get_yticks()
    assert (np.diff(places) < 0).all()
    gaps = -np.diff(places)
    np.testing.assert_allclose(gaps, 1.2 * np.percentile(x.max(axis=1) - x.min(axis=1), 75))
    assert len(ax.lines) == C
    for line, trace, place in zip(ax.lines, x, places, strict=True):
        np.testing.assert_allclose(line.get_ydata() - place, trace, atol=1e-12)
    assert labels_of(ax.yaxis) == (list(LEAD_NAMES) if C == 12 else ["0", "1"])
    assert ax.get_xlim() == (0, 49)


def test_tokens_are_points_by_name():
    ax = plot_example(np.array([2, 0, 1, 2]), tokens=("a", "b", "c"))
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 2], [1, 0], [2, 1], [3, 2]])
    assert (labels_of(ax.yaxis), [*ax.get_yticks()]) == (["a", "b", "c"], [0, 1, 2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "token")


@pytest.mark.parametrize(("N", "C", "given"), [(5, 1, 0), (5, 3, 6), (2, 1, 3)])
def test_samples_are_images_from_minus_one_to_one(N, C, given):
    x = RNG(2).random((N, C, 9)) * 2 - 1
    figure = plot_samples(x, given=given, title="a title")
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == N
    assert figure.axes[0].get_gridspec().ncols == int(np.ceil(np.sqrt(N)))
    for ax, sequence in zip(shown, x, strict=True):
        image = ax.images[0]
        for t in range(9):
            np.testing.assert_allclose(image.get_array()[t // 3, t % 3], (sequence[:, t].squeeze() + 1) / 2)
        assert image.get_clim() == (0, 1)
        assert [line.get_ydata()[0] for line in ax.lines] == ([given / 3 - 0.5] if given else [])
    assert figure.get_suptitle() == "a title"
    for shape in ((2, 2, 9), (2, 1, 8)):
        with pytest.raises(ValueError, match="x must hold square images"):
            plot_samples(np.zeros(shape))


# signals


@pytest.mark.parametrize("C", [1, 2, 3])
def test_a_few_channels_have_a_key(C):
    x = RNG(3).standard_normal((C, 20))
    ax = plot_channels(Signal(x, "mine"), new_axes())
    for c, line in enumerate(ax.lines):
        np.testing.assert_array_equal(line.get_ydata(), x[c])
        assert line.get_label() == f"channel {c}"
    assert len({colour(line) for line in ax.lines}) == C
    assert (ax.get_legend() is not None) is (C > 1)
    assert ax.get_ylabel() == "amplitude"
    tokens = plot_channels(Signal(np.array([3, 1]), "mine"), new_axes())
    np.testing.assert_array_equal(tokens.lines[0].get_ydata(), [3, 1])
    assert tokens.get_ylabel() == "token"


def test_seconds_are_samples_over_the_rate():
    ax = new_axes()
    ax.set_xlabel("before")
    seconds_beside(ax, None)
    assert ax.get_xlabel() == "before"
    seconds_beside(ax, 250.0)
    assert ax.xaxis.get_major_formatter()(500, 0) == "500\n2 s"
    assert ax.get_xlabel() == "time n (samples, and seconds at 250 samples a second)"


def test_a_stand_in_has_deviation_one_and_as_many_tokens_as_the_network_takes():
    x = stand_in(NetworkConfig(2, 3, 4, 1, max_length=8)).x
    np.testing.assert_allclose(x.std(axis=1), [1, 1])
    np.testing.assert_allclose(x.mean(axis=1), [0, 0], atol=1e-12)
    tokens = stand_in(NetworkConfig(5, 3, 4, 1, max_length=2000, encoder="embedding")).x
    assert set(tokens) == set(range(5))
    assert len(tokens) == 1024


# errors


def test_errors_by_layer_are_the_report_s():
    """Filled for outputs, open for gradients, a ring around what does not pass, a dashed line at each tolerance."""
    from multires_ref.base.agreement import Error
    from multires_ref.diagnose.report import Report, Row, Section

    def error(relative, passed=True):
        return Error(relative, 9.0, 8.0, 1e-5, passed)

    rows = [Row("conv", error(1e-7), error(1e-3, False)), Row("gelu", error(0.0), None), Row("mix", None, error(np.inf, False))]
    ax = plot_error_by_layer(Report("a report", [Section("one", "float32", rows), Section("two", "float64", rows[:1])]))
    drawn = [line for line in ax.lines if len(line.get_xdata()) and line.get_linestyle() != "--"]
    full = [line for line in drawn if line.get_fillstyle() == "full"]
    rings = [line for line in drawn if line.get_markersize() == 11]
    hollow = [line for line in drawn if line.get_fillstyle() == "none" and line not in rings]
    assert [line.get_xydata().tolist() for line in full] == [[[0, 1e-7], [1, LOWEST]], [[0, 1e-7]]]
    assert [line.get_xydata().tolist() for line in hollow] == [[[0, 1e-3], [2, 1e3]], [[0, 1e-3]]]
    assert [line.get_xydata().tolist() for line in rings] == [[[0, 1e-3], [2, 1e3]], [[0, 1e-3]]]
    assert {colour(line) for line in rings} == {COLOURS["red"]}
    assert colour(full[0]) == colour(hollow[0]) != colour(full[1])
    assert [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata())] == [1e-5, 1e-5]
    assert labels_of(ax.yaxis)[0] == "0"
    assert ax.get_yticks()[0] == LOWEST
    assert labels_of(ax.xaxis) == ["conv", "gelu", "mix"]
    keys = {text.get_text(): line for text, line in zip(ax.get_legend().get_texts(), ax.get_legend().get_lines(), strict=True)}
    assert colour(keys["one"]) == colour(full[0])
    assert colour(keys["two"]) == colour(full[1])
    assert keys["output"].get_fillstyle() == "full"
    assert keys["gradient"].get_fillstyle() == "none"
    assert ax.get_yscale() == "log"


# runs

LINES = [
    {"epoch": 3, "train_loss": 2.0, "val_loss": 2.1, "val_accuracy": 0.3, "val_bits_per_dim": 5.0},
    {"epoch": 4, "train_loss": 0.4, "val_loss": 1.2, "val_accuracy": 0.6, "val_bits_per_dim": 3.5},
    {"epoch": 5, "train_loss": 0.1, "val_loss": 1.1, "val_accuracy": 0.6, "val_bits_per_dim": 3.5},
    {"epoch": 6, "train_loss": 0.3, "val_loss": 1.0, "val_accuracy": 0.5, "val_bits_per_dim": 4.0},
]


def test_losses_by_epoch():
    ax = plot_losses(LINES)
    training, validation = ax.lines
    assert training.get_xydata().tolist() == [[3, 2.0], [4, 0.4], [5, 0.1], [6, 0.3]]
    assert validation.get_xydata().tolist() == [[3, 2.1], [4, 1.2], [5, 1.1], [6, 1.0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", "loss", "log")
    assert plot_losses(LINES[1:2] + LINES[3:]).get_yscale() == "linear"
    below = [LINES[0] | {"train_loss": -1.0}]
    assert plot_losses(below).get_yscale() == "linear"  # a density's loss may be negative
    assert training.get_marker() == "."  # a line through one point cannot be seen
    assert plot_losses(LINES * 3).lines[0].get_marker() == "None"


@pytest.mark.parametrize(("score", "values"), [("accuracy", [0.3, 0.6, 0.6, 0.5]), ("bits_per_dim", [5.0, 3.5, 3.5, 4.0])])
def test_the_best_epoch_is_the_one_that_the_run_keeps(score, values):
    """The highest score, the lowest for bits, and of equal ones that of the lower loss."""
    ax = plot_scores(LINES, score)
    line, best = ax.lines
    assert line.get_xydata().tolist() == [[e, v] for e, v in zip((3, 4, 5, 6), values, strict=True)]
    assert best.get_xydata().tolist() == [[5, values[2]]]
    assert best.get_label() == f"best: {values[2]:g} in epoch 5"
    assert ax.get_ylabel() == f"validation {score.replace('_', ' ')}"
    assert ax.get_xlabel() == "epoch"


def test_curves_are_both_side_by_side():
    figure = plot_curves(LINES, "accuracy", "a run")
    left, right = figure.axes
    assert len(left.lines) == 2
    assert right.lines[0].get_ydata().tolist() == [0.3, 0.6, 0.6, 0.5]
    assert figure.get_suptitle() == "a run"


def test_confusion_has_true_classes_in_rows():
    table = np.array([[6, 2, 0], [1, 0, 9], [0, 0, 0]])
    ax = plot_confusion(table, ["cat", "dog", "owl"], "a title")
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25, 0], [0.1, 0, 0.9], [0, 0, 0]])
    assert ax.images[0].get_clim() == (0, 1)
    written = {text.get_position(): text for text in ax.texts}  # (column, row)
    assert {place: text.get_text() for place, text in written.items()} == {(0, 0): "6", (1, 0): "2", (0, 1): "1", (2, 1): "9"}
    assert {place for place, text in written.items() if text.get_color() == "white"} == {(0, 0), (2, 1)}  # on dark ground
    assert labels_of(ax.xaxis) == labels_of(ax.yaxis) == ["cat", "dog", "owl"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("the network said", "true class")
    assert not plot_confusion(np.eye(21, dtype=int), [str(c) for c in range(21)]).texts
    assert len(plot_confusion(np.eye(20, dtype=int), [str(c) for c in range(20)]).texts) == 20


# benchmarks


def row(median):
    return {"median": median, "low": 0.75 * median, "high": 1.5 * median, "rounds": 3}


def dots(ax):
    """{whose colour: [x, y] of its dots} of a panel of times, and the ends of the whiskers in the order of drawing."""
    marks = [line for line in ax.lines if line.get_marker() not in ("None", None) and len(line.get_xdata())]
    whiskers = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "None"]
    return [(colour(line), line.get_xydata()[0].tolist(), line.get_markerfacecolor()) for line in marks], whiskers


def test_times_are_milliseconds_with_quartiles_fastest_first():
    rows = {"PyTorch fft": row(0.25), "fused": row(0.002), "copying x once": row(0.001), "matrix products": row(0.003)}
    ax = plot_times(rows, title="a title")
    order = ["copying x once", "fused", "matrix products", "PyTorch fft"]
    assert labels_of(ax.yaxis) == order
    assert ax.yaxis_inverted()
    marks, whiskers = dots(ax)
    assert [mark[0] for mark in marks] == [LIMIT, OURS, LIMIT, THEIRS]
    np.testing.assert_allclose([mark[1] for mark in marks], [[1, 0], [2, 1], [3, 2], [250, 3]])
    np.testing.assert_allclose(whiskers, [[[1e3 * rows[n][key], p] for key in ("low", "high")] for p, n in enumerate(order)])
    assert [text.get_text() for text in ax.texts] == ["  1 ms", "  2 ms", "  3 ms", "  250 ms"]
    assert [text.xy[0] for text in ax.texts] == pytest.approx([1.5, 3, 4.5, 375])
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[0] == pytest.approx(0.375)
    assert ax.get_xlim()[1] > 700
    assert ax.get_title("left") == "a title"


def scaling_row(L, D, J, seconds):
    return {"L": L, "D": D, "J": J, "forward": row(1.0), "forward and backward": row(seconds)}


def test_scaling_shows_nanoseconds_a_sample_channel_and_level():
    rows = [scaling_row(1024, 8, 10, 0.1), scaling_row(4096, 2, 12, 0.3)]
    ax = plot_scaling({"rows": rows})
    times = [1e9 * 0.1 / 81920, 1e9 * 0.3 / (8192 * 12)]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1024, times[0]], [4096, times[1]]])
    assert labels_of(ax.xaxis) == ["$2^{10}$", "$2^{12}$"]
    assert ax.get_ylim() == pytest.approx((0, 1.25 * times[1]))
    assert "sample channel level" in ax.get_ylabel()


def test_scaling_has_a_line_for_each_filter_length_and_batch_size():
    """Colours and marks for K, dashes and open marks for a batch; of the pass that is asked for."""
    rows = []
    for K, B in ((2, 1), (2, 4), (8, 1), (8, 4)):
        for L, D, J in ((1024, 8, 10), (4096, 2, 12)):
            rows.append({"K": K, "B": B} | scaling_row(L, D, J, 0.1 * K * B) | {"forward": row(0.01 * L * K)})
    for name in ("forward", "forward and backward"):
        ax = plot_scaling({"rows": rows}, name=name)
        lines = [line for line in ax.lines if len(line.get_xdata())]
        wanted = [
            [[r["L"], 1e9 * r[name]["median"] / (r["L"] * r["B"] * r["D"] * r["J"])] for r in rows[n : n + 2]]
            for n in (0, 2, 4, 6)
        ]
        np.testing.assert_allclose([line.get_xydata() for line in lines], wanted)
        assert name in ax.get_ylabel()
        assert [line.get_linestyle() for line in lines] == ["-", "--"] * 2
        assert [line.get_markerfacecolor() == "white" for line in lines] == [False, True] * 2
        key = {text.get_text(): mark for text, mark in zip(ax.get_legend().texts, ax.get_legend().legend_handles, strict=True)}
        assert list(key) == ["K = 2", "K = 8", "one sequence", "4 sequences"]
        for n, K in ((0, 2), (2, 8)):
            assert colour(lines[n]) == colour(lines[n + 1]) == colour(key[f"K = {K}"])
            assert lines[n].get_marker() == key[f"K = {K}"].get_marker()
        assert colour(lines[0]) != colour(lines[2])
        assert key["4 sequences"].get_linestyle() == "--"


def test_the_steps_of_small_networks_are_those_of_the_best_threads():
    task = {"ours": row(0.01), "ours, batch of 1": row(0.002), "PyTorch": row(0.08), "PyTorch compiled": row(0.03)}
    ax = plot_steps({"rows": {"digits": {"seconds": task | {"matrix products": row(0.001)}}}})
    assert [(mark[0], round(mark[1][0], 6)) for mark in dots(ax)[0]] == [
        (LIMIT, 1),
        (OURS, 2),
        (OURS, 10),
        (THEIRS, 30),
        (THEIRS, 80),
    ]
    assert [text.get_text() for text in ax.texts] == ["  1 ms", "  2 ms  batch of 1", "  10 ms", "  30 ms  compiled", "  80 ms"]


def test_busy_shows_ratios_to_the_idle_machine():
    seconds = {
        "ours": [row(2), row(3), row(5)],
        "ours, one thread": [row(4), row(4), row(6)],
        "PyTorch": [row(1), row(8), row(9)],
    }
    ax = plot_busy({"rows": {"digits": {"seconds": seconds}}})
    assert labels_of(ax.yaxis) == ["digits, ours", "digits, one thread", "digits, PyTorch"]
    marks = [(who, x, round(y), face == "white") for who, (x, y), face in dots(ax)[0]]
    assert marks == [
        (OURS, 1.5, 0, True),
        (OURS, 2.5, 0, False),
        (OURS, 1.0, 1, True),
        (OURS, 1.5, 1, False),
        (THEIRS, 8.0, 2, True),
        (THEIRS, 9.0, 2, False),
    ]
    assert "/ idle" in ax.get_xlabel()


def test_the_operator_has_an_open_mark_for_forward_and_a_filled_one_for_both():
    shape = {"B": 2, "D": 3, "L": 4096, "K": 5}
    forward = {"fused": row(0.001), "PyTorch fft": row(0.02)}
    ax = plot_operator(
        {"shape": shape, "forward": forward, "forward and backward": {"fused": row(0.003), "PyTorch fft": row(0.1)}}
    )
    assert labels_of(ax.yaxis) == ["fused", "PyTorch fft"]
    marks, _ = dots(ax)
    assert [(mark[0], mark[2] == "white", round(mark[1][0], 9), round(mark[1][1])) for mark in marks] == [
        (OURS, True, 1, 0),
        (OURS, False, 3, 0),
        (THEIRS, True, 20, 1),
        (THEIRS, False, 100, 1),
    ]
    assert ax.get_title("left") == "operator: 2 x 3 x 4,096, K = 5"


def test_steps_and_peaks_stand_beside_their_task():
    tasks = {"ptbxl": {"seconds": {"PyTorch": row(3), "ours": row(1)}, "memory_gib": {"ours": 0.5, "PyTorch": 2.0}}}
    tasks["listops"] = {"seconds": {"ours": row(2), "PyTorch": row(4)}, "memory_gib": {"ours": 1.0, "PyTorch": 4.0}}
    steps = plot_steps({"layers": 7, "rows": tasks})
    assert labels_of(steps.yaxis) == ["ptbxl", "listops"]
    assert [(mark[0], mark[1][0], round(mark[1][1])) for mark in dots(steps)[0]] == [
        (OURS, 1000, 0),
        (THEIRS, 3000, 0),
        (OURS, 2000, 1),
        (THEIRS, 4000, 1),
    ]
    peaks = plot_peaks({"rows": tasks})
    assert [bar.get_width() for bar in peaks.patches] == [0.5, 2.0, 1.0, 4.0]
    assert [bar.get_x() for bar in peaks.patches] == [0, 0, 0, 0]
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in peaks.patches] == [0, 0, 1, 1]


def test_every_part_of_a_benchmark_has_its_panel():
    size = {"B": 2, "D": 3, "L": 4096, "K": 5}
    task = {"seconds": {"c": row(3)}, "memory_gib": {"ours": 1.0}}
    results = {
        "operator": {"shape": size, "forward": {"a": row(1)}, "forward and backward": {"b": row(2)}},
        "step": {"layers": 7, "rows": {"ptbxl": task, "listops": {"seconds": {"d": row(4)}}}},
        "small": {"rows": {"digits": {"seconds": {"h": row(8)}}}, "inference": {"seconds": {"i": row(9)}}},
        "busy": {"rows": {"mnist1d": {"seconds": {"e": [row(5), row(6), row(7)]}}}},
        "pyramid": {"rows": {"f": row(6)}},
        "startup": {"rows": {"g": row(7)}},
        "scaling": {"rows": [scaling_row(1024, 8, 10, 0.1)]},
    }
    axes = plot_bench(results).axes
    titles = ["operator: 2 x 3 x 4,096, K = 5", "training step, 7 layers", "memory of that step", "steps of small networks"]
    titles += ["inference, digits network", "steps on a busy machine", "operator, by length"]
    assert [ax.get_title("left") for ax in axes] == [*titles, "pyramid", "startup"]
    names = [["a", "b"], ["ptbxl", "listops"], ["ptbxl"], ["digits"], ["i"], ["mnist1d, e"], ["f"], ["g"]]
    assert [labels_of(ax.yaxis) for n, ax in enumerate(axes) if n != 6] == names
    assert len(plot_bench({"scaling": results["scaling"]}).axes) == 1
    several = {"rows": [scaling_row(1024, 8, 10, 0.1) | {"K": 2, "B": 1}]}
    assert [ax.get_ylabel().split(":")[0] for ax in plot_bench({"scaling": several}).axes] == ["forward", "forward and backward"]
