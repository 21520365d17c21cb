"""Checkpoints: what is written comes back bit for bit, and anything else is refused with a clear error and left alone."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file

from multires_ref import Model, NetworkConfig
from multires_ref.base import files
from multires_ref.training.checkpoint import load_run, model_tensors, read_checkpoint, save_checkpoint
from multires_ref.training.flat import flatten, unflatten

CONFIG = NetworkConfig(2, 3, d_model=4, n_layers=2, max_length=8, norm="batch")


@pytest.fixture
def model(rng):
    return Model.init(CONFIG, rng)


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, model_tensors(model.params, model.state), {"network": CONFIG.to_dict()})
    return path


def test_arrays_of_any_memory_layout_come_back(rng, tmp_path):
    a = rng.standard_normal((4, 6))
    tensors = {
        "transposed": a.T,
        "strided": a[::2, ::-1],
        "broadcast": np.broadcast_to(a[0], (3, 6)),
        "fortran": np.asfortranarray(a),
        "number": np.array(3, np.int64),
        "float32": a.astype("float32"),
    }
    save_checkpoint(tmp_path / "a.safetensors", tensors, {"network": {}})
    found, metadata = read_checkpoint(tmp_path / "a.safetensors")
    assert metadata["network"] == {}
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype, name
        assert_array_equal(found[name], array, err_msg=name)


def test_safetensors_itself_scrambles_a_transposed_array(tmp_path):
    """Why `save_checkpoint` makes arrays contiguous. Should this fail one day, the copy there is needless."""
    a = np.arange(6.0).reshape(2, 3)
    try:
        save_file({"a": a.T}, tmp_path / "a.safetensors")
    except ValueError:
        pytest.skip("this safetensors refuses them")
    from safetensors.numpy import load_file

    assert not np.array_equal(load_file(tmp_path / "a.safetensors")["a"], a.T)


def test_a_model_comes_back(model, path, rng):
    again = load_run(path)
    assert again.config == CONFIG
    x = rng.standard_normal((3, 2, 8)).astype("float32")
    assert_array_equal(again(x), model(x))
    assert load_run(path.parent).config == CONFIG  # the folder, too


def test_a_layernorm_model_has_no_state_and_comes_back(rng, tmp_path):
    config = NetworkConfig(2, 3, d_model=4, n_layers=2, max_length=8)
    model = Model.init(config, rng, "float64")
    save_checkpoint(tmp_path / "m.safetensors", model_tensors(model.params, model.state), {"network": config.to_dict()})
    again = load_run(tmp_path / "m.safetensors")
    assert again.state == model.state
    assert again.params["decoder"]["weight"].dtype == "float64"


@given(st.integers(0, 10**6))
def test_a_truncated_file_is_refused(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    save_checkpoint(folder / "a.safetensors", {"a": np.arange(50.0)}, {"network": {}})
    whole = (folder / "a.safetensors").read_bytes()
    (folder / "b.safetensors").write_bytes(whole[: cut % len(whole)])
    with pytest.raises(ValueError, match="truncated or is no safetensors file"):
        read_checkpoint(folder / "b.safetensors")


def test_files_of_others_are_refused(tmp_path):
    save_file({"a": np.zeros(3)}, tmp_path / "foreign.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="not written by multires_ref"):
        read_checkpoint(tmp_path / "foreign.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, this is no checkpoint at all")
    with pytest.raises(ValueError, match="is no safetensors file"):
        read_checkpoint(tmp_path / "text.safetensors")
    save_file({"a": np.zeros(3)}, tmp_path / "odd.safetensors", {"multires_ref": json.dumps({"format": 99})})
    with pytest.raises(ValueError, match="format 1"):
        read_checkpoint(tmp_path / "odd.safetensors")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_checkpoint(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("params.encoder.bias"), "params.encoder.bias is missing"),
        (lambda t: t.update({"params.extra": np.zeros(1)}), "params.extra does not belong"),
        (lambda t: t.update({"params.encoder.bias": np.zeros(5, "float32")}), r"params.encoder.bias must be float32 \(4,\)"),
        (lambda t: t.update({"params.encoder.bias": np.zeros(4)}), "got float64"),
        (lambda t: t.update({"state.blocks.0.count": np.zeros((), "float32")}), "state.blocks.0.count must be int64"),
        (lambda t: t.clear(), "its settings say 2 blocks; it holds 0"),
    ],
)
def test_tensors_that_do_not_fit_are_named(path, change, message):
    tensors, metadata = read_checkpoint(path)
    change(tensors)
    save_checkpoint(path, tensors, metadata)
    with pytest.raises(ValueError, match=message):
        load_run(path)


def test_other_dtypes_are_refused(path):
    tensors, metadata = read_checkpoint(path)
    save_checkpoint(path, {name: a.astype("float16") if a.dtype == "float32" else a for name, a in tensors.items()}, metadata)
    with pytest.raises(ValueError, match="got float16"):
        load_run(path)


def test_a_file_without_a_network_is_refused(path):
    tensors, metadata = read_checkpoint(path)
    for about in ({"network": None}, {"network": "small"}, {"format": None}, {"format": 2}):
        save_checkpoint(path, tensors, metadata | about)
        with pytest.raises(ValueError, match="expected settings of format 1 with a network"):
            read_checkpoint(path)


def test_a_folder_whose_run_has_no_finished_epoch_says_so(path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*best\.safetensors"):
        load_run(path.parent / "nowhere.safetensors" / "best.safetensors")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*best\.safetensors"):
        load_run(path.parent)
    (path.parent / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="the first epoch of that run has not finished"):
        load_run(path.parent)


def test_settings_that_are_not_valid_are_refused(path):
    tensors, metadata = read_checkpoint(path)
    save_checkpoint(path, tensors, metadata | {"network": metadata["network"] | {"norm": "other"}})
    with pytest.raises(ValueError, match="network settings are not valid: norm must be one of"):
        load_run(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_never_replace_good_ones(path, bad):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="params.w holds numbers that are not finite"):
        save_checkpoint(path, {"params.w": np.array([1.0, bad])}, {"network": {}})
    assert path.read_bytes() == before


def test_a_crash_while_writing_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def crash(*names):
        raise OSError("power cut")

    monkeypatch.setattr(files.os, "replace", crash)
    with pytest.raises(OSError, match="power cut"):
        save_checkpoint(path, {"a": np.zeros(3)}, {"network": {}})
    assert path.read_bytes() == before


def test_flatten_and_unflatten_are_inverse():
    tree = {"encoder": {"weight": 1}, "blocks": [{"conv": {"h0": n}} for n in range(12)]}  # 12: "10" sorts before "2"
    assert unflatten(flatten(tree)) == tree
    assert unflatten(dict(reversed(flatten(tree).items()))) == tree
