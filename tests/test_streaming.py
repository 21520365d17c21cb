"""A stream gives at every position what the whole-sequence network gives there."""

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig
from multires_ref.engines.rings import plan_rings
from multires_ref.network.config import mixture_channels
from multires_ref.network.norms import NORMS
from multires_ref.network.streaming import Stream
from multires_ref.tree import kept_per_level

ATOL = {"float64": 1e-13, "float32": 2e-5}  # outputs are of order 1
PREFIXES = (0, 1, 2, 3, 8, 31, 50, 69)  # last positions at which the classifier is compared
VARIANTS = {
    "fading": {},
    "fading, one level": {"depth": 1},
    "fading, K = 2": {"kernel_size": 2},
    "fading, untied": {"tied": False},
    "fading, batch norm": {"norm": "batch"},
    "fading, deeper than the sequence": {"depth": 9},
    "uniform": {"tree_select": "uniform", "memory_size": 23, "depth": 5},
    "uniform, cut in the middle": {"tree_select": "uniform", "memory_size": 4, "depth": 5},
    "uniform, more weights than the tree holds": {"tree_select": "uniform", "memory_size": 200, "depth": 3},
    "uniform, untied, batch norm": {"tree_select": "uniform", "memory_size": 9, "depth": 4, "tied": False, "norm": "batch"},
}


def make(dtype="float64", **settings):
    config = NetworkConfig(
        **({"d_input": 2, "d_output": 6, "d_model": 5, "n_layers": 2, "kernel_size": 4, "max_length": 50} | settings)
    )
    model, rng = Model.init(config, np.random.default_rng(0), dtype), np.random.default_rng(1)
    for state in model.state["blocks"]:  # statistics that training could have left
        if state:
            state["mean"] = rng.standard_normal(config.d_model).astype(dtype)
            state["var"] = rng.uniform(0.5, 2, config.d_model).astype(dtype)
    return model


def data(L=70, B=3, C=2, dtype="float64"):
    return np.random.default_rng(2).standard_normal((B, C, L)).astype(dtype)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifier_gives_the_logits_of_every_prefix(name, dtype):
    model, x = make(dtype, **VARIANTS[name]), data(dtype=dtype)
    stream = Stream(model, batch=3)
    for n in range(x.shape[2]):
        logits = stream.step(x[:, :, n])
        assert logits.dtype == dtype
        if n in PREFIXES:
            np.testing.assert_allclose(logits, model(x[:, :, : n + 1], engine="tree"), atol=ATOL[dtype], err_msg=f"position {n}")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("kind", ["tagger", "autoregressive"])
def test_an_output_at_every_position(name, dtype, engine, kind):
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    model, x = make(dtype, kind=kind, **VARIANTS[name]), data(dtype=dtype)
    stream = Stream(model, batch=3, engine=engine)
    out = np.stack([stream.step(x[:, :, n]) for n in range(x.shape[2])], axis=2)
    np.testing.assert_allclose(out, model(x, engine="tree"), atol=ATOL[dtype])


def test_tokens():
    model = make(d_input=7, encoder="embedding")
    tokens = np.random.default_rng(3).integers(0, 7, (3, 20))
    stream = Stream(model, batch=3)
    for n in range(20):
        logits = stream.step(tokens[:, n])
    np.testing.assert_allclose(logits, model(tokens), atol=ATOL["float64"])


def test_prediction_comes_before_the_sample():
    model, x = make(kind="autoregressive"), data()
    stream, whole = Stream(model, batch=3), model(x, engine="tree")
    for n in range(10):
        np.testing.assert_allclose(stream.predict(), whole[:, :, n], atol=ATOL["float64"])
        assert stream.step(x[:, :, n]) is not None
    for kind in ("classifier", "tagger"):
        with pytest.raises(ValueError, match=f"predict.. is for autoregressive networks; a {kind} needs the sample itself"):
            Stream(make(kind=kind)).predict()


@pytest.mark.parametrize("settings", [{"depth": 60}, {"tree_select": "uniform", "memory_size": 30, "depth": 40}])
def test_absurd_depth_streams_within_max_length(settings):
    model, x = make(**settings), data(L=33)
    with pytest.raises(ValueError, match="give max_length"):
        Stream(model, batch=3)
    stream = Stream(model, batch=3, max_length=33)
    assert stream.rings.length.max() <= 32
    for n in range(33):
        logits = stream.step(x[:, :, n])
        if n in (*PREFIXES, 32):
            np.testing.assert_allclose(logits, model(x[:, :, : n + 1], engine="tree"), atol=ATOL["float64"])
    with pytest.raises(ValueError, match="max_length=33"):
        stream.step(x[:, :, 0])


@pytest.mark.parametrize("max_length", [1, 2, 7, 70, 1000])
def test_max_length_changes_nothing_within_it(max_length):
    model, x = make(kind="autoregressive"), data(L=min(max_length, 70))
    stream = Stream(model, batch=3, max_length=max_length)
    out = np.stack([stream.step(x[:, :, n]) for n in range(x.shape[2])], axis=2)
    np.testing.assert_allclose(out, model(x, engine="tree"), atol=ATOL["float64"])


@pytest.mark.parametrize(("J", "K"), [(1, 2), (10, 2), (9, 4), (5, 7)])
def test_fading_rings_hold_the_receptive_field(J, K):
    assert plan_rings(kept_per_level(J, K), K).size == (K - 1) * (2**J - 1)


def test_uniform_rings_hold_what_the_kept_details_need():
    taps = kept_per_level(5, 4, "uniform", 23)
    expected = sum((max(4, 2 * t + 2 if t else 0) - 1) * 2**i for i, t in enumerate(taps))
    assert plan_rings(taps, 4).size == expected == 237


@pytest.mark.parametrize("kind", ["classifier", "tagger", "autoregressive"])
def test_state_goes_to_a_file_and_back(tmp_path, kind):
    model, x = make(kind=kind), data()
    stream = Stream(model, batch=3)
    for n in range(30):
        stream.step(x[:, :, n])
    stream.save(tmp_path / "state.safetensors")
    later = [stream.step(x[:, :, n]) for n in range(30, 40)]
    other = Stream(model, batch=3)
    other.load(tmp_path / "state.safetensors")
    assert other.time == 30
    for n, expected in zip(range(30, 40), later, strict=True):
        np.testing.assert_array_equal(other.step(x[:, :, n]), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_foreign_states_are_refused(tmp_path):
    stream = Stream(make(), batch=3)
    stream.save(tmp_path / "state.safetensors")
    with pytest.raises(ValueError, match="another network"):
        Stream(make(depth=2), batch=3).load(tmp_path / "state.safetensors")
    with pytest.raises(ValueError, match="must have shape"):
        Stream(make(), batch=2).load(tmp_path / "state.safetensors")
    with pytest.raises(ValueError, match="state must hold"):
        stream.restore({"ring": stream.ring})


def test_reset_starts_again():
    model, x = make(), data()
    stream = Stream(model, batch=3)
    first = stream.step(x[:, :, 0])
    stream.step(x[:, :, 1])
    stream.reset()
    np.testing.assert_array_equal(stream.step(x[:, :, 0]), first)


def test_bad_samples_are_named():
    stream = Stream(make(), batch=3)
    with pytest.raises(ValueError, match=r"x must have shape \[B, d_input\]"):
        stream.step(np.zeros((3, 2, 1)))
    with pytest.raises(TypeError, match="float64"):
        stream.step(np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="tokens between 0 and 6"):
        Stream(make(d_input=7, encoder="embedding"), batch=1).step(np.array([7]))
    with pytest.raises(ValueError, match="engine must be one of 'auto', 'numpy', 'numba'"):
        Stream(make(), engine="fused")
    with pytest.raises(ValueError, match="fewer streams"):
        Stream(make(), batch=2**24)


def test_a_step_allocates_no_rings():
    stream = Stream(make(), batch=3)
    before = stream.ring.__array_interface__["data"]
    for n in range(5):
        stream.step(data()[:, :, n])
    assert stream.ring.__array_interface__["data"] == before


@pytest.mark.parametrize("norm", NORMS)
def test_reset_forgets_the_previous_sample(norm):
    """An autoregressive stream's first output depends on nothing; after a reset it is the first again."""
    model, x = make(kind="autoregressive", d_output=mixture_channels(1, 2), norm=norm), data(L=6)
    stream = Stream(model, batch=3)
    first = [stream.step(x[:, :, n]).copy() for n in range(6)]
    stream.reset()
    np.testing.assert_array_equal(stream.predict(), first[0])
    again = [stream.step(x[:, :, n]).copy() for n in range(6)]
    np.testing.assert_array_equal(again, first)


def test_a_crash_while_saving_leaves_the_old_state(tmp_path, monkeypatch):
    stream, path = Stream(make(), batch=3), tmp_path / "state.safetensors"
    stream.save(path)
    before = path.read_bytes()
    stream.step(data()[:, :, 0])

    def crash(*names):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", crash)
        with pytest.raises(OSError, match="power cut"):
            stream.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


# However long


def later(stream, steps):
    """The state of a stream as it would be after further `steps` of silence in the books, a multiple of all rings' lengths."""
    assert steps % np.lcm.reduce(stream.rings.length) == 0
    state = stream.state()
    return state | {"time": state["time"] + steps}


FAR = 3 * 2**39  # steps, above 2^40, and a multiple of all lengths 3 * 2^i of the fading rings with K = 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_rings_are_right_after_two_to_the_forty_steps(dtype, engine):
    """The same past at a far later time gives the same bits."""
    if engine == "numba":
        pytest.importorskip("numba", reason="Numba is not installed")
    model, x = make(dtype, kind="autoregressive"), data(dtype=dtype)
    near, far = Stream(model, batch=3, engine=engine), Stream(model, batch=3, engine=engine)
    for n in range(35):
        near.step(x[:, :, n])
    far.restore(later(near, FAR))
    assert far.time == FAR + 35
    for n in range(35, 70):
        np.testing.assert_array_equal(far.step(x[:, :, n]), near.step(x[:, :, n]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_is_right_after_two_to_the_forty_steps(tmp_path, dtype):
    """A past whose sum is known, then 60 samples: the mean that the decoder sees has moved as far as it must, and no digit of the
    samples is lost in the sum, here and after a round trip through a file."""
    model, x = make(dtype), data(dtype=dtype)
    model.params["decoder"]["weight"] = np.eye(6, 5, dtype=dtype)  # the output shows the mean
    model.params["decoder"]["bias"] = np.zeros(6, dtype)
    near, far = Stream(model, batch=3), Stream(model, batch=3)
    start = np.float64(0.7) * FAR
    far.restore(later(near, FAR) | {"total": near.total + np.array([start, 0.0])[:, None, None]})
    for n in range(60):
        near.step(x[:, :, n])
        out = far.step(x[:, :, n])
    added = near.total.sum(axis=0)
    assert np.abs(added).min() > 1e-3  # far more than the rounding of a step, far less than the sum's last place times 60
    np.testing.assert_allclose((far.total[0] - start) + far.total[1], added, rtol=1e-12)
    np.testing.assert_allclose(out[:, :5], (start + added) / (FAR + 60), rtol=1e-6 if dtype == "float32" else 1e-15)
    far.save(tmp_path / "state.safetensors")
    other = Stream(model, batch=3)
    other.load(tmp_path / "state.safetensors")
    np.testing.assert_array_equal(other.step(x[:, :, 60]), far.step(x[:, :, 60]))


def test_a_float32_stream_of_constant_input_keeps_its_mean():
    """A float32 sum of ones stops at 2^24; the mean of ones is 1 at any length."""
    model = make("float32")
    stream = Stream(model, batch=3)
    one = np.ones((3, 2), np.float32)
    for _ in range(300):
        settled = stream.step(one)
    value = stream.total.sum(axis=0) / stream.time
    steps = 2**26 * 3
    stream.restore(later(stream, steps) | {"total": np.stack([value * (steps + 300), np.zeros((3, 5))])})
    for _ in range(100):
        out = stream.step(one)
    np.testing.assert_allclose(out, settled, atol=1e-5)
    assert np.all((stream.total.sum(axis=0) - value * (steps + 300)) != 0)


def test_the_state_of_a_plain_sum_is_refused():
    """A state as it was kept before, one float32 sum, is not taken for another."""
    stream = Stream(make("float32"), batch=3)
    state = stream.state()
    with pytest.raises(ValueError, match=r"state\['total'\] must have shape"):
        stream.restore(state | {"total": state["total"][0].astype("float32")})
