"""Which parameter of a module is which of ours: by names, by layers, by numbers; each taken out as ours. Needs no PyTorch."""

import dataclasses

import numpy as np
import pytest
from test_authors import KINDS, SMALL, random_model

from multires_ref import Model
from multires_ref.authors.convert import to_authors
from multires_ref.base.pytrees import flatten
from multires_ref.diagnose.matching import authors_layers, different_numbers, link_parameters, our_layers, prefix_of


def parameters_of(model):
    """The authors' tensors without BatchNorm's statistics, as a module's parameters are."""
    return {name: a for name, a in to_authors(model).items() if "running" not in name and "tracked" not in name}


def assert_links_give_ours(links, held, model):
    for name, link in links.items():
        assert link.ours == name
        np.testing.assert_array_equal(link.take(held[link.theirs]), flatten(model.params)[name], err_msg=name)


@pytest.mark.parametrize("prefix", ["", "model.net."])
@pytest.mark.parametrize("kind", KINDS)
def test_all_are_found_by_the_authors_names(kind, prefix, rng):
    model = random_model(KINDS[kind], rng)
    held = {prefix + name: array for name, array in parameters_of(model).items()}
    links = link_parameters(held, {}, model)
    assert list(links) == list(flatten(model.params))
    assert {link.theirs for link in links.values()} == set(held)
    assert_links_give_ours(links, held, model)
    other = random_model(KINDS[kind], rng)  # names are enough: the numbers may be others
    assert_links_give_ours(link_parameters(held, {}, other), held, model)


LAYOUTS = {  # how somebody may store h0, h1 [D, K], a matrix [E, D], and w [D, m] with w_skip [D]
    "as ours": (lambda h: h, lambda a: a, lambda w, s: {"w": w, "s": s}),
    "as PyTorch": (lambda h: h[:, None, ::-1], lambda a: a[:, :, None], lambda w, s: {"packed": np.c_[w, s]}),
    "transposed": (lambda h: h.T, lambda a: a.T, lambda w, s: {"packed": np.c_[s, w]}),
    "flat": (lambda h: h[:, ::-1], lambda a: a.T[None], lambda w, s: {"w": w.T, "s": s[:, None]}),
}


def in_layout(model, layout):
    """The parameters of a model of one block under meaningless names, and our name of each."""
    taps, matrix, memory = LAYOUTS[layout]
    held, flat = {}, flatten(model.params)
    for n, (name, array) in enumerate(flat.items()):
        if name.endswith((".h0", ".h1")):
            held[f"p{n}"] = taps(array)
        elif name.endswith(".w"):
            held |= {f"q.{n}.{key}": a for key, a in memory(array, flat[name + "_skip"]).items()}
        elif not name.endswith(".w_skip"):
            held[f"p{n}"] = matrix(array) if array.ndim == 2 else array
    return {name: np.ascontiguousarray(a) for name, a in held.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["classifier", "uniform", "autoregressive"])
def test_all_are_found_by_their_numbers(kind, layout, rng):
    model = random_model(dataclasses.replace(KINDS[kind], n_layers=1), rng)
    for name, array in flatten(model.params).items():
        if name.endswith("bias"):
            array[:] = rng.standard_normal(array.shape)  # fresh biases are all alike, and then say nothing
    held = in_layout(model, layout)
    links = link_parameters(held, {}, model)
    assert list(links) == list(flatten(model.params))
    assert {link.theirs for link in links.values()} == set(held)
    assert_links_give_ours(links, held, model)


def test_equal_numbers_say_nothing(rng):
    """Zeros and ones, which stand in many places, and single numbers; and a parameter of other numbers is not ours."""
    model = Model.init(dataclasses.replace(SMALL, n_layers=1), rng)  # norms at 1 and 0
    held = {f"p.{n}": array.copy() for n, array in enumerate(flatten(model.params).values())}
    found = set(link_parameters(held, {}, model))
    assert {"blocks.0.norm.weight", "blocks.0.norm.bias"} & found == set()
    assert {"encoder.weight", "blocks.0.conv.h0", "decoder.weight"} <= found
    for array in held.values():
        array.flat[-1] += 1e-3
    assert link_parameters(held, {}, model) == {}


def test_one_parameter_is_not_taken_for_two(rng):
    """Where two of ours hold the same numbers, each gets a parameter of its own."""
    model = random_model(dataclasses.replace(SMALL, n_layers=1), rng)
    conv = model.params["blocks"][0]["conv"]
    conv["h1"] = conv["h0"].copy()
    held = {"low": conv["h0"].copy(), "high": conv["h1"].copy()}
    links = link_parameters(held, {}, model)
    assert {name: link.theirs for name, link in links.items()} == {"blocks.0.conv.h0": "low", "blocks.0.conv.h1": "high"}


def test_by_layers_that_are_recognised(rng):
    """A mapping of layers is enough for weights and biases, whatever numbers they hold; what goes into a layer is no layer."""
    model = random_model(KINDS["tokens"], rng)
    mapping = {
        "emb": "encoder", "gate": "blocks.0.mix", "ln@1": "blocks.1.norm", "head": "decoder",
        "other:input": "blocks.0.norm", "act": "blocks.0.gelu",
    }  # fmt: skip
    held = {
        "emb.weight": rng.standard_normal((7, 8)), "gate.weight": rng.standard_normal((16, 8, 1)), "gate.bias": np.zeros(16),
        "ln.weight": np.ones(8), "ln.bias": np.ones(8), "head.weight": rng.standard_normal((8, 10)), "head.bias": np.ones(10),
        "other.weight": np.ones(8), "other.bias": np.ones(8),
    }  # fmt: skip
    links = link_parameters(held, mapping, model)
    assert {name: link.theirs for name, link in links.items()} == {
        "encoder.table": "emb.weight", "blocks.0.mix.weight": "gate.weight", "blocks.0.mix.bias": "gate.bias",
        "blocks.1.norm.weight": "ln.weight", "blocks.1.norm.bias": "ln.bias",
        "decoder.weight": "head.weight", "decoder.bias": "head.bias",
    }  # fmt: skip
    np.testing.assert_array_equal(links["blocks.0.mix.weight"].take(held["gate.weight"]), held["gate.weight"][..., 0])
    short = held | {"gate.weight": np.zeros((8, 8)), "gate.bias": np.zeros(8)}
    assert not any(name.startswith("blocks.0.mix") for name in link_parameters(short, mapping, model))


def test_untied_filters_are_not_taken_by_the_authors_names(rng):
    model = random_model(SMALL, rng)
    held = parameters_of(model)
    untied = Model.init(dataclasses.replace(SMALL, tied=False), rng)
    assert not any("conv" in name for name in link_parameters(held, {}, untied))


def test_parameters_of_other_numbers_are_listed(rng):
    """Once each, by the module's names; rounding in float32 is no difference."""
    model = random_model(SMALL, rng, "float64")
    held = parameters_of(model)
    links = link_parameters(held, {}, model)
    assert different_numbers(links, held, model) == []
    rounded = {name: a.astype("f4").astype("f8") for name, a in held.items()}
    assert different_numbers(links, rounded, model) == []
    held["seq_layers.1.w"] = held["seq_layers.1.w"] + 1e-3  # both w and w_skip
    held["norms.0.bias"] = held["norms.0.bias"] * (1 + 1e-5)
    assert sorted(different_numbers(links, held, model)) == ["norms.0.bias", "seq_layers.1.w"]


def test_the_layers_by_the_authors_names():
    """In the order in which they run; each of ours once."""
    assert authors_layers(dataclasses.replace(SMALL, n_layers=1)) == {
        "encoder": "encoder",
        "seq_layers.0:input": "blocks.0.input",
        "seq_layers.0.activation:input": "blocks.0.conv",
        "seq_layers.0": "blocks.0.gelu",
        "mixing_layers.0.0": "blocks.0.mix",
        "mixing_layers.0.1": "blocks.0.glu",
        "norms.0": "blocks.0.norm",
        "output_mapping:input": "pool",
        "output_mapping": "decoder",
    }
    for config in KINDS.values():
        assert sorted(authors_layers(config).values()) == sorted(our_layers(config))
    density = authors_layers(KINDS["autoregressive"])
    assert (density["mixing_layers.1.3"], density["decoder"]) == ("blocks.1.mix2", "decoder")
    assert our_layers(dataclasses.replace(KINDS["autoregressive"], n_layers=1)) == [
        "encoder", *(f"blocks.0.{part}" for part in ("input", "conv", "gelu", "mix", "glu", "mix2", "norm")), "decoder"
    ]  # fmt: skip


def test_what_stands_before_the_authors_names():
    assert prefix_of(["encoder", "seq_layers.0"]) == ""
    assert prefix_of(["ema.model.seq_layers.0", "model.seq_layers.0"]) == "model."
    assert prefix_of(["encoder", "my_seq_layers.0", "seq_layers.0.activation"]) is None
