"""What a stream keeps of the past: it is copied, restored and forgotten as a whole, and a state that does not fit is refused."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.network.rings import ring_numbers
from multires_ref.network.streaming import Stream
from multires_ref.tree import taps_per_level

KINDS = ("classifier", "autoregressive")


def make(**settings):
    base = {"d_input": 2, "d_output": 6, "d_model": 3, "n_layers": 2, "kernel_size": 3, "max_length": 12}
    model = Model.init(NetworkConfig(**base | settings), np.random.default_rng(0), "float64")
    rng = np.random.default_rng(1)
    for state in model.state["blocks"]:
        if state:
            state["mean"], state["var"] = rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    return model


X = np.random.default_rng(2).standard_normal((12, 2, 2))  # samples [B, d_input], one after the other


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_stays_as_it_was_when_the_stream_goes_on(kind):
    stream = Stream(make(kind=kind), batch=2)
    for x in X[:5]:
        stream.step(x)
    state = stream.state()
    kept = {name: array.copy() for name, array in state.items()}
    then = [stream.step(x).copy() for x in X[5:]]
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    for _ in range(2):
        stream.restore(state)
        assert stream.time == 5
        for x, expected in zip(X[5:], then, strict=True):
            np.testing.assert_array_equal(stream.step(x), expected)
    for name, array in kept.items():  # nor does a stream that was restored write into it
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_a_prediction_is_made_once_and_never_outlives_its_place():
    """It is forgotten at the next sample, at a reset, and where another state is restored."""
    stream = Stream(make(kind="autoregressive"), batch=2)
    first = stream.predict().copy()
    np.testing.assert_array_equal(stream.step(X[0]), first)
    state, second = stream.state(), stream.predict().copy()
    assert (second != first).any()
    stream.step(X[1])
    stream.predict()
    stream.restore(state)
    np.testing.assert_array_equal(stream.predict(), second)
    np.testing.assert_array_equal(stream.predict(), second)  # asking twice is no step
    stream.reset()
    np.testing.assert_array_equal(stream.predict(), first)
    assert stream.time == 0


def test_the_callers_arrays_are_not_kept():
    """What is written into a sample after the step has no effect, nor is the sample changed."""
    model = make(kind="autoregressive")
    one, other = Stream(model, batch=2), Stream(model, batch=2)
    buffer = np.empty((2, 2))
    for x in X[:6]:
        buffer[...] = x
        np.testing.assert_array_equal(one.step(buffer), other.step(x))
        np.testing.assert_array_equal(buffer, x)
        buffer[...] = np.nan


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_with_an_end(kind):
    """The last step within max_length is taken, the next is refused, and a reset begins again."""
    stream = Stream(make(kind=kind), batch=2, max_length=4)
    for _ in range(2):
        for x in X[:4]:
            stream.step(x)
        for again in (stream.step, lambda x: stream.predict() if kind == "autoregressive" else stream.step(x)):
            with pytest.raises(ValueError, match=r"made for max_length=4 samples"):
                again(X[4])
        state = stream.state()
        stream.reset()
    stream.restore(state)  # the state at the end is a state too
    with pytest.raises(ValueError, match=r"state\['time'\] must be between 0 and 4; got 5"):
        stream.restore(state | {"time": np.array([5])})
    with pytest.raises(ValueError, match="between 0 and 4; got -1"):
        stream.restore(state | {"time": np.array([-1])})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"more": np.zeros(1)}, ValueError, "state must hold"),
        ({"ring": None}, ValueError, "state must hold"),
        ({"time": None}, ValueError, "state must hold"),
        ({"ring": np.zeros((2, 3))}, ValueError, r"state\['ring'\] must have shape"),
        ({"previous": np.zeros((2, 2), np.float32)}, TypeError, r"state\['previous'\] must have dtype float64; got float32"),
        ({"total": np.zeros((2, 2, 3), np.float32)}, TypeError, r"state\['total'\] must have dtype float64; got float32"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, error, words):
    stream = Stream(make(), batch=2)
    for x in X[:3]:
        stream.step(x)
    state = stream.state()
    wrong = {name: array for name, array in (state | change).items() if array is not None}
    with pytest.raises(error, match=words):
        stream.restore(wrong | ({"time": np.array([1])} if "time" in wrong else {}))
    assert stream.time == 3
    for name, array in stream.state().items():
        np.testing.assert_array_equal(array, state[name])


def test_a_file_of_another_kind_is_refused(tmp_path):
    from multires_ref import save_model

    model = make()
    save_model(model, tmp_path / "model.safetensors")
    stream = Stream(model, batch=2)
    with pytest.raises(ValueError, match="holds the state of another network, or no stream's state"):
        stream.load(tmp_path / "model.safetensors")
    stream.save(tmp_path / "state.safetensors")
    other = make(norm="batch")  # every array has the same shape
    with pytest.raises(ValueError, match="holds the state of another network"):
        Stream(other, batch=2).load(tmp_path / "state.safetensors")


def test_tokens_are_checked():
    stream = Stream(make(encoder="embedding", d_input=7), batch=2)
    for wrong, words in (
        (np.array([0, 7]), "tokens between 0 and 6; got 0 to 7"),
        (np.array([-1, 3]), "tokens between 0 and 6; got -1 to 3"),
        (np.array([1]), r"shape \(2,\); got int64 \(1,\)"),
        (np.array([[1, 2]]), r"shape \(2,\); got"),
        (np.array([1.0, 2.0]), "one integer token a stream"),
    ):
        with pytest.raises(ValueError, match=words):
            stream.step(wrong)
    assert stream.time == 0
    stream.step(np.array([0, 6]))


@pytest.mark.parametrize("engine", ["numpy", "numba", "auto"])
@pytest.mark.parametrize("batch", [1, 2])
def test_each_stream_is_its_own(engine, batch):
    """Stream b of several gives what it gives alone, whichever way the convolutions are stepped."""
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    model = make(tree_select="uniform", memory_size=9, norm="batch")
    together = Stream(model, batch=batch, engine=engine)
    alone = [Stream(model, batch=1, engine="numpy") for _ in range(batch)]
    for x in X:
        out = together.step(x[:batch])
        for b, stream in enumerate(alone):
            np.testing.assert_allclose(out[b : b + 1], stream.step(x[b : b + 1]), rtol=1e-12, atol=1e-14)


def test_the_engine_that_is_asked_for_is_needed(monkeypatch):
    """Without Numba, "numba" is refused, and "auto" gives the very numbers of "numpy"."""
    from multires_ref.base import compiled

    monkeypatch.setattr(compiled, "numba_problem", lambda: "pip install numba")
    model, outputs = make(), []
    with pytest.raises(ImportError, match="engine 'numba' needs Numba: pip install numba"):
        Stream(model, engine="numba")
    for engine in ("numpy", "auto"):
        stream = Stream(model, batch=2, engine=engine)
        outputs.append(np.stack([stream.step(x) for x in X]))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_what_is_no_number_is_passed_on(engine, value):
    """NaN stays in its stream and reaches the output, at once and later; the other stream does not see it."""
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    model = make()
    stream, clean = Stream(model, batch=2, engine=engine), Stream(model, batch=2, engine=engine)
    with np.errstate(invalid="ignore"):
        for n, x in enumerate(X[:6]):
            spoiled = x.copy()
            if n == 2:
                spoiled[0, 1] = value
            out, right = stream.step(spoiled), clean.step(x)
            assert np.isnan(out[0]).all() == (n >= 2)
            np.testing.assert_array_equal(out[1], right[1])


@pytest.mark.parametrize(
    "settings", [{}, {"tree_select": "uniform", "memory_size": 9}, {"tree_select": "uniform", "memory_size": 3, "depth": 4}]
)
def test_the_rings_hold_what_is_counted(settings):
    config = make(**settings).config
    taps = taps_per_level(config.J, 3, config.tree_select, config.m)
    assert ring_numbers(config) == sum((max(3, 2 * t + 1) - 1) * 2**i for i, t in enumerate(taps))
    stream = Stream(make(**settings), batch=2)
    assert stream.state()["ring"].size == 2 * 2 * 3 * ring_numbers(config)
