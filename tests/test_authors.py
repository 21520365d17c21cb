"""The authors' checkpoints in and out: round trips, what is derived, what is asked for, every fault of a file in one error."""

import dataclasses
import json

import numpy as np
import pytest
from golden import CONFIGS, DATA, TOLD, group, reference

from multires_ref import Model, NetworkConfig, load_model, save_model
from multires_ref.authors.convert import authors_name, params_to_authors, to_authors
from multires_ref.authors.derive import SETTINGS, derive, describe, from_authors
from multires_ref.authors.load import derived_settings
from multires_ref.base.pytrees import flatten
from multires_ref.network import parameter_shapes

SMALL = NetworkConfig(3, 10, 8, 2, kernel_size=2, max_length=32)
KINDS = {
    "classifier": SMALL,
    "batch norm": dataclasses.replace(SMALL, norm="batch"),
    "tokens": dataclasses.replace(SMALL, encoder="embedding", d_input=7),
    "uniform": dataclasses.replace(SMALL, tree_select="uniform", memory_size=9),
    "autoregressive": dataclasses.replace(SMALL, kind="autoregressive", kernel_size=4),
    "autoregressive batch norm": dataclasses.replace(SMALL, kind="autoregressive", norm="batch"),
}


def random_model(config, rng, dtype="float32"):
    """A model whose norms are not at their start either."""
    model = Model.init(config, rng, dtype)
    for block, state in zip(model.params["blocks"], model.state["blocks"], strict=True):
        block["norm"] = {name: rng.standard_normal(config.d_model).astype(dtype) for name in ("weight", "bias")}
        if state:
            state["mean"] = rng.standard_normal(config.d_model).astype(dtype)
            state["var"] = (0.5 + rng.random(config.d_model)).astype(dtype)
            state["count"] = np.array(7)
    return model


def assert_same(ours, theirs):
    for kind in ("params", "state"):
        left, right = flatten(getattr(ours, kind)), flatten(getattr(theirs, kind))
        assert set(left) == set(right)
        for name in left:
            assert left[name].dtype == right[name].dtype, name
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_is_exact(kind, dtype, suffix, rng, tmp_path):
    if suffix == ".pth":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    model, path = random_model(KINDS[kind], rng, dtype), tmp_path / f"model{suffix}"
    save_model(model, path)
    again = load_model(path)
    assert_same(model, again)
    assert again.config == model.config  # the file carries it
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # no temporary file stays


@pytest.mark.parametrize("name", CONFIGS)
def test_the_authors_names_come_back(name):
    """authors -> ours -> authors, of the reference networks: same keys, same bits."""
    init = group(reference(name), "init")
    back = to_authors(Model(*from_authors(init, **TOLD[name])))
    assert set(back) == set(init)
    for key, array in init.items():
        np.testing.assert_array_equal(back[key], array, err_msg=key)
        assert (back[key].dtype, back[key].shape, back[key].flags.c_contiguous) == (array.dtype, array.shape, True), key


@pytest.mark.parametrize("kind", KINDS)
def test_authors_name_says_where_a_parameter_went(kind, rng):
    """Mark one of our parameters: exactly the key that `authors_name` gives changes."""
    model = random_model(KINDS[kind], rng)
    before = params_to_authors(model.config, model.params)
    for name, array in flatten(model.params).items():
        array += 1
        after = params_to_authors(model.config, model.params)
        assert [key for key in after if not np.array_equal(before[key], after[key])] == [authors_name(name, model.config)]
        before = after


def test_a_file_without_torch_names(tmp_path, rng):
    """A plain safetensors file with the authors' keys and the data-parallel prefix, written by somebody else."""
    from safetensors.numpy import save_file

    model = random_model(SMALL, rng)
    save_file({f"module.{name}": array for name, array in to_authors(model).items()}, tmp_path / "theirs.safetensors")
    assert_same(model, load_model(tmp_path / "theirs.safetensors", tree_select="fading"))


def test_our_own_run_files_load_too(tmp_path, rng):
    from multires_ref.training.checkpoint import model_tensors, save_checkpoint

    model = random_model(KINDS["uniform"], rng)
    save_checkpoint(tmp_path / "best.safetensors", model_tensors(model.params, model.state), {"network": model.config.to_dict()})
    again = load_model(tmp_path / "best.safetensors")
    assert again.config == model.config
    assert_same(model, again)
    assert derived_settings(tmp_path / "best.safetensors") is None


def test_loading_shares_no_memory(rng):
    model = random_model(SMALL, rng)
    tensors = to_authors(model)
    before = tensors["seq_layers.0.w"].copy()
    Model(*from_authors(tensors)).params["blocks"][0]["conv"]["w"][:] = 0
    np.testing.assert_array_equal(tensors["seq_layers.0.w"], before)


def test_transposed_parameters_are_written_right(rng, tmp_path):
    """safetensors writes an array's memory as it lies: a transposed one would come back scrambled."""
    model = random_model(SMALL, rng)
    model.params["decoder"]["weight"] = np.asfortranarray(model.params["decoder"]["weight"])
    save_model(model, tmp_path / "x.safetensors")
    assert_same(model, load_model(tmp_path / "x.safetensors"))


def test_settings_can_be_told():
    config = {field.name for field in dataclasses.fields(NetworkConfig)}
    assert set(SETTINGS) <= config


def test_what_is_derived_is_shown(rng):
    tensors = to_authors(random_model(KINDS["uniform"], rng))
    items = {item.name: item for item in derive(tensors, tree_select="uniform", max_length=32)}
    assert (items["tree_select"].value, items["depth"].value, items["memory_size"].value) == ("uniform", 5, 9)
    assert items["depth"].source == "max_length = 32 and K = 2"
    assert "running_mean" in describe(list(items.values()))


def test_fading_is_assumed_only_where_it_fits(rng):
    fading, uniform = (to_authors(random_model(KINDS[kind], rng)) for kind in ("classifier", "uniform"))
    assert from_authors(fading)[0].tree_select == "fading"
    assert from_authors(fading, depth=5)[0].tree_select == "fading"
    assert from_authors(uniform, tree_select="uniform", depth=5)[0].tree_select == "uniform"
    for given, source in (({"depth": 5}, "given"), ({"max_length": 32}, "max_length = 32 and K = 2")):
        with pytest.raises(ValueError, match=rf"m = 9 .* fading tree of depth 5 \({source}\).*pass tree_select='uniform'"):
            from_authors(uniform, **given)
    wide = to_authors(random_model(dataclasses.replace(SMALL, tree_select="uniform", memory_size=80), rng))
    with pytest.raises(ValueError, match="tree_select must be given: m = 80 .* tree_select='uniform' with depth=J"):
        from_authors(wide)
    assert from_authors(fading, tree_select="uniform", depth=5)[0].tree_select == "uniform"
    with pytest.raises(ValueError, match="at depth 5 .* needs m = 6 memory weights; w has m = 9"):
        from_authors(uniform, tree_select="fading", depth=5)


def test_depth_is_asked_for_by_name(rng):
    with pytest.raises(ValueError, match=r"depth must be given.*depth=J, or max_length=L"):
        from_authors(to_authors(random_model(KINDS["uniform"], rng)), tree_select="uniform")


def test_training_settings_can_be_told(rng):
    config = from_authors(to_authors(random_model(SMALL, rng)), dropout=0.25, indep_res_init=True)[0]
    assert (config.dropout, config.indep_res_init) == (0.25, True)
    with pytest.raises(ValueError, match=r"setting must be one of .*did you mean 'depth'"):
        from_authors(to_authors(random_model(SMALL, rng)), dept=5)


def test_every_fault_is_in_one_error(rng):
    tensors = to_authors(random_model(KINDS["batch norm"], rng))
    del tensors["norms.1.running_var"], tensors["encoder.bias"]
    tensors["optimizer_step"] = np.zeros(())
    tensors["seq_layers.1.h0"] = np.zeros((8, 1, 3), np.float32)
    tensors["output_mapping.bias"] = tensors["output_mapping.bias"].astype(np.float16)
    with pytest.raises(ValueError) as error:
        from_authors(tensors)
    lines = str(error.value).splitlines()
    assert lines[1:] == [
        "  missing: encoder.bias [8]",
        "  missing: norms.1.running_var [8]",
        "  unknown: optimizer_step []",
        "  misshapen: seq_layers.1.h0 is [8, 1, 3], expected [8, 1, 2]",
        "  dtype: output_mapping.bias is float16, expected float32",
    ]


def test_something_else_is_no_checkpoint():
    with pytest.raises(ValueError, match=r"no MultiresConv checkpoint: expected keys .*got 1 tensors: conv1.weight"):
        from_authors({"conv1.weight": np.zeros((3, 3))})


def test_untied_filters_keep_our_own_format(rng, tmp_path):
    """The authors' format has no place for them: .safetensors holds ours, a PyTorch file is refused with the way out."""
    model = random_model(dataclasses.replace(SMALL, tied=False), rng)
    save_model(model, tmp_path / "x.safetensors")
    again = load_model(tmp_path / "x.safetensors")
    assert again.config == model.config
    assert_same(model, again)
    with pytest.raises(ValueError, match=r"tied must be True.*save_model\(model, 'x.safetensors'\) keeps it"):
        save_model(model, tmp_path / "x.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_parameters_that_do_not_fit_the_config_are_not_written(rng, tmp_path):
    model = random_model(SMALL, rng)
    with pytest.raises(ValueError, match=r"misshapen: seq_layers.0.w is \[8, 7\], expected \[8, 5\]"):
        save_model(Model(dataclasses.replace(SMALL, depth=3), model.params, model.state), tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("absent.pth", None, FileNotFoundError, "no run folder or checkpoint at"),
        ("x.npz", b"", ValueError, r"must be a run folder or end in \.pth, \.pt, \.ckpt, \.bin, \.safetensors"),
        ("x.safetensors", b"not one", ValueError, "is no safetensors file"),
    ],
)
def test_bad_files(name, content, error, words, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        load_model(tmp_path / name)


def test_a_config_in_the_file_is_not_contradicted(rng, tmp_path):
    save_model(random_model(SMALL, rng), tmp_path / "x.safetensors")
    assert load_model(tmp_path / "x.safetensors", depth=5, max_length=32, tree_select="fading").config == SMALL
    with pytest.raises(ValueError, match=r"x.safetensors carries its own settings.*depth=3 \(the file: 5\)"):
        load_model(tmp_path / "x.safetensors", depth=3)


def test_a_pth_cannot_run_code(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="cannot be read without running code|not a PyTorch checkpoint"):
        load_model(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_what_else_a_pth_may_hold(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="must hold a state dict"):
        load_model(tmp_path / "list.pth")
    torch.save({"a": 3}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="something else under a"):
        load_model(tmp_path / "numbers.pth")


def test_the_golden_pth_files_load():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    for name in CONFIGS:
        assert load_model(DATA / f"{name}.pth", **TOLD[name]).config.J == CONFIGS[name].J


def test_export_carries_its_config(rng, tmp_path):
    from safetensors import safe_open

    save_model(random_model(SMALL, rng), tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        note = json.loads(file.metadata()["multires_ref"])
    assert NetworkConfig.from_dict(note["network"]) == SMALL


def test_shapes_match_the_parameters(rng):
    for config in KINDS.values():
        assert set(flatten(random_model(config, rng).params)) == set(parameter_shapes(config))
