"""Networks: sizes, causality, padding, dropout, running statistics, and the messages for bad input."""

import dataclasses

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig, init_params, init_state, wavelet_filters
from multires_ref.network import apply, parameter_shapes
from multires_ref.network import block as blocks
from multires_ref.network.block import dropout_masks
from multires_ref.network.config import mixture_channels
from multires_ref.network.norms import updated_statistics

EXACT = {"rtol": 1e-12, "atol": 1e-12}
SMALL = NetworkConfig(d_input=3, d_output=5, d_model=6, n_layers=2, kernel_size=3, max_length=20)
PAPER = {  # the four settings of the paper, and their number of parameters
    "scifar10": (NetworkConfig(3, 10, 256, 10, 2, 1024), 1_365_514),
    "listops": (NetworkConfig(18, 10, 128, 10, 4, 2048, encoder="embedding", norm="batch"), 361_994),
    "ptbxl": (NetworkConfig(12, 71, 128, 6, 2, 1000), 222_791),
    "cifar10-density": (NetworkConfig(3, mixture_channels(10, 3), 512, 48, 4, 1024, kind="autoregressive"), 38_391_908),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_parameter_counts(name):
    config, count = PAPER[name]
    assert sum(int(np.prod(shape)) for shape in parameter_shapes(config).values()) == count


def variants():
    yield "layer norm", SMALL
    yield "batch norm", dataclasses.replace(SMALL, norm="batch")
    yield "untied", dataclasses.replace(SMALL, tied=False)
    yield "uniform", dataclasses.replace(SMALL, tree_select="uniform", memory_size=9)
    yield "tokens", dataclasses.replace(SMALL, encoder="embedding", d_input=7)
    yield "autoregressive", dataclasses.replace(SMALL, kind="autoregressive")
    yield "wavelet", dataclasses.replace(SMALL, kernel_size=4, wavelet="db2", filter_order="minimum_delay")


VARIANTS = dict(variants())


def example(config, rng, B=4, dtype="float64"):
    if config.encoder == "embedding":
        return rng.integers(0, config.d_input, (B, config.max_length))
    return rng.standard_normal((B, config.d_input, config.max_length)).astype(dtype)


@pytest.mark.parametrize("name", VARIANTS)
def test_shapes_are_as_counted(name, rng):
    config = VARIANTS[name]
    params = init_params(config, rng)
    flat = {}

    def walk(tree, path):
        children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
        if children is None:
            flat[path] = tree.shape
        else:
            for key, child in children:
                walk(child, f"{path}.{key}" if path else str(key))

    walk(params, "")
    assert flat == parameter_shapes(config)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_output_shape_and_dtype(name, dtype, rng):
    config = VARIANTS[name]
    model = Model.init(config, rng, dtype)
    out = model(example(config, rng, dtype=dtype))
    assert out.dtype == dtype
    assert out.shape == ((4, 5, 20) if config.kind == "autoregressive" else (4, 5))
    assert np.isfinite(out).all()


def test_the_autoregressive_network_does_not_see_the_present(rng):
    config = VARIANTS["autoregressive"]
    model, x = Model.init(config, rng, "float64"), example(config, rng)
    changed = x.copy()
    changed[:, :, 11] += 1
    out, other = model(x), model(changed)
    np.testing.assert_array_equal(out[:, :, :12], other[:, :, :12])
    assert (out[:, :, 12] != other[:, :, 12]).any()


def test_lengths_hide_the_padding(rng):
    """With LayerNorm, what stands after a sequence's true end changes nothing."""
    model, x = Model.init(SMALL, rng, "float64"), example(SMALL, rng)
    lengths = np.array([20, 1, 7, 13])
    out = model(x, lengths)
    for b, n in enumerate(lengths):
        alone = x[b : b + 1, :, :n]
        np.testing.assert_allclose(out[b : b + 1], model(alone), **EXACT)


def test_the_ends_of_one_batch_do_not_depend_on_each_other(rng):
    model, x = Model.init(VARIANTS["batch norm"], rng, "float64"), example(SMALL, rng)
    np.testing.assert_allclose(model(x)[2:3], model(x[2:3]), **EXACT)


def test_dropout_takes_whole_channels(rng):
    config = dataclasses.replace(SMALL, dropout=0.25, d_model=400)
    masks = dropout_masks(config, rng, np.zeros((50, 400, 20), np.float32))
    for mask in masks:
        assert mask.shape == (50, 400, 1)
        assert mask.dtype == np.float32
        assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.75)}
        assert abs((mask == 0).mean() - 0.25) < 0.02
    assert dropout_masks(config, None, np.zeros((50, 400, 20))) == (None, None)


def test_dropout_is_off_in_evaluation_and_fixed_by_the_seed(rng):
    config = dataclasses.replace(SMALL, dropout=0.5)
    params, state, x = init_params(config, rng, "float64"), init_state(config, "float64"), example(config, rng)
    run = lambda seed, training: apply(  # noqa: E731
        config, params, state, x, training=training, rng=np.random.default_rng(seed)
    )[0]
    np.testing.assert_array_equal(run(1, True), run(1, True))
    assert (run(1, True) != run(2, True)).any()
    np.testing.assert_array_equal(run(1, False), run(2, False))


def test_running_statistics(rng):
    """0.9 old + 0.1 new, with the unbiased variance; evaluation uses them and leaves them."""
    config = VARIANTS["batch norm"]
    params, state, x = init_params(config, rng, "float64"), init_state(config, "float64"), example(config, rng)
    seen = {}
    _, new = apply(config, params, state, x, training=True, hook=lambda name, a: seen.setdefault(name, a))
    s = seen["encoder"] + seen["blocks.0.glu"]
    np.testing.assert_allclose(new["blocks"][0]["mean"], 0.1 * s.mean(axis=(0, 2)), **EXACT)
    np.testing.assert_allclose(new["blocks"][0]["var"], 0.9 + 0.1 * s.var(axis=(0, 2), ddof=1), **EXACT)
    assert new["blocks"][0]["count"] == 1
    assert apply(config, params, new, x)[1] is not None
    np.testing.assert_array_equal(apply(config, params, new, x)[1]["blocks"][0]["var"], new["blocks"][0]["var"])
    with np.errstate(all="raise"):
        updated_statistics(state["blocks"][0], np.zeros(6), np.zeros(6), count=1)  # a batch of one number: no division by zero


def test_batch_norm_normalises_the_batch(rng):
    config = VARIANTS["batch norm"]
    seen = {}
    x = example(config, rng)
    apply(config, init_params(config, rng, "float64"), init_state(config, "float64"), x, training=True, hook=seen.__setitem__)
    np.testing.assert_allclose(seen["blocks.1.norm"].mean(axis=(0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(seen["blocks.1.norm"].var(axis=(0, 2)), 1, atol=1e-3)  # eps


def test_wavelet_start(rng):
    config = VARIANTS["wavelet"]
    h0, h1 = wavelet_filters("db2", order="minimum_delay", dtype="float32")
    for block in init_params(config, rng)["blocks"]:
        np.testing.assert_array_equal(block["conv"]["h0"], np.tile(h0, (6, 1)))
        np.testing.assert_array_equal(block["conv"]["h1"], np.tile(h1, (6, 1)))


def test_initial_ranges(rng):
    config = NetworkConfig(4, 5, 500, 1, 2, 64, indep_res_init=True)
    params = init_params(config, rng)
    conv = params["blocks"][0]["conv"]
    bounds = [(conv["h0"], 0.5**0.5), (conv["w"], (2 / 16) ** 0.5), (conv["w_skip"], 1.0), (params["encoder"]["weight"], 0.5)]
    bounds += [(params["blocks"][0]["mix"]["bias"], 500**-0.5), (params["decoder"]["weight"], 500**-0.5)]
    for array, bound in bounds:
        assert 0.95 * bound < np.abs(array).max() <= np.float32(bound)


def test_config_round_trip():
    assert NetworkConfig.from_dict(SMALL.to_dict()) == SMALL


@pytest.mark.parametrize(
    ("x", "lengths", "error", "words"),
    [
        (np.zeros((2, 4, 20)), None, ValueError, ["x must have shape [B, d_input, L] = (any, 3, any)", "(2, 4, 20)"]),
        (np.zeros((2, 3, 20), np.float32), None, TypeError, ["float64", "float32"]),
        (np.zeros((2, 3, 20), int), None, TypeError, ["x must", "int64"]),
        (np.zeros((2, 3, 20)), np.array([3]), ValueError, ["lengths must have shape [B] = (2,)", "(1,)"]),
        (np.zeros((2, 3, 20)), np.array([3.0, 4.0]), TypeError, ["lengths must be an integer array", "float64"]),
        (np.zeros((2, 3, 20)), np.array([0, 4]), ValueError, ["lengths must lie between 1 and 20", "0 to 4"]),
        (np.zeros((2, 3, 20)), np.array([3, 21]), ValueError, ["between 1 and 20", "3 to 21"]),
    ],
)
def test_bad_input(x, lengths, error, words, rng):
    model = Model.init(SMALL, rng, "float64")
    with pytest.raises(error) as caught:
        model(x, lengths)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (np.zeros((2, 20)), ["integer", "float64"]),
        (np.full((2, 20), 7), ["between 0 and 6", "7"]),
        (np.full((2, 20), -1), ["between 0 and 6", "-1"]),
    ],
)
def test_bad_tokens(tokens, words, rng):
    model = Model.init(VARIANTS["tokens"], rng)
    with pytest.raises((TypeError, ValueError)) as caught:
        model(tokens)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_two_dropout_masks_of_a_block_are_drawn_apart():
    """A gate that is open and a map that keeps channel d in channel d show both masks: a number passes if both let it."""
    D, dropout = 400, 0.5
    config = NetworkConfig(1, 2, d_model=D, n_layers=1, max_length=4, dropout=dropout)
    masks = dropout_masks(config, np.random.default_rng(0), np.zeros((50, D, 4)))
    kept = [mask[:, :, 0] != 0 for mask in masks]
    for each in kept:
        assert abs(each.mean() - 0.5) < 0.02
        np.testing.assert_array_equal(np.unique(masks[0]), [0, 2])  # 1 / (1 - p), so that the mean stays
    assert abs((kept[0] & kept[1]).mean() - 0.25) < 0.02  # one and the same mask would give 0.5


def test_both_masks_of_a_block_act():
    x = np.random.default_rng(1).standard_normal((3, 5, 8))
    config = NetworkConfig(1, 2, d_model=5, n_layers=1, max_length=8)
    params = init_params(config, np.random.default_rng(0), "float64")["blocks"][0]
    ones = np.ones((3, 5, 1))
    shown = {}
    for name, masks in {"none": (ones, ones), "first": (0 * ones, ones), "second": (ones, 0 * ones)}.items():
        shown[name] = {}
        blocks.block(config, params, {}, x, masks, True, shown[name].__setitem__)
    assert not shown["first"]["gelu"].any()
    assert shown["first"]["glu"].any()  # a bias passes the gate
    assert shown["second"]["gelu"].any()
    assert not shown["second"]["glu"].any()


@pytest.mark.parametrize("kernel_size", [2, 3, 5, 8])
def test_a_wavelet_needs_its_own_length(kernel_size):
    with pytest.raises(ValueError, match=rf"kernel_size must be 4, the length of wavelet 'db2'; got {kernel_size}"):
        dataclasses.replace(SMALL, wavelet="db2", kernel_size=kernel_size)
    assert dataclasses.replace(SMALL, wavelet="db2", kernel_size=4).wavelet == "db2"
