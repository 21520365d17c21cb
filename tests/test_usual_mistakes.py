"""The usual suspects against a network written apart, in which each is planted: their numbers, and that the search names it."""

import dataclasses

import mistaken
import numpy as np
import pytest
from cases import assert_agrees
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.diagnose.quirks import RIGHT, Quirks, apply_with_quirks, pool_with_quirks, steps
from multires_ref.diagnose.record import random_input, record_model
from multires_ref.diagnose.search import Case, Search
from multires_ref.diagnose.suspects import SUSPECTS, other_trees, usual_suspects

FADING = NetworkConfig(3, 10, 4, 2, kernel_size=3, max_length=16)
UNIFORM = dataclasses.replace(FADING, tree_select="uniform", memory_size=9, depth=3)
BATCH = dataclasses.replace(FADING, norm="batch")
CAUSAL = dataclasses.replace(FADING, kind="autoregressive")
TOKENS = dataclasses.replace(FADING, encoder="embedding", d_input=7)
WHERE = {"autoregressive": CAUSAL, "lengths": TOKENS, "uniform": UNIFORM, "batch": BATCH}
BOTH = ("unbiased variance in the norm", "pre-norm for post-norm")  # tried in both norms


def configs(suspect):
    """The networks in which a suspect is tried."""
    if suspect.acts == "running":
        return [BATCH]
    if suspect.name in BOTH or suspect.name.startswith("eps"):
        return [FADING, BATCH]
    return [TOKENS, FADING] if suspect.acts == "pool" and suspect.needs != "lengths" else [WHERE.get(suspect.needs, FADING)]


CASES = [(suspect, config) for suspect in SUSPECTS for config in configs(suspect)]
CASES += [(suspect, config) for config in (FADING, UNIFORM) for suspect in other_trees(config, 16)]
EVEN = dataclasses.replace(FADING, kernel_size=4)  # an odd number of zeros, of which symmetric padding puts more on one side
CASES += [(suspect, EVEN) for suspect in SUSPECTS if "padding" in suspect.quirks]
IDS = [
    f"{suspect.name}, K = {config.kernel_size}, {config.norm}, {config.encoder}, {config.tree_select}"
    for suspect, config in CASES
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


@pytest.mark.parametrize(("suspect", "config"), CASES, ids=IDS)
def test_a_suspect_makes_the_mistake_it_names(suspect, config, rng):
    """Layer by layer, in both modes, in all blocks and in one: the numbers of the mistake written apart."""
    model, x, lengths = problem(config, rng)
    blocks = [None, (1,)] if suspect.acts not in ("encoder", "pool") else [None]
    for training in (False, True):
        for where in blocks:
            got = apply_with_quirks(model, x, lengths, Quirks(**suspect.quirks), where, training)
            wanted = mistaken.network(model, x, lengths, suspect.name, where, training)
            assert set(got) == set(wanted)
            for name, value in wanted.items():
                assert_agrees(got[name], value, 1e-10, f"{name}, training {training}, blocks {where}")


def cases_of(model, x, lengths, mistake, blocks=None):
    modes = {"evaluation": False, "training": True}
    return [Case(mode, x, lengths, mistaken.network(model, x, lengths, mistake, blocks, on)) for mode, on in modes.items()]


@pytest.mark.parametrize(("suspect", "config"), CASES, ids=IDS)
def test_the_search_names_the_mistake(suspect, config, rng):
    """From the layers' numbers alone: the mistake, that it is in every block, and that nothing remains."""
    model, x, lengths = problem(config, rng)
    cases = cases_of(model, x, lengths, suspect.name)
    findings = Search(model, cases, seconds=60.0).solve()
    outside = suspect.acts in ("encoder", "pool")
    assert suspect.name in [s.name for f in findings for s in f.suspects]
    for finding in findings:
        assert finding.remaining is None
        (hit,) = finding.hits
        assert hit.where == ("outside the blocks" if outside else "in every block")
        (named,) = hit.suspects  # another of the same numbers may stand beside it, such as two dilations at depth 1
        for case in cases:
            again = apply_with_quirks(model, x, lengths, Quirks(**named.quirks), None, case.mode == "training")
            for name, value in case.theirs.items():
                assert_agrees(again[name], value, 1e-9, name)


@pytest.mark.parametrize(("suspect", "config"), CASES[::4], ids=IDS[::4])
def test_the_search_names_the_block(suspect, config, rng):
    if suspect.acts in ("encoder", "pool") or suspect.name.startswith("pre-norm"):
        return
    model, x, lengths = problem(config, rng)
    findings = Search(model, cases_of(model, x, lengths, suspect.name, (1,)), seconds=60.0).solve()
    assert suspect.name in [s.name for f in findings for s in f.suspects]
    assert {hit.where for f in findings for hit in f.hits} == {"in block 1 only"}
    assert {f.remaining for f in findings} == {None}


def test_a_suspect_is_tried_where_it_is_possible():
    names = {
        config: {s.name for s in usual_suspects(config, 16, config is TOKENS)}
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
    for suspect in SUSPECTS:
        assert {c for c, found in names.items() if suspect.name in found} == only.get(suspect.name, set(names)), suspect.name
    short = dataclasses.replace(FADING, kernel_size=2)
    assert "dilations are powers of K" not in {s.name for s in usual_suspects(short, 16, False)}  # they are the right ones


def test_trees_for_the_same_weights():
    """Every uniform tree that has as many coefficients as there are weights, and the fading one; but not our own."""
    assert FADING.m == 5  # which is the whole uniform tree of depth 2
    assert [suspect.name for suspect in other_trees(FADING, 16)] == [f"uniform tree of depth {J}" for J in (2, 3, 4, 5)]
    assert [suspect.name for suspect in other_trees(dataclasses.replace(FADING, depth=5), 16)][0] == "uniform tree of depth 3"
    names = [suspect.name for suspect in other_trees(UNIFORM, 16)]  # nine weights
    assert names == ["fading tree of depth 8", "uniform tree of depth 4", "uniform tree of depth 5"]
    assert other_trees(dataclasses.replace(FADING, tied=False), 16) == []
    assert usual_suspects(dataclasses.replace(FADING, tied=False), 16, False)


def test_pooling_ends_at_the_length():
    """Of values that grow with time the largest and the last are at the last true step."""
    x, lengths = np.arange(24.0).reshape(2, 2, 6), np.array([4, 6])
    ends = np.stack([x[0, :, 3], x[1, :, 5]])
    for pooling in ("max", "last"):
        np.testing.assert_array_equal(pool_with_quirks(x, lengths, Quirks(pooling=pooling)), ends)
        np.testing.assert_array_equal(pool_with_quirks(x, None, Quirks(pooling=pooling)), x[..., -1])
    np.testing.assert_allclose(pool_with_quirks(x, lengths, Quirks(pooling="sum")), [x[0, :, :4].sum(1), x[1].sum(1)])


def test_some_channels_are_those_channels(rng):
    """Of tied and of untied filters: what is computed of a few channels is what all give there."""
    for tied in (True, False):
        model, x, _ = problem(dataclasses.replace(FADING, tied=tied), rng)
        values = dict(steps(model, x, None, [RIGHT] * 2, RIGHT, False))
        few = steps(model, x, None, [RIGHT] * 2, RIGHT, False, few=(0, slice(1, 3)))
        conv = next(value for name, value in few if name == "blocks.0.conv")
        assert_agrees(conv, values["blocks.0.conv"][:, 1:3], 1e-14)


def test_the_usual_constants_of_a_norm():
    """Of Flax, TensorFlow, and what is written where nothing is wanted."""
    assert {s.quirks["eps"] for s in SUSPECTS if "eps" in s.quirks} == {1e-3, 1e-6, 1e-8, 1e-12}
    assert len({s.name for s in SUSPECTS}) == len(SUSPECTS) == 44
