"""Bad input to the operator: one error that names the argument, what it was and what was expected."""

import json
from dataclasses import fields

import numpy as np
import pytest
from cases import random_arguments
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from multires_ref import (
    Model,
    NetworkConfig,
    causal_swt,
    depth_for,
    frequency_responses,
    memory,
    multires_conv,
    pyramid,
    random_filters,
    receptive_field,
    wavelet_filters,
)
from multires_ref.engines import usable_engines
from multires_ref.network.streaming import Stream
from multires_ref.training.config import TrainingConfig

X, H0, H1, W, S = random_arguments(np.random.default_rng(0))  # B 2, D 3, L 17, K 3, J 3


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x": X[0]}, ValueError, ["x must", "[B, D, L]", "(3, 17)"]),
        ({"x": X[:, :2]}, ValueError, ["D = 3", "(2, 2, 17)"]),
        ({"x": X[:, :, :0]}, ValueError, ["non-empty", "(2, 3, 0)"]),
        ({"x": X.astype(int)}, TypeError, ["x must", "float32 or float64", "int64"]),
        ({"x": X.astype(complex)}, TypeError, ["x must", "complex128"]),
        ({"x": X.astype(object)}, TypeError, ["x must", "object"]),
        ({"x": X.astype(np.float16)}, TypeError, ["x must", "float16"]),
        ({"x": X.astype(np.float32)}, TypeError, ["h0", "float64", "float32"]),
        ({"x": "signal"}, TypeError, ["x must"]),
        ({"h0": H0[:, :1], "h1": H1[:, :1]}, ValueError, ["h0 must", "K of at least 2", "(3, 1)"]),
        ({"h0": H0[:2]}, ValueError, ["h1 must have the shape of h0"]),
        ({"h0": H0[0], "h1": H1[0]}, ValueError, ["h0 must have shape [D, K] or [J, D, K]"]),
        ({"h0": H0[None], "h1": H1[None]}, ValueError, ["untied", "depth is 3", "(1, 3, 3)"]),
        ({"w": W[:, :0]}, ValueError, ["w must have shape [D, m]", "(3, 0)"]),
        ({"w": W[:, :1]}, ValueError, ["w must", "at least 2", "(3, 1)"]),
        ({"w": W[0]}, ValueError, ["w must have shape [D, m]", "(4,)"]),
        ({"w_skip": S[:2]}, ValueError, ["w_skip must have shape [D]", "(2,)"]),
        ({"w_skip": S[:, None]}, ValueError, ["w_skip must have shape [D]", "(3, 1)"]),
        ({"w_skip": S.astype(np.float32)}, TypeError, ["w_skip", "float32"]),
        ({"tree_select": "fade"}, ValueError, ["tree_select", "'fade'", "did you mean 'fading'"]),
        ({"tree_select": "uniform"}, ValueError, ["depth must be given", "uniform"]),
        ({"depth": 0}, ValueError, ["depth must be between 1 and 60", "got 0"]),
        ({"depth": 10**6}, ValueError, ["depth must be between 1 and 60", "1000000"]),
        ({"depth": 2.0}, TypeError, ["depth must be an integer", "2.0"]),
        ({"depth": True}, TypeError, ["depth must be an integer", "True"]),
        ({"depth": 2}, ValueError, ["depth 2", "size 3", "got size 4"]),
        ({"x": X[0, 0]}, ValueError, ["x must", "D = 3", "(17,)"]),
        ({"w": W.astype(np.float32)}, TypeError, ["w has dtype float32", "h0 has float64"]),
        ({"h1": H1.astype(np.float32)}, TypeError, ["h1", "float32"]),
        ({"h1": H1[None]}, ValueError, ["h1 must have the shape of h0", "(1, 3, 3)"]),
        ({"depth": 5}, ValueError, ["depth 5", "size 6", "got size 4"]),
        ({"engine": "fussed"}, ValueError, ["engine", "'fussed'", "did you mean 'fused'"]),
        ({"engine": None}, ValueError, ["engine", "None"]),
    ],
)
def test_multires_conv(change, error, words):
    arguments = {"x": X, "h0": H0, "h1": H1, "w": W, "w_skip": S} | change
    with pytest.raises(error) as caught:
        multires_conv(**arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: memory(X, H0, H1, 3, "uniform"), ["size", "must be given"]),
        (lambda: memory(X, H0, H1, 3, "uniform", 0), ["size must be at least 1", "got 0"]),
        (lambda: memory(X, H0, H1, 3, "fading", 2), ["size 4", "got size 2"]),
        (lambda: memory(X, H0, H1, 3, "uniform", 2**20 + 1), ["size must be at most 1,048,576", "got 1048577"]),
        (lambda: memory(X, H0, H1, 3, "fading", 7), ["size 4", "got size 7"]),
        (lambda: memory(X, H0, H1, 3, "uniform", 10**9), ["size must be at most 1,048,576", "got 1000000000"]),
        (lambda: random_filters(np.random.default_rng(0), 2, 10**9), ["D, K and J must ask for at most", "(2, 1000000000)"]),
        (lambda: random_filters(np.random.default_rng(0), 2, 2, dtype="nope"), ["dtype must be one of 'float32'", "'nope'"]),
        (lambda: wavelet_filters("db2", dtype=None), ["dtype must be one of 'float32'", "None"]),
        (lambda: pyramid(X, H0, H1, 61), ["depth must be between 1 and 60", "61"]),
        (lambda: depth_for(0, 2), ["length must be at least 1"]),
        (lambda: depth_for(8, 1), ["kernel_size must be at least 2"]),
        (lambda: receptive_field(0, 2), ["depth"]),
        (lambda: NetworkConfig(3, 10, 8, 0), ["n_layers must be at least 1", "got 0"]),
        (lambda: NetworkConfig(3, 10, 8, 2, dropout=1.0), ["dropout must be below 1"]),
        (lambda: NetworkConfig(3, 10, 8, 2, dropout=float("nan")), ["dropout must be between"]),
        (lambda: NetworkConfig(3, 10, 8, 2, norm="group"), ["norm must be one of 'layer', 'batch'", "got 'group'"]),
        (lambda: NetworkConfig(3, 10, 8, 2, wavelet="db2"), ["kernel_size must be 4", "'db2'", "got 2"]),
        (lambda: NetworkConfig(3, 10, 8, 2, tree_select="uniform"), ["memory_size must be given for tree_select='uniform'"]),
        (
            lambda: NetworkConfig(3, 10, 8, 2, depth=4, memory_size=9),
            ["memory_size must be 5", "tree_select='uniform' takes"],
        ),
        (lambda: NetworkConfig(3, 10, 8, 2, filter_order="reversed"), ["filter_order='reversed' needs wavelet"]),
        (lambda: NetworkConfig(3, 10, 8, 2, n_values=3), ["n_values is for kind='autoregressive'", "got 3", "are depth"]),
        (lambda: NetworkConfig(3, 10, 8, 2, kind="autoregressive", n_values=1), ["n_values must be at least 2"]),
        (lambda: NetworkConfig.from_dict({"d_modle": 3}), ["setting", "'d_modle'", "did you mean 'd_model'"]),
    ],
)
def test_others(call, words):
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_has_no_name_of_its_own():
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator, .* got int"):
        random_filters(0, 2, 2)
    with pytest.raises(ValueError, match="tree_select must be one of"):
        multires_conv(X, H0, H1, W, S, tree_select=np.zeros(2))
    z, rows = memory(X.tolist(), H0.tolist(), H1.tolist(), 3)  # lists of numbers are taken
    np.testing.assert_array_equal(z, memory(X, H0, H1, 3)[0])


SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(SHAPES, SHAPES, SHAPES, SHAPES, SHAPES, st.sampled_from(["fading", "uniform"]), st.one_of(st.none(), st.integers(-2, 9)))
def test_any_shapes_work_or_are_refused_clearly(x, h0, h1, w, w_skip, tree_select, depth):
    """Whatever the shapes: an output of x's shape, or a ValueError; never an IndexError or a broadcast by accident."""
    args = [np.ones(shape) for shape in (x, h0, h1, w, w_skip)]
    message, y = None, None
    try:
        y = multires_conv(*args, tree_select=tree_select, depth=depth)
    except ValueError as error:
        message = str(error)
    if message is None:
        assert y.shape == x
    else:
        assert any(name in message for name in ("x ", "h0 ", "h1 ", "w ", "w_skip ", "depth", "size")), message


def test_nan_is_not_hidden():
    """A NaN in the signal is a matter for the caller: it appears from its time on, in its channel only."""
    x = X.copy()
    x[0, 1, 9] = np.nan
    y = multires_conv(x, H0, H1, W, S)
    assert np.isnan(y[0, 1, 9:]).any()
    assert np.isfinite(y[0, 1, :9]).all()
    assert np.isfinite(np.delete(y, 1, axis=1)).all()
    assert np.isfinite(y[1]).all()


def test_numbers_of_other_libraries_become_plain():
    """What NumPy calls a number is one; it is kept as Python's, so that the settings can be written as JSON."""
    network = NetworkConfig(
        np.int64(3), np.uint8(10), np.int32(8), np.int16(2), dropout=np.float32(0.25), depth=np.int64(4), tied=np.bool_(True)
    )
    assert network == NetworkConfig(3, 10, 8, 2, dropout=0.25, depth=4)
    training = TrainingConfig(np.int64(3), np.int64(5), np.float32(0.01), clip=np.float64(1), seed=np.uint64(7), bucket=np.False_)
    assert training == TrainingConfig(3, 5, float(np.float32(0.01)), clip=1.0, seed=7)
    for config in (network, training):
        assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
        assert {type(value) for value in config.to_dict().values()} <= {int, float, str, bool, type(None)}


def make(setting):
    """The config that this one setting belongs to."""
    if set(setting) <= {field.name for field in fields(NetworkConfig)}:
        return NetworkConfig(**{"d_input": 3, "d_output": 10, "d_model": 8, "n_layers": 2} | setting)
    return TrainingConfig(**{"epochs": 1, "batch_size": 1, "lr": 0.1} | setting)


@pytest.mark.parametrize("value", ["0.5", b"0.5", True, np.True_, np.array([0.5]), [0.5], 0.5j, float("nan"), float("inf"), None])
@pytest.mark.parametrize("name", ["dropout", "lr", "weight_decay", "warmup_epochs", "clip", "checkpoint_seconds"])
def test_what_is_no_finite_number_is_refused_by_name(name, value):
    if name == "clip" and value is None:
        return  # no clipping
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        make({name: value})


@pytest.mark.parametrize("value", ["16", 16.0, True, np.True_, np.float64(16), np.array([16]), None])
@pytest.mark.parametrize("name", ["d_input", "d_output", "d_model", "n_layers", "kernel_size", "max_length", "epochs", "seed"])
def test_what_is_no_whole_number_is_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"^{name} must be an integer"):
        make({name: value})


def test_an_unknown_engine_is_refused_at_once():
    with pytest.raises(ValueError, match="engine must be one of .*did you mean 'tree'"):
        TrainingConfig(1, 1, 0.1, engine="tre")


def masked(a):
    return np.ma.masked_greater(a, 0.5)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # NumPy's, of its matrix
@pytest.mark.parametrize("kind", ["masked", "matrix"])
@pytest.mark.parametrize("engine", ["auto", *usable_engines()])
def test_masked_arrays_and_matrices_are_refused_one_way(kind, engine):
    """A mask would be lost, and a matrix multiplies otherwise: one error wherever arrays come in, whatever the engine."""
    change = {"x": masked(X)} if kind == "masked" else {"h0": np.asmatrix(H0)}
    with pytest.raises(
        TypeError, match=r"x must be a plain array; got a masked array.*x\.filled|h0 must be a plain array; got a np.matrix"
    ):
        multires_conv(**({"x": X, "h0": H0, "h1": H1, "w": W, "w_skip": S, "engine": engine} | change))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("make", [masked, np.asmatrix])
def test_masked_arrays_and_matrices_everywhere(make):
    model = Model.init(NetworkConfig(1, 2, 4, 1, max_length=8), np.random.default_rng(0), "float64")
    tokens = Model.init(NetworkConfig(3, 2, 4, 1, max_length=8, encoder="embedding"), np.random.default_rng(0))
    stream = Stream(model, 2)
    signal = make(np.ones((2, 8)))
    for call in (
        lambda: causal_swt(signal, "haar", 2),
        lambda: pyramid(signal, np.ones(2), np.ones(2), 2),
        lambda: frequency_responses(make(np.ones((2, 2))), np.ones((2, 2)), 2),
        lambda: stream.step(make(np.ones((2, 1)))),
        lambda: tokens(make(np.ones((2, 8), int))),
        lambda: model(np.ones((2, 1, 8)), make(np.ones((2, 1), int))),
    ):
        with pytest.raises(TypeError, match="must be a plain array"):
            call()


def test_absurd_levels_of_the_transform_are_refused_before_memory_is_asked_for():
    with pytest.raises(ValueError, match=r"level=30 with tail=True would take [\d,]+ bytes .*at most 7 levels see more of 100"):
        causal_swt(np.ones(100), "haar", 30, tail=True)
    assert len(causal_swt(np.ones(100), "haar", 30)) == 30  # without the tail it is 60 rows of 100 numbers
    assert causal_swt(np.ones(100), "haar", 10, tail=True)[0][0].shape == (1123,)


def test_settings_of_the_first_version_are_understood():
    """It called n_values "levels", and wrote it for classifiers too, which have no use for it."""
    classifier = NetworkConfig(1, 10, 8, 2)
    density = NetworkConfig(1, 6, 8, 2, kind="autoregressive", n_values=17)
    for config, levels in ((classifier, 256), (density, 17)):
        old = {name: value for name, value in config.to_dict().items() if name != "n_values"} | {"levels": levels}
        assert NetworkConfig.from_dict(old) == config
        assert "levels" in old  # the caller's settings are left alone
