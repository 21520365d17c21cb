"""The network with switches for the usual mistakes: with all of them off it is ours, and each of them does something."""

import dataclasses

import numpy as np
import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.interop.hooks import aligned
from multires_ref.interop.quirks import Quirks, apply_with_quirks
from multires_ref.interop.record import random_input, record_model
from multires_ref.interop.suspects import SUSPECTS, scopes

CONFIG = NetworkConfig(3, 10, 8, 3, kernel_size=2, max_length=32)
BATCH = dataclasses.replace(CONFIG, norm="batch")
CAUSAL = dataclasses.replace(CONFIG, kind="autoregressive", kernel_size=3)
TOKENS = dataclasses.replace(CONFIG, encoder="embedding", d_input=7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_without_quirks_it_is_the_network(kind, training, rng):
    """The network that carries the mistakes is, with none, ours: every layer, and the running statistics."""
    model = random_model(KINDS[kind], rng, "float64")
    x, lengths = random_input(model, rng, 3, 32)
    record = record_model(model, x, lengths, None, training)
    values = apply_with_quirks(model, x, lengths, Quirks(), None, training)
    for name, value in record.values.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-11, atol=1e-12, err_msg=name)
    for i in range(KINDS[kind].n_layers if model.config.norm == "batch" and training else 0):
        for name in ("mean", "var"):
            np.testing.assert_allclose(values[f"blocks.{i}.norm.running_{name}"], record.state[f"blocks.{i}.{name}"], rtol=1e-11)


def test_untied_filters_too(rng):
    model = random_model(dataclasses.replace(CONFIG, tied=False), rng, "float64")
    x, _ = random_input(model, rng, 3, 32)
    np.testing.assert_allclose(apply_with_quirks(model, x, None, Quirks())["decoder"], model(x), rtol=1e-11)


def test_every_switch_changes_the_network(rng):
    """No suspect is without effect, and each switch of `Quirks` belongs to a suspect."""
    assert {name for suspect in SUSPECTS for name in suspect.quirks} == {field.name for field in dataclasses.fields(Quirks)}
    for suspect in SUSPECTS:
        config = CAUSAL if "shift" in suspect.quirks else TOKENS if "pooling" in suspect.quirks else BATCH
        training = bool({"variance", "running"} & set(suspect.quirks))
        model = random_model(config, rng, "float64")
        x, lengths = random_input(model, rng, 3, 32)
        right = apply_with_quirks(model, x, lengths, Quirks(), None, training)
        wrong = apply_with_quirks(model, x, lengths, Quirks(**suspect.quirks), None, training)
        assert any(not np.allclose(right[name], wrong[name]) for name in right), suspect.name


@pytest.mark.parametrize(
    ("moved", "like"),
    [((2, 0, 1), (2, 3, 4)), ((1, 2, 0), (2, 3, 4)), ((0, 2, 1), (3, 5, 5)), ((0, 1, 2), (2, 3, 4))],
)
def test_axes_in_any_order(moved, like, rng):
    ours = rng.standard_normal(like)
    np.testing.assert_array_equal(aligned(ours.transpose(moved), ours), ours)
    assert aligned(ours[..., :2], ours) is None


@pytest.mark.parametrize(
    ("first", "seen", "places"),
    [
        ("encoder", ["encoder", "decoder"], ["in every block", "in block 0 only", "in block 1 only", "in block 2 only"]),
        ("blocks.0.conv", ["encoder", "blocks.0.conv", "decoder"], ["in every block", "in block 0 only"]),
        ("blocks.1.conv", ["blocks.0.norm", "blocks.1.conv"], ["in block 1 and all after it", "in block 1 only"]),
        ("blocks.1.mix", ["blocks.1.conv", "blocks.1.mix"], ["in block 1 and all after it", "in block 1 only"]),
        ("decoder", ["blocks.2.norm", "pool", "decoder"], []),
        ("blocks.0.norm.running_var", ["blocks.2.norm", "blocks.0.norm.running_mean", "blocks.0.norm.running_var"],
         ["in every block", "in block 0 only"]),
        ("blocks.1.norm.running_var", ["blocks.0.norm.running_var", "blocks.1.norm.running_mean", "blocks.1.norm.running_var"],
         ["in block 1 and all after it", "in block 1 only"]),
    ],
)  # fmt: skip
def test_where_a_mistake_may_sit(first, seen, places):
    """In what is not seen to be right: a block's norm being right, all of it is."""
    assert list(scopes(first, seen, 3)) == places
