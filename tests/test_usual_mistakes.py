"""The usual suspects against a network written apart, in which each is planted: their numbers, and that the search names it."""

import dataclasses

import mistaken
import pytest
from cases import assert_agrees
from test_authors import KINDS, random_model

from multires_ref import NetworkConfig
from multires_ref.interop.quirks import Quirks, apply_with_quirks
from multires_ref.interop.record import random_input, record_model
from multires_ref.interop.search import Case, Search
from multires_ref.interop.suspects import SUSPECTS, other_trees, usual_suspects

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
IDS = [f"{suspect.name}, {config.norm}, {config.encoder}, {config.tree_select}" for suspect, config in CASES]


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
