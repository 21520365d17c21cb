"""What is derived from the authors' tensors alone: every setting with its source, what is assumed, and where guessing ends."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_authors import KINDS, random_model
from test_checkpoint_files import configs

from multires_ref import Model, NetworkConfig
from multires_ref.authors.convert import authors_name, not_in_authors_format, to_authors, without_prefix
from multires_ref.authors.derive import assumption_text, derive, describe, from_authors
from multires_ref.base.pytrees import flatten
from multires_ref.diagnose.record import cast_model


def tensors_of(config, rng=None):
    return to_authors(Model.init(config, rng or np.random.default_rng(0)))


@settings(max_examples=60)
@given(config=configs(), by_length=st.booleans())
def test_all_settings_come_back_from_shapes_and_what_is_said(config, by_length):
    """Every network: its tensors, and the settings that no tensor shows, give the same config again."""
    config = dataclasses.replace(config, tied=True)
    if not_in_authors_format(config):
        config = dataclasses.replace(config, norm="layer")
    if by_length:
        config = dataclasses.replace(config, depth=None)
    given = {
        name: getattr(config, name)
        for name in ("tree_select", "max_length", "dropout", "wavelet", "filter_order", "indep_res_init", "n_values")
    }
    given |= {} if by_length else {"depth": config.J}
    again = from_authors(tensors_of(config), **given)[0]
    assert again == dataclasses.replace(config, depth=config.J)


def test_every_source_is_named():
    config = NetworkConfig(3, 10, 8, 2, kernel_size=4, max_length=40, tree_select="uniform", memory_size=12, norm="batch")
    told = {"tree_select": "uniform", "max_length": 40, "dropout": 0.25, "indep_res_init": None}
    assert describe(derive(tensors_of(config), **told)).splitlines() == [
        "kind         classifier  no mixing_layers.i.3",
        "encoder      linear      encoder.weight [8, 3, 1]",
        "d_input      3           encoder.weight [8, 3, 1]",
        "d_output     10          output_mapping.weight [10, 8]",
        "d_model      8           h0 [D, 1, K]",
        "n_layers     2           seq_layers.i",
        "kernel_size  4           h0 [D, 1, K]",
        "tree_select  uniform     given",
        "depth        4           max_length = 40 and K = 4",
        "memory_size  12          w has m + 1 columns",
        "max_length   40          given",
        "norm         batch       running_mean is there",
        "dropout      0.25        given",
    ]
    density = dataclasses.replace(KINDS["autoregressive"], max_length=100)
    rows = {item.name: item for item in derive(tensors_of(density))}
    assert (rows["kind"].value, rows["kind"].source) == ("autoregressive", "mixing_layers.i.3 is there")
    assert rows["d_output"].source == "decoder.weight [10, 8, 1]"
    assert (rows["norm"].value, rows["norm"].source) == ("layer", "no running_mean")
    J = density.J
    assert (rows["depth"].value, rows["depth"].source) == (J, f"m = {J + 1} and a fading tree")
    assert rows["max_length"].value == 3 * (2**J - 1) + 1  # the receptive field
    tokens = {item.name: item for item in derive(tensors_of(KINDS["tokens"]))}
    assert (tokens["encoder"].value, tokens["d_input"].value) == ("embedding", 7)


@pytest.mark.parametrize(
    ("told", "assumed"),
    [
        ({}, {"tree_select", "depth", "max_length", "n_values"}),
        ({"tree_select": "fading"}, {"max_length", "n_values"}),
        ({"depth": 5}, {"tree_select", "max_length", "n_values"}),
        ({"max_length": 16, "n_values": 256}, {"tree_select"}),
        ({"tree_select": "fading", "n_values": 9, "max_length": 16}, set()),
    ],
)
def test_what_is_assumed_is_marked(told, assumed):
    config = dataclasses.replace(KINDS["autoregressive"], kernel_size=2, max_length=16, depth=4 if "max_length" in told else 5)
    items = derive(tensors_of(config), **told)
    assert {item.name for item in items if item.assumed} == assumed
    text = assumption_text(items)
    said = [f"{name}=" for name in ("tree_select", "depth", "n_values") if name in assumed]
    assert all(part in text.partition(", which")[0] for part in said)
    assert text.partition(", which")[0].count("=") == len(said)  # and nothing else is called assumed
    assert ("tree_select='uniform'" in text) == ("tree_select" in assumed)
    assert ("say so with n_values=256" in text) == ("n_values" in assumed)
    assert bool(text) == bool(said)


def bare(m, D=2, K=2):
    """The fewest tensors that a network can be told from."""
    return {"seq_layers.0.h0": np.zeros((D, 1, K)), "seq_layers.0.w": np.zeros((D, m + 1))}


def test_a_fading_tree_has_between_1_and_60_levels():
    depth = lambda m, **told: {item.name: item.value for item in derive(bare(m), **told)}["depth"]  # noqa: E731
    assert (depth(2), depth(61)) == (1, 60)
    for m in (1, 62):
        with pytest.raises(ValueError, match=f"tree_select must be given: m = {m} .* between 1 and 60"):
            derive(bare(m))
    assert depth(62, tree_select="uniform", depth=7) == 7
    with pytest.raises(ValueError, match=r"tree_select='fading' at depth 5 \(max_length = 32 and K = 2\) needs m = 6 .* m = 9"):
        derive(bare(9), tree_select="fading", max_length=32)


def test_layers_are_counted_by_their_numbers(rng):
    config = NetworkConfig(3, 10, 8, 12, max_length=32)  # more than ten: numbers, not letters, are compared
    tensors = tensors_of(config, rng)
    assert from_authors(tensors, tree_select="fading")[0].n_layers == 12
    del tensors["seq_layers.4.w"], tensors["norms.11.bias"]
    with pytest.raises(ValueError, match=r"(?s)of 12 layers:.*missing: seq_layers.4.w \[8, 7\]\n  missing: norms.11.bias \[8\]$"):
        from_authors(tensors)
    few = bare(5) | {"seq_layers.1.h0": np.zeros((2, 1, 2))}  # two layers of three tensors are possible
    assert {item.name: item.value for item in derive(few)}["n_layers"] == 2
    with pytest.raises(ValueError, match=r"keys seq_layers.3, as if it had 4 layers; it holds 3 tensors, of 2 layers"):
        derive(bare(5) | {"seq_layers.3.h0": np.zeros((2, 1, 2))})


def test_sizes_are_those_of_most_layers(rng):
    """One misshapen layer, the first at that, is what is reported; the others say what is expected."""
    tensors = tensors_of(NetworkConfig(3, 10, 8, 3, max_length=32), rng)
    tensors["seq_layers.0.h0"], tensors["seq_layers.0.w"] = np.zeros((9, 1, 3), "f4"), np.zeros((9, 5), "f4")
    with pytest.raises(ValueError) as error:
        from_authors(tensors)
    assert str(error.value).splitlines()[1:] == [
        "  misshapen: seq_layers.0.h0 is [9, 1, 3], expected [8, 1, 2]",
        "  misshapen: seq_layers.0.w is [9, 5], expected [8, 7]",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_may_have_the_other_name(kind, rng):
    """A classifier whose head is called decoder, an autoregressive network whose head is called output_mapping."""
    model = random_model(KINDS[kind], rng)
    old, new = "decoder", "output_mapping"
    if model.config.kind == "classifier":
        old, new = new, old
    tensors = {name.replace(old, new): array for name, array in to_authors(model).items()}
    told = {"tree_select": model.config.tree_select, "max_length": 32}
    config, params, _ = from_authors(tensors, **told)
    assert (config.kind, config.d_output) == (model.config.kind, 10)
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(params["decoder"][name], model.params["decoder"][name])


def test_dtypes_are_those_of_most_tensors():
    tensors = {name: a.astype("f8") if a.dtype.kind == "f" else a for name, a in tensors_of(KINDS["batch norm"]).items()}
    assert from_authors(tensors)[1]["decoder"]["weight"].dtype == np.float64
    with pytest.raises(ValueError, match=r"dtype: encoder.bias is float32, expected float64$"):
        from_authors(tensors | {"encoder.bias": tensors["encoder.bias"].astype("f4")})
    with pytest.raises(ValueError, match=r"dtype: norms.0.num_batches_tracked is float64, expected int64$"):
        from_authors(tensors | {"norms.0.num_batches_tracked": np.zeros(())})
    whole = {name: a.astype("i8") for name, a in tensors.items()}
    with pytest.raises(ValueError, match=r"dtype: seq_layers.0.h0 is int64, expected float32"):
        from_authors(whole)
    with pytest.raises(ValueError, match=r"missing: norms.0.running_var \[8\]"):
        from_authors({name: a for name, a in tensors.items() if "running_var" not in name})


@pytest.mark.parametrize("kind", KINDS)
def test_no_memory_is_shared_with_the_tensors(kind, rng):
    """Neither of the model with what it is written to, nor of what is read with the file's arrays; no leaf is a view."""
    model = random_model(KINDS[kind], rng)
    tensors = to_authors(model)
    config, params, state = from_authors(tensors, tree_select=model.config.tree_select, max_length=32)
    ours, read = [*flatten([model.params, model.state]).values()], [*flatten([params, state]).values()]
    written = [*tensors.values()]
    for one, other in ((ours, written), (written, read)):
        assert not any(np.shares_memory(a, b) for a in one for b in other)
    assert all(a.flags.c_contiguous for a in [*written, *read])
    assert list(tensors)[0] == "encoder.weight"
    assert config.d_model == 8


def test_the_path_of_no_parameter_is_refused():
    for name in ("blocks.2.conv.w", "blocks.0.mix2.weight", "encoder.table", "norms.0.weight"):
        with pytest.raises(ValueError, match=f"ours must be the path of a parameter; got '{name}'"):
            authors_name(name, KINDS["classifier"])


@pytest.mark.parametrize("word", ["module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
def test_what_wrapping_puts_into_names_is_taken_out(word):
    """Before the network and inside it, also twice; words that merely end alike stay, and so do names of other things."""
    names = {f"net.{word}seq_layers.0.{word}h0": 1, f"{word}net.encoder.bias": 2, f"loss_{word}weight": 3, "net2.x": 4}
    assert without_prefix(names) == {"seq_layers.0.h0": 1, "encoder.bias": 2, f"loss_{word}weight": 3, "net2.x": 4}
    assert without_prefix({"seq_layers.0.activation.h0x": 1}) == {"seq_layers.0.activation.h0x": 1}
    assert without_prefix({"a.seq_layers.12.w": 1, "a.seq_layers.0.h1": 2}) == {"seq_layers.12.w": 1, "seq_layers.0.h1": 2}
    assert without_prefix({"a.seq_layers.12.w": 1, "a.encoder.bias": 2}) == {"seq_layers.12.w": 1, "encoder.bias": 2}


def test_casting_changes_the_dtype_and_nothing_else(rng):
    model = random_model(KINDS["batch norm"], rng, "float64")
    narrow = cast_model(model, "float32")
    assert narrow.config == model.config
    for part in ("params", "state"):
        before, after = flatten(getattr(model, part)), flatten(getattr(narrow, part))
        assert before.keys() == after.keys()
        for name, array in before.items():
            whole = array.dtype.kind == "i"
            assert after[name].dtype == (array.dtype if whole else np.float32), name
            np.testing.assert_array_equal(after[name], array if whole else array.astype("f4"), err_msg=name)
            assert not np.shares_memory(array, after[name])
            assert not np.shares_memory(array, flatten(getattr(cast_model(model, "float64"), part))[name])
    with pytest.raises(ValueError, match="dtype must be one of"):
        cast_model(model, "float16")
