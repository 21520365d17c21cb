"""The numbers of the page's trained network against the network itself; checkpoints of every kind, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
from stand_in import NETWORKS

from multires_ref import Model, NetworkConfig, equivalent_kernel, init_params, load_model, multires_conv, save_model
from multires_ref.explore import network_data
from multires_ref.explore.network_data import Place
from multires_ref.explore.state import State
from multires_ref.explore.trained import (
    Trained,
    kernel_by_scale,
    matrix_of_channel,
    memory_of_channel,
    one_channel,
    open_trained,
)
from multires_ref.explore.view import Material
from multires_ref.explore.views import VIEWS
from multires_ref.memories import past, recover_past
from multires_ref.plots.attribution import decision_parts
from multires_ref.plots.model import channel_of_layer
from multires_ref.training.checkpoint import read_checkpoint

DIGITS = "figures/data/digits.safetensors"
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
SAME = {"rtol": 5e-6, "atol": 5e-6}  # float32: with a hook the operations run one by one, without one as one compiled call


@pytest.fixture(scope="module")
def digits() -> Trained:
    return open_trained(DIGITS)


def double(seed: int = 0, **settings) -> Trained:
    """An untrained network in float64, opened without a file."""
    given = {"d_input": 2, "d_output": 3, "d_model": 6, "n_layers": 3, "max_length": 32} | settings
    return Trained("none", Model.init(NetworkConfig(**given), np.random.default_rng(seed), "float64"))


TREES = [{}, {"tree_select": "uniform", "memory_size": 9}, {"tied": False}, {"kernel_size": 4, "tied": False}]


@pytest.mark.parametrize("settings", TREES, ids=str)
def test_the_parts_of_a_kernel_are_the_kernel(settings):
    """Their sum and the skip are `equivalent_kernel`; and a kernel times the layer's input is what the layer computes."""
    trained, layer, d = double(**settings), 1, 4
    config, conv = trained.config, trained.after[layer]
    parts, names, kernel = kernel_by_scale(conv, d, config)
    whole = equivalent_kernel(**channel_of_layer(conv, d), tree_select=config.tree_select, depth=config.J)[0]
    np.testing.assert_allclose(kernel, whole, **TIGHT)
    skip = np.zeros_like(kernel)
    skip[0] = conv["w_skip"][d]
    np.testing.assert_allclose(parts.sum(axis=0) + skip, kernel, **TIGHT)
    assert len(set(names)) == len(names) == len(parts)
    v = trained.passed(0).inputs[layer][d]
    y = multires_conv(
        v[None, None], **channel_of_layer(conv, d), tree_select=config.tree_select, depth=config.J, engine="tree"
    )  # [1, 1, L]
    np.testing.assert_allclose(np.convolve(v, kernel)[: len(v)], y[0, 0], **TIGHT)


@pytest.mark.parametrize("settings", [*TREES, {"kind": "autoregressive", "d_output": 36}, {"kind": "tagger"}], ids=str)
def test_the_memory_of_a_channel_gives_the_layers_output(settings):
    """y = w . z + w_skip v in every layer, from the input that the network itself gives to that layer."""
    trained, seen = double(**settings), {}
    config = trained.config
    trained.model(trained.shown(0).x[None], hook=lambda name, array: seen.__setitem__(name, array))
    for layer in range(config.n_layers):
        for d in (0, 5):
            v, z, rows = memory_of_channel(trained, 0, layer, d)
            one = one_channel(trained.after[layer], d)
            assert len(rows) == config.m
            np.testing.assert_allclose(one["w"] @ z + one["w_skip"] * v, seen[f"blocks.{layer}.conv"][0, d], **TIGHT)


@pytest.mark.parametrize("n", [0, 5])
def test_a_decision_is_that_of_the_network(digits, n):
    model, x = load_model(DIGITS), digits.shown(n).x
    logits = model(x[None])[0]
    np.testing.assert_allclose(digits.passed(n).output, logits, **SAME)
    assert digits.answer(n) == str(logits.argmax())
    assert digits.shown(n).truth == str(digits.examples.test.y[n])
    for target in (3, int(logits.argmax())):
        parts, names = decision_parts(model, x, target)
        ours, our_names = digits.decision(n, target)
        np.testing.assert_allclose(ours, parts, rtol=1e-5, atol=1e-6 * abs(parts).max())  # float32, another engine
        assert our_names == names


def test_where_the_filters_began_is_the_runs_own_start(digits):
    seed = read_checkpoint(DIGITS)[1]["training"]["seed"]
    start = init_params(digits.config, np.random.default_rng(seed), "float32")
    for layer, conv in enumerate(digits.before):
        for name in ("h0", "h1", "w", "w_skip"):
            np.testing.assert_array_equal(conv[name], start["blocks"][layer]["conv"][name].astype(float))
    assert not np.array_equal(digits.before[0]["h0"], digits.after[0]["h0"])


def test_what_was_computed_is_kept_and_given_again(digits):
    assert digits.passed(7) is digits.passed(7)
    assert digits.gains(2) is digits.gains(2)
    for n in range(20, 30):
        digits.passed(n)
    assert len(digits._passed) <= 3
    assert digits.strongest(1) == int((digits.gains(1) ** 2).sum(axis=1).argmax())


def test_a_checkpoint_of_the_authors(tmp_path):
    """Their files say nothing of a run: no start, no examples, outputs by number; what was assumed is noted."""
    model = Model.init(NetworkConfig(2, 3, d_model=8, n_layers=2, max_length=32), np.random.default_rng(4))
    save_model(model, tmp_path / "theirs.safetensors")
    trained = open_trained(tmp_path / "theirs.safetensors")
    assert trained.before is None
    assert trained.examples is None
    assert "does not say on which task it was trained" in trained.reason
    assert (trained.count, trained.shown(0).truth, trained.output_name(2)) == (1, "", "2")
    assert trained.shown(0).title.startswith("stand-in")


def test_a_file_of_pytorch_and_what_was_assumed():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    trained = open_trained("tests/data/classifier_layernorm.pth")
    assert any("tree_select" in note for note in trained.notes)
    assert trained.passed(0).output.shape == (trained.config.d_output,)


def test_an_estimators_file_has_its_labels(tmp_path, rng):
    from multires_ref import MultiresClassifier

    X, y = rng.standard_normal((12, 2, 16)), np.repeat(["down", "up"], 6)
    estimator = MultiresClassifier(d_model=4, n_layers=2, max_epochs=1, features=False, random_state=0).fit(X, y)
    estimator.save(tmp_path / "estimator.safetensors")
    trained = open_trained(tmp_path / "estimator.safetensors")
    assert (trained.labels, trained.output_name(1)) == (("down", "up"), "up")
    assert trained.answer(0) in ("down", "up")


def test_the_users_own_signal_takes_the_place_of_the_examples(tmp_path):
    x = np.random.default_rng(3).standard_normal((1, 10_000))
    np.save(tmp_path / "mine.npy", x)
    trained = open_trained(DIGITS, tmp_path / "mine.npy", 100.0)
    shown = trained.shown(0)
    assert trained.count == 1
    assert (shown.title, shown.rate, shown.truth) == ("mine.npy (the first 8,192 of 10,000 samples)", 100.0, "")
    np.testing.assert_array_equal(shown.x, x[:, :8192].astype("float32"))


@pytest.mark.parametrize("kind", ["tokens", "density", "labels"])
def test_networks_of_every_kind_pass_a_signal(kind):
    trained = Trained("none", Model.init(NETWORKS[kind], np.random.default_rng(0)))
    v, z, _ = memory_of_channel(trained, 0, 0, 1)
    assert np.isfinite(z).all()
    assert v.shape[-1] == z.shape[-1] == trained.shown(0).x.shape[-1]


PLACES = [Place(0, 0, 0, 0, 0), Place(1, 5, 2, 0, 2)]


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("settings", [{}, {"tied": False}], ids=str)
def test_the_columns_that_are_drawn_are_the_parameters(settings, place):
    trained = double(**settings)
    trained.before = double(1, **settings).after
    for ending, layers in (("", trained.after), ("_start", trained.before)):
        for name in ("h0", "h1"):
            h = layers[place.layer][name]
            h = h[place.level] if h.ndim == 3 else h
            np.testing.assert_array_equal(network_data.taps(trained, place)[name + ending], h[place.channel])
            paths = network_data.filter_paths(trained, place, name)
            np.testing.assert_allclose(paths["x" + ending], h.sum(axis=1), **TIGHT)
            np.testing.assert_allclose(paths["y" + ending], h[:, 0] - h[:, 1], **TIGHT)


def test_without_a_known_start_no_path_is_drawn():
    trained = double()
    assert [*network_data.taps(trained, PLACES[0])] == ["lag", "h0", "h1"]
    paths = network_data.filter_paths(trained, PLACES[0], "h1")
    np.testing.assert_array_equal(paths["x"], paths["x_start"])


def test_the_drawn_kernel_is_the_kernel_and_a_very_long_one_is_thinned():
    trained = double(max_length=4096)
    for place in PLACES:
        shown = network_data.kernel(trained, place)
        parts, names, whole = kernel_by_scale(trained.after[place.layer], place.channel, trained.config)
        assert 2048 < len(shown["lag"]) < 4096
        assert shown["lag"][:1400].tolist() == [*range(1, 1401)]
        np.testing.assert_array_equal(shown["kernel"], whole[shown["lag"] - 1])
        for name, part in zip(names, parts, strict=True):
            np.testing.assert_array_equal(shown[name], part[shown["lag"] - 1])


def test_a_long_memory_keeps_the_largest_of_the_samples_that_share_a_column():
    z = np.zeros((2, 5000))
    z[0, 4321], z[0, 99], z[1, 7] = -4.0, 1.0, 0.5
    shown = network_data.memory_picture(z)
    assert shown.shape == (2, 1000)
    assert (shown[0, 864], shown[0, 19], shown[1, 1]) == (-1.0, 0.25, 1.0)
    assert np.count_nonzero(shown) == 3


def test_the_recovered_past_is_the_least_squares_one():
    trained, n = double(), 20
    for place in PLACES:
        v, z, _ = memory_of_channel(trained, 0, place.layer, place.channel)
        M = matrix_of_channel(trained, place.layer, place.channel)
        np.testing.assert_allclose(M @ past(v, n, M.shape[1]), z[:, n], **TIGHT)
        shown = network_data.recovered(trained, place, n)
        np.testing.assert_array_equal(shown["past"], past(v, n, M.shape[1]))
        np.testing.assert_allclose(shown["estimate"], recover_past(z[:, n], M), rtol=1e-8, atol=1e-10)


def test_the_rectangles_of_a_decision_add_up_to_it(digits):
    place = Place(3, 0, 0, 4, 6)
    shown = network_data.decision(digits, place)
    parts, names = decision_parts(digits.model, digits.shown(4).x, 6)
    np.testing.assert_allclose(shown["part"].sum(), parts.sum(), rtol=1e-4)
    for r, name in enumerate(names):
        of_row = shown["top"] == len(names) - r - 0.5
        inside = of_row & (shown["left"] == 4)
        assert set(shown["name"][of_row]) == {name}
        right = shown["right"][inside][0]
        np.testing.assert_allclose(shown["part"][inside], parts[r, 3 : right - 1].sum(), rtol=1e-4, atol=1e-7)
    assert abs(shown["share"]).max() == pytest.approx(1)


def test_the_outputs_have_the_tasks_names(digits):
    shown = network_data.outputs(digits, Place(0, 0, 0, 2, 0))
    assert shown["name"] == [*"0123456789"]
    np.testing.assert_allclose(shown["logit"], digits.model(digits.shown(2).x[None])[0], **SAME)


def test_every_channel_of_a_signal_is_drawn():
    trained = double()
    shown = network_data.signal(trained, PLACES[0])
    assert [*shown] == ["n", "x0", "x1"]
    np.testing.assert_array_equal(shown["x1"], trained.shown(0).x[1])


# the view: data, lines of Python, and what the page says


def shown(trained: Trained, **settings) -> tuple[State, Material]:
    """Settings and material of a page on which the view of the network is open."""
    return State(view="network", **settings), Material(trained=trained)


def check_lines(state: State, material: Material) -> None:
    """The lines of Python run, and give the arrays of the picture."""
    data, made = VIEWS["network"].data(state, material), {}
    exec(VIEWS["network"].python(state, material), made)
    trained = material.trained
    for name in ("h0", "h1") if trained.before is None else ("h0", "h1", "h0_start", "h1_start"):
        np.testing.assert_array_equal(made[name], data["network_taps"][name], err_msg=name)
    np.testing.assert_allclose(made["kernel"], data["network_kernel"]["kernel"], **TIGHT)
    np.testing.assert_array_equal(made["v"], data["network_input"]["v"])
    np.testing.assert_array_equal(network_data.memory_picture(made["z"])[::-1], data["network_memory"]["image"][0])
    recovered = data["network_recovered"]
    np.testing.assert_allclose(made["estimate"][: len(recovered["t"])], recovered["estimate"], rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(np.atleast_2d(made["x"])[-1], data["network_signal"][f"x{len(np.atleast_2d(made['x'])) - 1}"])
    assert made["n"] == data["network_cursor"]["n"][0]
    if trained.config.kind == "classifier":
        np.testing.assert_array_equal(made["logits"], data["network_outputs"]["logit"])
        binned = data["network_decision"]["part"].sum()
        np.testing.assert_allclose(made["parts"].sum(), binned, rtol=1e-3, atol=1e-6)


def test_the_lines_of_python_give_what_is_drawn_of_a_run(digits):
    check_lines(*shown(digits, layer=2, channel=11, example=3, target=5, n=20))


@pytest.mark.parametrize("settings", [{"tied": False}, {"kind": "autoregressive", "d_input": 1, "d_output": 30}], ids=str)
def test_the_lines_of_python_give_what_is_drawn_of_a_checkpoint(tmp_path, settings):
    given = {"d_input": 2, "d_output": 3, "d_model": 6, "n_layers": 3, "max_length": 32} | settings
    save_model(Model.init(NetworkConfig(**given), np.random.default_rng(0), "float64"), tmp_path / "model.safetensors")
    check_lines(*shown(open_trained(tmp_path / "model.safetensors"), layer=1, channel=2, level=2))


def test_the_lines_of_python_read_the_users_signal(tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(3).standard_normal((1, 90)))
    check_lines(*shown(open_trained(DIGITS, tmp_path / "mine.npy"), layer=3))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layer": 4}, "layer must be between 0 and 3; got 4"),
        ({"channel": 48}, "channel must be between 0 and 47; got 48"),
        ({"example": 360}, "example must be between 0 and 359; got 360"),
        ({"target": 11}, "target must be between 0 and 10; got 11"),
    ],
    ids=str,
)
def test_what_the_network_does_not_have_is_one_sentence(digits, settings, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        VIEWS["network"].data(*shown(digits, **settings))


@pytest.fixture
def bad_files(tmp_path) -> dict[str, str]:
    """Files that are no checkpoint, each with what must be said of it."""
    good = Path(DIGITS).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(good[: len(good) // 2])
    (tmp_path / "text.safetensors").write_text("no checkpoint")
    (tmp_path / "model.txt").write_text("no checkpoint")
    (tmp_path / "empty").mkdir()
    names = {"cut.safetensors": "cut.safetensors", "text.safetensors": "text.safetensors", "model.txt": "must be a run folder"}
    names |= {"empty": "no checkpoint", "nothing": "no run folder or checkpoint"}
    return {str(tmp_path / name): said for name, said in names.items()}


def test_a_bad_checkpoint_is_one_line_on_the_command_line(bad_files, capsys):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.cli import main

    for path, said in bad_files.items():
        assert main(["explore", path, "--no-browser"]) != 0
        error = capsys.readouterr().err.strip()
        assert said in error
        assert len(error.splitlines()) == 1, error


def test_a_bad_checkpoint_is_one_sentence_on_the_page(bad_files, digits):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.explore.desk import Desk
    from multires_ref.explore.network_figures import open_other

    desk = Desk(*shown(open_trained(DIGITS), channel=3))
    desk.change()
    before = desk.sources["network_taps"].data["h0"]
    for path, said in bad_files.items():
        open_other(desk, path)
        assert said in desk.message
        assert "\n" not in desk.message
    np.testing.assert_array_equal(desk.sources["network_taps"].data["h0"], before)


def test_another_checkpoint_takes_the_place_of_the_first(tmp_path):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.explore.desk import Desk
    from multires_ref.explore.network_figures import open_other

    model = Model.init(NetworkConfig(1, 3, d_model=4, n_layers=2, max_length=16, tied=False), np.random.default_rng(2))
    save_model(model, tmp_path / "other.safetensors")
    desk = Desk(*shown(open_trained(DIGITS), layer=3, channel=40, example=7, target=9))
    desk.change()
    open_other(desk, str(tmp_path / "other.safetensors"))
    assert desk.message == ""
    assert (desk.state.layer, desk.state.channel, desk.state.example, desk.state.target) == (0, 0, 0, 0)
    h0 = model.params["blocks"][0]["conv"]["h0"][0, 0]
    np.testing.assert_array_equal(desk.sources["network_taps"].data["h0"], h0.astype(float))


@pytest.mark.parametrize("kind", ["tokens", "density", "labels", "many"])
def test_networks_of_every_kind_are_drawn(kind):
    pytest.importorskip("bokeh", reason="bokeh is not installed")
    from multires_ref.explore.desk import Desk

    many = NetworkConfig(12, 71, d_model=4, n_layers=2, max_length=64, tree_select="uniform", memory_size=50, tied=False)
    config = many if kind == "many" else NETWORKS[kind]
    desk = Desk(*shown(Trained("none", Model.init(config, np.random.default_rng(0)))))
    desk.change()
    assert desk.message == ""
    desk.change(channel=1, level=2, theme="dark")
    assert desk.message == ""
