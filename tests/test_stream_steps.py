"""A stream's compiled step is held to the same step by NumPy's functions one by one, for every kind of network."""

import numpy as np
import pytest
from small_networks import NETWORKS, make

from multires_ref.network import streaming
from multires_ref.network.norms import NORMS
from multires_ref.network.streaming import Stream

pytest.importorskip("numba", reason="Numba is not installed")
CLOSE = {"float32": 5e-6, "float64": 5e-15}  # outputs are of order 1
KINDS = ("classifier", "tagger", "autoregressive")


def samples(model, n, B, dtype="float64"):
    rng, d = np.random.default_rng(2), model.config.d_input
    if model.config.encoder == "embedding":
        return list(rng.integers(0, d, (n, B)))
    return list(rng.standard_normal((n, B, d)).astype(dtype))


def held_to_numpy(model, B, dtype, n=70):
    """The outputs of n steps, the state after them, and that the compiled step has made them."""
    ours, theirs = Stream(model, B), Stream(model, B, engine="numpy")
    assert ours.compiled is not None
    assert theirs.compiled is None
    for x in samples(model, n, B, dtype):
        found, expected = ours.step(x), theirs.step(x)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE[dtype])
    for name, array in theirs.state().items():
        np.testing.assert_allclose(ours.state()[name], array, rtol=0, atol=n * CLOSE[dtype], err_msg=name)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_norm(kind, norm, dtype):
    model = make(dtype, kind=kind, norm=norm)
    for B in (1, 2, 5):
        held_to_numpy(model, B, dtype)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tree_and_width(name):
    for kind in KINDS:
        held_to_numpy(make(kind=kind, norm="batch", **NETWORKS[name]), 3, "float64")


@pytest.mark.parametrize("kind", ["classifier", "tagger"])
@pytest.mark.parametrize("dtype", CLOSE)
def test_tokens(kind, dtype):
    held_to_numpy(make(dtype, d_input=7, encoder="embedding", kind=kind), 3, dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_goes_from_one_way_to_the_other(kind):
    model = make(kind=kind)
    streams = [Stream(model, 2, engine=engine) for engine in ("numba", "numpy")]
    x = samples(model, 40, 2)
    for start, stream, other in ((0, *streams), (20, *streams[::-1])):
        for n in range(start, start + 20):
            last = stream.step(x[n])
        other.restore(stream.state())
    expected = Stream(model, 2, engine="numpy")
    np.testing.assert_allclose(last, [expected.step(x_n) for x_n in x][-1], rtol=0, atol=CLOSE["float64"])


def test_samples_of_any_layout():
    """Read-only, not contiguous, reversed, a list: the same bits."""
    model, x = make(), samples(make(), 1, 3)[0]
    expected = Stream(model, 3).step(x)
    wide = np.zeros((3, 4))
    wide[:, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    for given in (frozen, wide[:, ::2], np.asfortranarray(x), x[::-1].copy()[::-1], x.tolist()):
        np.testing.assert_array_equal(Stream(model, 3).step(given), expected)
    tokens = make(d_input=7, encoder="embedding")
    ids = np.array([3, 0, 6])
    expected = Stream(tokens, 3).step(ids)
    for given in (ids.astype("uint8"), ids.astype("int32")[::1], np.repeat(ids, 2)[::2]):
        np.testing.assert_array_equal(Stream(tokens, 3).step(given), expected)


@pytest.mark.parametrize("norm", NORMS)
def test_parameters_are_those_of_when_the_stream_was_made(norm):
    """A later step of training, in place, changes no stream."""
    model, x = make(norm=norm), samples(make(), 5, 2)
    expected = [Stream(make(norm=norm), 2).step(x_n) for x_n in x[:1]]
    stream = Stream(model, 2)
    for block, state in zip(model.params["blocks"], model.state["blocks"], strict=True):
        for part in (*block.values(), state):
            for array in part.values():
                array += 1
    for part in ("encoder", "decoder"):
        for array in model.params[part].values():
            array += 1
    np.testing.assert_array_equal(stream.step(x[0]), expected[0])


def test_outputs_are_arrays_of_their_own():
    stream, x = Stream(make(), 2), samples(make(), 2, 2)
    first = stream.step(x[0])
    kept = first.copy()
    stream.step(x[1])
    np.testing.assert_array_equal(first, kept)


def test_not_a_number_stays_in_its_stream():
    model, x = make(), samples(make(), 3, 3)
    whole, stream = Stream(model, 3), Stream(model, 3)
    for x_n in x:
        broken = x_n.copy()
        broken[1] = np.nan
        expected, found = whole.step(x_n), stream.step(broken)
        assert np.isnan(found[1]).all()
        np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])


def test_what_is_not_compiled_goes_the_other_way(monkeypatch):
    """Parameters of two dtypes, an unknown norm, large work: pieces by NumPy, and its answers or errors."""
    mixed = make()
    mixed.params["decoder"]["bias"] = mixed.params["decoder"]["bias"].astype("float32")
    assert Stream(mixed).compiled is None
    wrong = make()
    wrong.params["blocks"][1]["mix"]["bias"] = np.zeros(3)
    assert Stream(wrong).compiled is None
    with pytest.raises(ValueError, match="broadcast"):
        Stream(wrong).step(np.zeros((1, 2)))
    model, x = make(), samples(make(), 30, 2)
    expected, stream = Stream(model, 2), Stream(model, 2)
    with monkeypatch.context() as patch:
        patch.setattr(streaming, "WORTH", 1)
        stream = Stream(model, 2)
    assert stream.compiled is None
    assert stream.conv_step is not streaming.conv_step  # the convolutions are compiled
    for x_n in x:
        np.testing.assert_allclose(stream.step(x_n), expected.step(x_n), rtol=0, atol=CLOSE["float64"])
    from multires_ref.network.numba import streaming as loops

    monkeypatch.delitem(loops.NORMS, "layer")
    assert Stream(model, 2).compiled is None
