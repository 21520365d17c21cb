"""The usual mistakes against a network written apart, in which each is planted: their numbers, and that the search names it."""

import dataclasses

import mistaken
import numpy as np
import pytest
from cases import assert_agrees
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.diagnose.mistakes import NONE, Mistakes, apply_with_mistakes, layers_with_mistakes, pool_with_mistakes
from multires_ref.diagnose.record import random_input, record_model
from multires_ref.diagnose.search import Case, Search
from multires_ref.diagnose.usual_mistakes import USUAL_MISTAKES, other_trees, possible_mistakes

FADING = NetworkConfig(3, 10, 4, 2, kernel_size=3, max_length=16)
UNIFORM = dataclasses.replace(FADING, tree_select="uniform", memory_size=9, depth=3)
BATCH = dataclasses.replace(FADING, norm="batch")
CAUSAL = dataclasses.replace(FADING, kind="autoregressive")
TOKENS = dataclasses.replace(FADING, encoder="embedding", d_input=7)
WHERE = {"autoregressive": CAUSAL, "lengths": TOKENS, "uniform": UNIFORM, "batch": BATCH}
BOTH = ("unbiased variance in the norm", "pre-norm for post-norm")  # tried in both norms


def configs(mistake):
    """The networks in which a mistake is tried."""
    if mistake.acts == "running":
        return [BATCH]
    if mistake.name in BOTH or mistake.name.startswith("eps"):
        return [FADING, BATCH]
    return [TOKENS, FADING] if mistake.acts == "pool" and mistake.needs != "lengths" else [WHERE.get(mistake.needs, FADING)]


CASES = [(mistake, config) for mistake in USUAL_MISTAKES for config in configs(mistake)]
CASES += [(mistake, config) for config in (FADING, UNIFORM) for mistake in other_trees(config, 16)]
EVEN = dataclasses.replace(FADING, kernel_size=4)  # an odd number of zeros, of which symmetric padding puts more on one side
CASES += [(mistake, EVEN) for mistake in USUAL_MISTAKES if "padding" in mistake.switches]
IDS = [
    f"{mistake.name}, K = {config.kernel_size}, {config.norm}, {config.encoder}, {config.tree_select}"
    for mistake, config in CASES
]


def problem(config, rng, length=16):
    model = random_model(config, rng, "float64")
    return model, *random_input(model, rng, 3, length)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_network_written_apart_is_ours(kind, training, rng):
    model, x, lengths = problem(KINDS[kind], rng, 32)
    record, values = record_model(model, x, lengths, None, training), mistaken.network(model, x, lengths, training=training)
    for name, value in record.values.items():
        assert_agrees(values[name], value, 1e-12, name)
    for name, value in record.state.items():
        block, statistic = name.rsplit(".", 1)
        if statistic != "count" and training:
            assert_agrees(values[f"{block}.norm.running_{statistic}"], value, 1e-12, name)


@pytest.mark.parametrize(("mistake", "config"), CASES, ids=IDS)
def test_a_mistake_has_the_numbers_of_its_name(mistake, config, rng):
    """Layer by layer, in both modes, in all blocks and in one: the numbers of the mistake written apart."""
    model, x, lengths = problem(config, rng)
    blocks = [None, (1,)] if mistake.acts not in ("encoder", "pool") else [None]
    for training in (False, True):
        for where in blocks:
            got = apply_with_mistakes(model, x, lengths, Mistakes(**mistake.switches), where, training)
            wanted = mistaken.network(model, x, lengths, mistake.name, where, training)
            assert set(got) == set(wanted)
            for name, value in wanted.items():
                assert_agrees(got[name], value, 1e-10, f"{name}, training {training}, blocks {where}")


def cases_of(model, x, lengths, mistake, blocks=None):
    modes = {"evaluation": False, "training": True}
    return [Case(mode, x, lengths, mistaken.network(model, x, lengths, mistake, blocks, on)) for mode, on in modes.items()]


@pytest.mark.parametrize(("mistake", "config"), CASES, ids=IDS)
def test_the_search_names_the_mistake(mistake, config, rng):
    """From the layers' numbers alone: the mistake, that it is in every block, and that nothing remains."""
    model, x, lengths = problem(config, rng)
    cases = cases_of(model, x, lengths, mistake.name)
    findings = Search(model, cases, seconds=60.0).solve()
    outside = mistake.acts in ("encoder", "pool")
    assert mistake.name in [s.name for f in findings for s in f.mistakes]
    for finding in findings:
        assert finding.remaining is None
        (cause,) = finding.causes
        assert cause.where == ("outside the blocks" if outside else "in every block")
        (named,) = cause.mistakes  # another of the same numbers may stand beside it, such as two dilations at depth 1
        for case in cases:
            again = apply_with_mistakes(model, x, lengths, Mistakes(**named.switches), None, case.mode == "training")
            for name, value in case.theirs.items():
                assert_agrees(again[name], value, 1e-9, name)


@pytest.mark.parametrize(("mistake", "config"), CASES[::4], ids=IDS[::4])
def test_the_search_names_the_block(mistake, config, rng):
    if mistake.acts in ("encoder", "pool") or mistake.name.startswith("pre-norm"):
        return
    model, x, lengths = problem(config, rng)
    findings = Search(model, cases_of(model, x, lengths, mistake.name, (1,)), seconds=60.0).solve()
    assert mistake.name in [s.name for f in findings for s in f.mistakes]
    assert {cause.where for f in findings for cause in f.causes} == {"in block 1 only"}
    assert {f.remaining for f in findings} == {None}


def test_a_mistake_is_tried_where_it_is_possible():
    names = {
        config: {s.name for s in possible_mistakes(config, 16, config is TOKENS)}
        for config in (FADING, UNIFORM, BATCH, CAUSAL, TOKENS)
    }
    only = {
        "readout of a level in the opposite order": {UNIFORM},
        "one level too few": {FADING, BATCH, CAUSAL, TOKENS},
        "one level too many": {FADING, BATCH, CAUSAL, TOKENS},
        "second 1x1 convolution missing": {CAUSAL},
        "input not shifted by one step": {CAUSAL},
        "batch statistics in evaluation": {BATCH},
        "mean over the padding": {TOKENS},
        **dict.fromkeys(("maximum over time", "last step taken", "sum over time"), {FADING, UNIFORM, BATCH, TOKENS}),
    }
    for mistake in USUAL_MISTAKES:
        assert {c for c, found in names.items() if mistake.name in found} == only.get(mistake.name, set(names)), mistake.name
    short = dataclasses.replace(FADING, kernel_size=2)
    assert "dilations are powers of K" not in {s.name for s in possible_mistakes(short, 16, False)}  # they are the right ones


def test_trees_for_the_same_weights():
    """Every uniform tree that has as many coefficients as there are weights, and the fading one; but not our own."""
    assert FADING.m == 5  # which is the whole uniform tree of depth 2
    assert [mistake.name for mistake in other_trees(FADING, 16)] == [f"uniform tree of depth {J}" for J in (2, 3, 4, 5)]
    assert [mistake.name for mistake in other_trees(dataclasses.replace(FADING, depth=5), 16)][0] == "uniform tree of depth 3"
    names = [mistake.name for mistake in other_trees(UNIFORM, 16)]  # nine weights
    assert names == ["fading tree of depth 8", "uniform tree of depth 4", "uniform tree of depth 5"]
    assert other_trees(dataclasses.replace(FADING, tied=False), 16) == []
    assert possible_mistakes(dataclasses.replace(FADING, tied=False), 16, False)


def test_pooling_ends_at_the_length():
    """Of values that grow with time the largest and the last are at the last true step."""
    x, lengths = np.arange(24.0).reshape(2, 2, 6), np.array([4, 6])
    ends = np.stack([x[0, :, 3], x[1, :, 5]])
    for pooling in ("max", "last"):
        np.testing.assert_array_equal(pool_with_mistakes(x, lengths, Mistakes(pooling=pooling)), ends)
        np.testing.assert_array_equal(pool_with_mistakes(x, None, Mistakes(pooling=pooling)), x[..., -1])
    np.testing.assert_allclose(pool_with_mistakes(x, lengths, Mistakes(pooling="sum")), [x[0, :, :4].sum(1), x[1].sum(1)])


def test_some_channels_are_those_channels(rng):
    """Of tied and of untied filters: what is computed of a few channels is what all give there."""
    for tied in (True, False):
        model, x, _ = problem(dataclasses.replace(FADING, tied=tied), rng)
        values = dict(layers_with_mistakes(model, x, None, [NONE] * 2, NONE, False))
        few = layers_with_mistakes(model, x, None, [NONE] * 2, NONE, False, few=(0, slice(1, 3)))
        conv = next(value for name, value in few if name == "blocks.0.conv")
        assert_agrees(conv, values["blocks.0.conv"][:, 1:3], 1e-14)


def test_the_usual_constants_of_a_norm():
    """Of Flax, TensorFlow, and what is written where nothing is wanted."""
    assert {s.switches["eps"] for s in USUAL_MISTAKES if "eps" in s.switches} == {1e-3, 1e-6, 1e-8, 1e-12}
    assert len({s.name for s in USUAL_MISTAKES}) == len(USUAL_MISTAKES) == 44
