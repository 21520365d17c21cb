"""The compiled call for one short example is held to the operations one by one, for every kind of network."""

import numpy as np
import pytest
from small_networks import NETWORKS, make

from multires_ref import Model, NetworkConfig
from multires_ref.network import model as module
from multires_ref.network.block import ignore
from multires_ref.network.norms import NORMS

pytest.importorskip("numba", reason="Numba is not installed")
CLOSE = {"float32": 5e-6, "float64": 1e-14}  # outputs are of order 1
KINDS = ("classifier", "tagger", "autoregressive")


def example(config, L=70, dtype="float64"):
    rng = np.random.default_rng(2)
    if config.encoder == "embedding":
        return rng.integers(0, config.d_input, (1, L))
    return rng.standard_normal((1, config.d_input, L)).astype(dtype)


def is_compiled(model, x, lengths=None):
    """Whether the call is one compiled call: it is, if no layer is called by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "apply", lambda *args, **options: (None, None))
        return model(x, lengths) is not None


def held_to_the_operations(model, x, lengths=None):
    """The compiled call against the operations, which a caller's hook asks for, and against those of engine "tree"."""
    assert is_compiled(model, x, lengths)
    found = model(x, lengths)
    for options in ({"hook": ignore}, {"engine": "tree"}):
        expected = model(x, lengths, **options)
        assert (found.shape, found.dtype, found.flags.c_contiguous) == (expected.shape, expected.dtype, True)
        np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE[str(found.dtype)])


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_norm(kind, norm, dtype):
    model = make(dtype, kind=kind, norm=norm)
    for L in (1, 2, 5, 70):
        held_to_the_operations(model, example(model.config, L, dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "uniform"])
def test_every_tree_and_width(name, kind):
    model = make(kind=kind, norm="batch", **NETWORKS[name])
    held_to_the_operations(model, example(model.config))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", CLOSE)
def test_tokens(kind, dtype):
    model = make(dtype, d_input=7, encoder="embedding", kind=kind)
    held_to_the_operations(model, example(model.config))


@pytest.mark.parametrize("length", [1, 33, 70])
def test_the_mean_is_over_the_true_length(length):
    model = make()
    held_to_the_operations(model, example(model.config), [length])


def test_taps_beyond_the_receptive_field_and_deep_trees():
    """Dilations far longer than the sequence, and 2^59 at last."""
    for depth in (9, 60):
        model = make(depth=depth, n_layers=1)
        x = example(model.config, 9)
        np.testing.assert_allclose(model(x), model(x, engine="tree"), rtol=0, atol=CLOSE["float64"])
        assert is_compiled(model, x)


def test_arrays_of_any_layout():
    """Parameters and input that are read-only or not contiguous: the same bits."""
    model, x = make(norm="batch"), example(make().config)
    expected = model(x)
    for block in model.params["blocks"]:
        for part in block.values():
            for name, array in part.items():
                part[name] = np.asfortranarray(array) if array.ndim > 1 else np.repeat(array, 2)[::2]
                part[name].flags.writeable = False
    wide = np.zeros((2, 2, 140))
    wide[:1, :, ::2] = x
    wide.flags.writeable = False
    assert is_compiled(model, wide[:1, :, ::2])
    np.testing.assert_array_equal(model(wide[:1, :, ::2]), expected)


def test_a_step_of_training_changes_the_next_call():
    """The parameters are read at every call."""
    model, x = make(), example(make().config)
    before = model(x)
    model.params["blocks"][1]["mix"]["weight"] += 0.5
    assert np.abs(model(x) - before).max() > 1e-3
    held_to_the_operations(model, x)


def test_not_a_number_reaches_what_comes_after_it_alone():
    model, x = make(kind="tagger"), example(make().config)
    expected = model(x)
    x[0, 1, 40] = np.nan
    found = model(x)
    np.testing.assert_array_equal(found[:, :, :40], expected[:, :, :40])
    assert np.isnan(found[:, :, 40]).all()


def test_what_is_left_to_the_operations():
    """Two examples, a uniform memory, long or wide arrays, an engine or a hook that is asked for."""
    model, x = make(), example(make().config)
    assert not is_compiled(model, np.concatenate((x, x)))
    uniform = make(**NETWORKS["uniform"])
    assert not is_compiled(uniform, x)
    assert not is_compiled(model, example(model.config, 5000))
    calls = []
    model(x, hook=lambda name, array: calls.append(name))
    assert calls[-1] == "decoder"


@pytest.mark.parametrize("where", ["mix", "conv"])
def test_misfits_get_the_errors_of_the_operations(where):
    """Shapes that do not fit and mixed dtypes are never compiled."""
    for change in (lambda a: a[:-1], lambda a: a.astype("float32"), lambda a: a.astype("float16")):
        model, x = make(), example(make().config)
        part, name = model.params["blocks"][1][where], {"mix": "bias", "conv": "w"}[where]
        part[name] = change(part[name])
        assert not is_compiled(model, x)
        if where == "conv":
            with pytest.raises((ValueError, TypeError), match="w must|w has dtype"):
                model(x)


def test_half_precision_is_refused_as_before():
    model = make()
    for part in (model.params["encoder"], model.params["decoder"], *model.params["blocks"][0].values()):
        part |= {name: array.astype("float16") for name, array in part.items()}
    with pytest.raises(TypeError, match="float"):
        model(example(model.config).astype("float16"))


def test_gradients_of_a_model_of_traced_arrays_are_as_before():
    """Who differentiates a model's call gets autograd's operations."""
    from autograd import grad

    config = NetworkConfig(1, 2, d_model=4, n_layers=1, max_length=8)
    model, x = Model.init(config, np.random.default_rng(0), "float64"), np.ones((1, 1, 8))
    slope = grad(lambda x: model(x).sum())(x)
    eps = 1e-6
    step = np.zeros_like(x)
    step[0, 0, 3] = eps
    expected = (model(x + step).sum() - model(x - step).sum()) / (2 * eps)
    np.testing.assert_allclose(slope[0, 0, 3], expected, rtol=1e-6)
