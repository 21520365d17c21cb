"""The record of our own network, on which comparisons rest: each array and gradient against another way to have it."""

import numpy as np
import pytest
from autograd import grad
from test_authors import KINDS, random_model

from multires_ref.base.pytrees import flatten
from multires_ref.diagnose.record import random_input, record_model
from multires_ref.network import apply


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_record_holds_what_autograd_gives(kind, training, rng):
    model = random_model(KINDS[kind], rng, "float64")
    x, lengths = random_input(model, rng, 3, 20)
    probed = {}
    out, state = apply(model.config, model.params, model.state, x, lengths, training=training, hook=probed.__setitem__)
    g = rng.standard_normal(out.shape)

    def loss(params, x):
        return (apply(model.config, params, model.state, x, lengths, training=training)[0] * g).sum()

    for record in (record_model(model, x, lengths, g, training), record_model(model, x, lengths, None, training)):
        np.testing.assert_allclose(record.output, out, rtol=1e-12, atol=1e-14)
        assert list(record.values) == list(probed)
        for name, array in probed.items():
            np.testing.assert_allclose(record.values[name], array, rtol=1e-12, atol=1e-14, err_msg=name)
        assert record.state.keys() == flatten(state).keys()
        for name, array in flatten(state).items():
            np.testing.assert_allclose(record.state[name], array, rtol=1e-12, err_msg=name)
    assert (record.gradients, record.parameters, record.input) == ({}, {}, None)  # forward only
    record = record_model(model, x, lengths, g, training)
    expected = flatten(grad(loss)(model.params, x))
    assert record.parameters.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(record.parameters[name], array, rtol=1e-10, atol=1e-12, err_msg=name)
    if x.dtype.kind == "f":
        np.testing.assert_allclose(record.input, grad(loss, 1)(model.params, x), rtol=1e-10, atol=1e-13)
    else:
        assert record.input is None


def test_a_layers_gradient_is_that_of_a_sum_added_there(rng):
    """What arrives at the encoder's output is the gradient of a bias at every single place: here by finite differences."""
    model = random_model(KINDS["classifier"], rng, "float64")
    x, _ = random_input(model, rng, 2, 16)
    g, step = rng.standard_normal((2, 10)), 1e-5
    record = record_model(model, x, None, g)
    along, places = rng.standard_normal(8), (slice(None), slice(None), 5)

    def shifted(sign):
        """The encoder's output moved at time 5 only, by a further input channel that is 1 there."""
        from dataclasses import replace

        encoder = model.params["encoder"]
        weight = np.concatenate((encoder["weight"], sign * step * along[:, None]), axis=1)
        params = model.params | {"encoder": {"weight": weight, "bias": encoder["bias"]}}
        spike = np.zeros((2, 1, 16))
        spike[..., 5] = 1
        out, _ = apply(replace(model.config, d_input=4), params, model.state, np.concatenate((x, spike), axis=1))
        return (out * g).sum()

    numeric = (shifted(1) - shifted(-1)) / (2 * step)
    np.testing.assert_allclose((record.gradients["encoder"][places] * along).sum(), numeric, rtol=1e-7)


def test_records_are_copies_and_the_engine_is_passed_on(rng):
    model = random_model(KINDS["classifier"], rng)
    x, _ = random_input(model, rng, 2, 16)
    record = record_model(model, x, engine="tree")
    before = record.output.copy()
    record.values["encoder"][:] = 0
    np.testing.assert_array_equal(record_model(model, x, engine="tree").output, before)
    with pytest.raises(ValueError, match="engine"):
        record_model(model, x, engine="none")


def test_random_inputs_fit_their_network(rng):
    tokens, lengths = random_input(random_model(KINDS["tokens"], rng), rng, 400, 9)
    assert (tokens.shape, set(np.unique(tokens)), set(lengths)) == ((400, 9), set(range(7)), set(range(5, 10)))
    density = random_model(KINDS["autoregressive"], rng, "float64")
    pixels, none = random_input(density, rng, 20, 50)
    assert (pixels.shape, pixels.dtype, none) == ((20, 3, 50), np.float64, None)
    values = (pixels + 1) / 2 * (density.config.n_values - 1)
    np.testing.assert_allclose(values, np.rint(values), atol=1e-9)
    assert (pixels.min(), pixels.max()) == (-1, 1)
    x, none = random_input(random_model(KINDS["classifier"], rng), rng, 20, 50)
    assert (x.shape, x.dtype, none) == ((20, 3, 50), np.float32, None)
    assert abs(x.std() - 1) < 0.05
    np.testing.assert_array_equal(*(random_input(density, np.random.default_rng(3), 2, 5)[0] for _ in range(2)))
