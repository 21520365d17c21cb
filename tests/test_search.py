"""The search for what explains a difference: two mistakes, those of one block, what nobody knows, its clock; without PyTorch."""

import dataclasses

import mistaken
import numpy as np
import pytest
from test_usual_mistakes import BATCH, CAUSAL, FADING, cases_of, problem

from multires_ref import NetworkConfig
from multires_ref.diagnose.mistakes import NONE, Mistakes, apply_with_mistakes, layers_with_mistakes
from multires_ref.diagnose.search import Case, Cause, Difference, Search, contradict, in_order, pairs
from multires_ref.diagnose.usual_mistakes import USUAL_MISTAKES, acts_at, other_trees, place_of, scopes

NAMED = {mistake.name: mistake for mistake in USUAL_MISTAKES}
TANH, RELU, TAPS, SWAPPED = (
    NAMED[name]
    for name in ("tanh for exact GELU", "ReLU for GELU", "taps in the opposite order", "detail and approximation swapped")
)


def with_mistakes(model, x, mistakes, blocks=None):
    """What a module with these mistakes would show, in both modes."""
    modes = {"evaluation": False, "training": True}
    return [Case(mode, x, None, apply_with_mistakes(model, x, None, mistakes, blocks, on)) for mode, on in modes.items()]


def found_by(model, cases, **options):
    search = Search(model, cases, **({"seconds": 60.0} | options))
    return search, search.solve()


@pytest.mark.parametrize("names", [("ReLU for GELU", "sum over time"), ("skip weight missing", "halves of GLU swapped")])
def test_two_mistakes_in_two_places_are_named(names, rng):
    model, x, _ = problem(FADING, rng)
    mistakes = {k: v for name in names for k, v in NAMED[name].switches.items()}
    _, findings = found_by(model, with_mistakes(model, x, Mistakes(**mistakes)))
    assert {tuple(sorted(s.name for s in f.mistakes)) for f in findings} == {tuple(sorted(names))}
    assert [f.remaining for f in findings] == [None] * len(findings)


def test_two_mistakes_in_one_layer_are_named(rng):
    """Neither alone gives the numbers of the layer; both together do, and no pair that needs a third."""
    model, x, _ = problem(FADING, rng)
    _, findings = found_by(model, with_mistakes(model, x, Mistakes(skip="missing", dilations="from 2")))
    assert {s.name for f in findings for s in f.mistakes} == {"skip weight missing", "dilations from 2"}
    (cause,) = findings[0].causes
    assert len(cause.mistakes) == 2
    assert cause.where == "in every block"


def test_two_mistakes_in_two_blocks_are_told_apart(rng):
    model, x, _ = problem(FADING, rng)
    first = with_mistakes(model, x, Mistakes(gelu="relu"), (0,))
    cases = []
    for case in first:  # block 0 with ReLU, then block 1 without its skip weight
        later = dataclasses.replace(FADING, n_layers=1)
        inside = dataclasses.replace(model, config=later, params=model.params | {"blocks": model.params["blocks"][1:]})
        values = dict(case.theirs)
        missing = Mistakes(skip="missing")
        rest = dict(
            layers_with_mistakes(inside, None, None, [missing], NONE, case.mode == "training", begin=values["blocks.0.norm"])
        )
        values |= {name.replace("blocks.0", "blocks.1"): array for name, array in rest.items()}
        cases.append(Case(case.mode, x, None, values))
    _, findings = found_by(model, cases)
    assert [(s.name, cause.where) for cause in findings[0].causes for s in cause.mistakes] == [
        ("ReLU for GELU", "in block 0 only"),
        ("skip weight missing", "in block 1 only"),
    ]
    assert findings[0].remaining is None


def test_a_mistake_in_training_mode_alone(rng):
    """Evaluation agrees; what explains training must not spoil it."""
    model, x, _ = problem(BATCH, rng)
    cases = cases_of(model, x, None, "biased running variance in BatchNorm")
    _, findings = found_by(model, cases)
    assert [s.name for f in findings for s in f.mistakes] == ["biased running variance in BatchNorm"]


def test_what_nobody_knows_is_not_explained(rng):
    """A layer that is off by 1 in 10,000; after a known mistake, the rest is named with its mode."""
    model, x, _ = problem(FADING, rng)
    cases = with_mistakes(model, x, Mistakes())
    cases[0].theirs["blocks.1.conv"] = cases[0].theirs["blocks.1.conv"] * 1.0001
    search, findings = found_by(model, cases)
    assert findings == []
    assert search.tried > len(search.possible) / 2
    cases = with_mistakes(model, x, Mistakes(gelu="relu"))
    cases[1].theirs["pool"] = cases[1].theirs["pool"] * 1.0001
    _, findings = found_by(model, cases)
    assert [([s.name for s in f.mistakes], f.remaining) for f in findings] == [(["ReLU for GELU"], "pool (training mode)")]


def test_nothing_differs_nothing_is_sought(rng):
    model, x, _ = problem(FADING, rng)
    search, (finding,) = found_by(model, with_mistakes(model, x, Mistakes()))
    assert (finding.causes, finding.remaining, search.tried) == ((), None, 0)


def test_the_clock(rng):
    """Without time nothing is tried; the time spent is seconds since the start; the bar counts every try."""

    class Bar:
        count = 0

        def update(self):
            self.count += 1

    model, x, _ = problem(FADING, rng)
    cases = with_mistakes(model, x, Mistakes(gelu="relu"))
    search, findings = found_by(model, cases, seconds=0.0)
    assert (findings, search.tried, search.over) == ([], 0, True)
    bar = Bar()
    search, findings = found_by(model, cases, bar=bar)
    assert bar.count == search.tried > 0
    assert not search.over
    search.started -= 59
    assert 59 <= search.spent < 60
    search.started -= 5
    assert search.over


@pytest.mark.parametrize(("dtype", "off", "seen"), [("float64", 1e-9, True), ("float64", 1e-11, False), ("float32", 1e-4, True)])
def test_what_differs(dtype, off, seen, rng):
    """By 1e-10 in float64 and 1e-5 in float32; a NaN always."""
    from test_authors import random_model

    from multires_ref.diagnose.record import random_input

    model = random_model(FADING, rng, dtype)
    x, _ = random_input(model, rng, 3, 16)
    (case, _) = with_mistakes(model, x, Mistakes())
    case.theirs["blocks.1.glu"] = (case.theirs["blocks.1.glu"] * (1 + off)).astype(dtype)
    search = Search(model, [case], 60.0)
    difference = search.first_difference(())
    assert (difference is not None) == seen
    if seen:
        at, name, before = difference
        assert (at, name) == (case, "blocks.1.glu")
        assert before == in_order(case.theirs)[: len(before)]
        assert before[-1] == "blocks.1.mix"
    case.theirs["encoder"] = np.full_like(case.theirs["encoder"], np.nan)
    assert search.first_difference(())[1:] == ("encoder", [])


def test_one_example_is_the_shortest(rng):
    x, lengths = rng.standard_normal((3, 2, 8)), np.array([8, 3, 5])
    theirs = {"decoder": rng.standard_normal((3, 4)), "blocks.0.norm.running_mean": np.arange(4.0)}
    case = Case("training", x, lengths, theirs)
    assert case.one_example(False) is case
    one = case.one_example(True)
    assert one.mode == "training"
    np.testing.assert_array_equal(one.x, x[1:2])
    np.testing.assert_array_equal(one.lengths, [3])
    np.testing.assert_array_equal(one.theirs["decoder"], theirs["decoder"][1:2])
    np.testing.assert_array_equal(one.theirs["blocks.0.norm.running_mean"], np.arange(4.0))
    np.testing.assert_array_equal(Case("training", x, None, theirs).one_example(True).x, x[:1])


def test_batch_statistics_need_the_whole_batch(rng):
    """With BatchNorm the examples depend on each other: a mistake is found all the same."""
    model, x, _ = problem(BATCH, rng)
    for name in ("eps of the norm 0.001", "unbiased variance in the norm"):
        _, findings = found_by(model, cases_of(model, x, None, name))
        assert [s.name for f in findings for s in f.mistakes] == [name]


def test_a_layer_that_was_not_seen_is_passed_over(rng):
    """From the output of the module alone, or from some of its layers, the block is named all the same."""
    model, x, _ = problem(FADING, rng)
    cases = cases_of(model, x, None, "SiLU for GELU", (1,))
    for keep in (["decoder"], ["blocks.0.norm", "blocks.1.norm"]):
        few = [Case(c.mode, x, None, {name: c.theirs[name] for name in keep}) for c in cases]
        _, findings = found_by(model, few)
        assert [(s.name, h.where) for f in findings for h in f.causes for s in h.mistakes] == [
            ("SiLU for GELU", "in block 1 only")
        ]


def test_the_order_of_layers():
    names = ["blocks.0.norm.running_var", "decoder", "encoder", "blocks.0.conv", "pool"]
    assert in_order(names) == ["encoder", "blocks.0.conv", "pool", "decoder", "blocks.0.norm.running_var"]


def test_places_in_the_network():
    assert [place_of(name, 3) for name in ("encoder", "blocks.0.input", "blocks.1.gelu", "blocks.2.norm", "pool", "decoder")] == [
        (-1, 0), (0, 0), (1, 2), (2, 6), (3, 0), (3, 1),
    ]  # fmt: skip
    assert place_of("blocks.1.norm.running_var", 3) == (1, 6)
    assert acts_at(TANH, 1, 3) == (1, 2)
    assert acts_at(NAMED["sum over time"], 1, 3) == (3, 0)
    assert acts_at(NAMED["input not shifted by one step"], 1, 3) == (-1, 0)


def test_where_pairs_and_the_pre_norm_may_sit():
    pre, eps = NAMED["pre-norm for post-norm"], NAMED["eps of the norm 0.001"]
    assert scopes((TAPS, TANH), "blocks.0.gelu", "encoder", 2) == {"in every block": range(2), "in block 0 only": range(1)}
    assert scopes((TAPS, TANH), "blocks.0.conv", "encoder", 2) == {}  # the second acts later than what differs
    assert scopes((pre,), "blocks.0.input", "encoder", 2) == {"in every block": range(2), "in block 0 only": range(1)}
    assert scopes((pre, eps), "blocks.0.input", "encoder", 2) == {"in every block": range(2), "in block 0 only": range(1)}
    assert scopes((eps,), "blocks.0.input", "encoder", 2) == {}
    assert scopes((TAPS,), "blocks.1.conv", "blocks.0.norm", 2) == {"in block 1 only": range(1, 2)}
    assert scopes((TAPS,), "blocks.1.conv", "blocks.0.conv", 2) == {"in block 1 only": range(1, 2)}
    assert scopes((TAPS,), "blocks.0.conv", "encoder", 1) == {"in every block": range(1)}


@pytest.mark.parametrize(("J", "K", "size"), [(1, 2, 2), (2, 2, 4), (3, 2, 8), (4, 2, 16), (2, 3, 5), (3, 3, 12), (2, 4, 6)])
def test_a_uniform_tree_is_tried_up_to_the_size_of_its_memory(J, K, size):
    """One a_J, and of level J one detail; of each level below all its coefficients that the level above is made of."""
    for m in (size, size + 1):
        config = NetworkConfig(3, 10, 4, 1, kernel_size=K, max_length=64, tree_select="uniform", memory_size=m, depth=J + 1)
        assert (f"uniform tree of depth {J}" in {tree.name for tree in other_trees(config, 64)}) == (m == size)


@pytest.mark.parametrize("config", [FADING, CAUSAL])
def test_the_input_stays_what_it_was(config, rng):
    """Neither the search nor the network with mistakes writes into the arrays that it is given."""
    model, x, _ = problem(config, rng)
    cases = cases_of(model, x, None, "ReLU for GELU")
    copies = [{name: a.copy() for name, a in case.theirs.items()} for case in cases], x.copy()
    found_by(model, cases)
    np.testing.assert_array_equal(x, copies[1])
    for case, copy in zip(cases, copies[0], strict=True):
        for name, array in case.theirs.items():
            np.testing.assert_array_equal(array, copy[name])
    assert set(mistaken.network(model, x)) == set(copies[0][0])


def test_the_last_layer_that_was_right():
    seen = ["encoder", "blocks.0.norm.running_mean", "blocks.0.norm.running_var", "blocks.0.gelu"]
    assert Difference(None, "blocks.1.conv", seen).last_right == "blocks.0.gelu"
    assert Difference(None, "blocks.1.norm.running_mean", seen).last_right == "blocks.0.norm.running_mean"
    assert Difference(None, "encoder", []).last_right is None
    assert Difference(None, "blocks.0.norm.running_mean", ["encoder"]).last_right is None


def test_two_mistakes_of_one_switch_need_two_blocks():
    """The filters of a block cannot be read in two wrong ways; those of two blocks can."""
    causes = (Cause((TANH,), "in block 0 only", range(1)),)
    assert contradict(causes, Cause((RELU,), "in every block", range(2)))
    assert contradict(causes, Cause((TAPS, RELU), "in block 0 only", range(1)))
    assert not contradict(causes, Cause((RELU,), "in block 1 only", range(1, 2)))
    assert not contradict(causes, Cause((TAPS,), "in every block", range(2)))
    pool = [Cause((NAMED[name],), "outside the blocks", range(0)) for name in ("maximum over time", "sum over time")]
    assert contradict((pool[0],), pool[1])
    assert {(a.name, b.name) for a, b in pairs([TANH, RELU, TAPS])} == {(TANH.name, TAPS.name), (RELU.name, TAPS.name)}
