"""The network with switches for the usual mistakes: with all of them off it is ours, and each of them does something."""

import dataclasses

import numpy as np
import pytest
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.diagnose.axes import aligned, as_theirs, possible_orders
from multires_ref.diagnose.mistakes import Mistakes, apply_with_mistakes
from multires_ref.diagnose.record import random_input, record_model
from multires_ref.diagnose.usual_mistakes import USUAL_MISTAKES, scopes

CONFIG = NetworkConfig(3, 10, 8, 3, kernel_size=2, max_length=32)
BATCH = dataclasses.replace(CONFIG, norm="batch")
CAUSAL = dataclasses.replace(CONFIG, kind="autoregressive", kernel_size=3)
UNIFORM = dataclasses.replace(CONFIG, tree_select="uniform", memory_size=9)
TOKENS = dataclasses.replace(CONFIG, encoder="embedding", d_input=7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_without_mistakes_it_is_the_network(kind, training, rng):
    """The network that carries the mistakes is, with none, ours: every layer, and the running statistics."""
    model = random_model(KINDS[kind], rng, "float64")
    x, lengths = random_input(model, rng, 3, 32)
    record = record_model(model, x, lengths, None, training)
    values = apply_with_mistakes(model, x, lengths, Mistakes(), None, training)
    for name, value in record.values.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-11, atol=1e-12, err_msg=name)
    for i in range(KINDS[kind].n_layers if model.config.norm == "batch" and training else 0):
        for name in ("mean", "var"):
            np.testing.assert_allclose(values[f"blocks.{i}.norm.running_{name}"], record.state[f"blocks.{i}.{name}"], rtol=1e-11)


def test_untied_filters_too(rng):
    model = random_model(dataclasses.replace(CONFIG, tied=False), rng, "float64")
    x, _ = random_input(model, rng, 3, 32)
    np.testing.assert_allclose(apply_with_mistakes(model, x, None, Mistakes())["decoder"], model(x), rtol=1e-11)


def test_every_switch_changes_the_network(rng):
    """No mistake is without effect, and each switch of `Mistakes` but `tree` belongs to a mistake."""
    switches = {field.name for field in dataclasses.fields(Mistakes)} - {"tree"}
    assert {name for mistake in USUAL_MISTAKES for name in mistake.switches} == switches
    needs = {"autoregressive": CAUSAL, "lengths": TOKENS, "classifier": TOKENS, "long filters": CAUSAL, "uniform": UNIFORM}
    for mistake in USUAL_MISTAKES:
        config = needs.get(mistake.needs, BATCH if mistake.acts in ("norm", "running") else CONFIG)
        training = bool({"variance", "running"} & set(mistake.switches))
        model = random_model(config, rng, "float64")
        x, lengths = random_input(model, rng, 3, 32)
        right = apply_with_mistakes(model, x, lengths, Mistakes(), None, training)
        wrong = apply_with_mistakes(model, x, lengths, Mistakes(**mistake.switches), None, training)
        assert any(name not in wrong or not np.allclose(right[name], wrong[name], rtol=1e-9, atol=1e-12) for name in right), (
            mistake.name
        )


@pytest.mark.parametrize("moved", [(2, 0, 1), (1, 2, 0), (0, 2, 1), (0, 1, 2)])
def test_axes_in_any_order(moved, rng):
    ours = rng.standard_normal((2, 3, 4))
    theirs = ours.transpose(moved)
    (order,) = possible_orders(theirs.shape, ours.shape)
    np.testing.assert_array_equal(aligned(theirs, ours.shape, order), ours)
    np.testing.assert_array_equal(as_theirs(ours, theirs.shape, order), theirs)
    assert possible_orders(theirs.shape, (2, 3, 5)) == set()
    assert len(possible_orders((4, 4, 3), (4, 3, 4))) == 2  # equal sizes: a shape alone does not tell


@pytest.mark.parametrize(
    ("mistake", "first", "right", "places"),
    [
        ("skip weight missing", "decoder", None, ["in every block", "in block 0 only", "in block 1 only", "in block 2 only"]),
        ("skip weight missing", "blocks.0.conv", "encoder", ["in every block", "in block 0 only"]),
        ("skip weight missing", "blocks.1.conv", "blocks.0.norm", ["in block 1 and all after it", "in block 1 only"]),
        ("skip weight missing", "blocks.1.mix", "blocks.1.conv", []),
        ("tanh for exact GELU", "blocks.1.mix", "blocks.1.conv", ["in block 1 and all after it", "in block 1 only"]),
        ("skip weight missing", "decoder", "blocks.2.norm", []),
        ("sum over time", "decoder", "blocks.2.norm", ["outside the blocks"]),
        ("sum over time", "blocks.1.conv", "encoder", []),
        ("biased running variance in BatchNorm", "blocks.0.norm.running_var", None, ["in every block", "in block 0 only"]),
        ("biased running variance in BatchNorm", "blocks.0.norm", None, []),
    ],
)
def test_where_a_mistake_may_sit(mistake, first, right, places):
    """In what is not seen to be right, and where it acts before the layer that differs."""
    (found,) = (s for s in USUAL_MISTAKES if s.name == mistake)
    assert list(scopes((found,), first, right, 3)) == places
