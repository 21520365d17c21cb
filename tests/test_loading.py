"""`load_model` and `save_model` with safetensors files, without PyTorch: what is said, what is passed on, what is refused."""

import json
import os
import struct
import warnings
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_authors import KINDS, SMALL, assert_same, random_model

from multires_ref import AssumptionWarning, Model, load_model, save_model
from multires_ref.authors.convert import to_authors
from multires_ref.authors.load import assumptions, derived_settings
from multires_ref.training.checkpoint import model_tensors, save_checkpoint


def write(path, entries, metadata=None):
    """A safetensors file byte by byte: entries are (dtype, shape, data) by name."""
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, (dtype, shape, data) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in entries.values()))


def halved(array, dtype):
    """The array rounded to half precision, as float32, and the bytes of it in a file."""
    if dtype == "F16":
        return array.astype("f2").astype("f4"), array.astype("<f2").tobytes()
    upper = array.astype("<f4").view("<u4") >> 16  # bfloat16: the upper half of a float32 number
    return (upper << 16).view("<f4"), upper.astype("<u2").tobytes()


@pytest.mark.parametrize(("dtype", "said"), [("F16", "float16"), ("BF16", "bfloat16")])
def test_half_precision_becomes_float32_aloud(dtype, said, rng, tmp_path):
    tensors = to_authors(random_model(KINDS["batch norm"], rng))
    entries, kept = {}, {}
    for name, array in tensors.items():
        kept[name], data = (array, array.tobytes()) if array.dtype.kind == "i" else halved(array, dtype)
        entries[name] = ("I64" if array.dtype.kind == "i" else dtype, list(array.shape), data)
    write(tmp_path / "x.safetensors", entries)
    with pytest.warns(UserWarning, match=rf"half precision \({said}\) are loaded as float32, exactly") as seen:
        back = to_authors(load_model(tmp_path / "x.safetensors", tree_select="fading"))
    assert len(seen) == 1
    assert seen[0].filename == __file__  # the caller's line
    for name, array in kept.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def bare(path, model):
    save_file(to_authors(model), path)
    return path


def test_nothing_is_said_where_nothing_is_assumed(rng, tmp_path):
    """Full precision and a tree that is given: no warning; the assumptions that are left do not change outputs."""
    path = bare(tmp_path / "x.safetensors", random_model(SMALL, rng))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(path, tree_select="fading").assumed == ("max_length = 32",)
        assert load_model(path, tree_select="fading", max_length=32).assumed == ()
        assert load_model(path, tree_select="fading", max_length=32).config == replace(SMALL, depth=5)
    with pytest.warns(AssumptionWarning, match=r"x\.safetensors: assumed tree_select='fading' and depth=5"):
        model = load_model(path)
    assert model.assumed == ("tree_select = fading", "depth = 5", "max_length = 32")
    save_model(model, tmp_path / "again.safetensors")
    assert load_model(tmp_path / "again.safetensors").assumed == ()
    assert assumptions(None) == ()


def test_settings_that_are_given_reach_the_network(rng, tmp_path):
    """Each of them, and the outputs of the right tree."""
    model = random_model(KINDS["uniform"], rng)
    path, x = bare(tmp_path / "x.safetensors", model), rng.standard_normal((2, 3, 32)).astype("f4")
    told = {"tree_select": "uniform", "depth": 5, "max_length": 30, "dropout": 0.125, "indep_res_init": True, "wavelet": "haar"}
    told |= {"filter_order": "reversed"}
    again = load_model(path, **told)
    assert {name: getattr(again.config, name) for name in told} == told
    np.testing.assert_array_equal(again(x, engine="tree"), model(x, engine="tree"))
    items = {item.name: (item.value, item.source) for item in derived_settings(path, **told)}
    assert {name: items[name] for name in told} == {name: (value, "given") for name, value in told.items()}
    with pytest.raises(ValueError, match=r"setting must be one of .*'depth'.* got 'size'"):
        load_model(path, size=3)


def test_a_note_of_another_program_is_no_note_of_ours(rng, tmp_path):
    """Files of PyTorch's users carry metadata {"format": "pt"}."""
    model = random_model(SMALL, rng)
    save_file({f"model.{name}": array for name, array in to_authors(model).items()}, tmp_path / "x.safetensors", {"format": "pt"})
    assert_same(model, load_model(tmp_path / "x.safetensors", tree_select="fading"))
    assert derived_settings(tmp_path / "x.safetensors", tree_select="fading") is not None


@pytest.mark.parametrize("tied", [True, False])  # the authors' names, and ours
def test_a_files_own_settings_are_not_contradicted(tied, rng, tmp_path):
    """Saying the same is no error, saying nothing (None) is none; anything else is, also a setting that there is not."""
    model, path = random_model(replace(SMALL, tied=tied, dropout=0.25), rng), tmp_path / "x.safetensors"
    save_model(model, path)
    for told in ({"depth": None}, {"depth": 5, "dropout": 0.25}, {"max_length": 32, "tree_select": "fading"}):
        assert load_model(path, **told).config == model.config
    with pytest.raises(ValueError, match=r"differ from what is given: dropout=0\.5 \(the file: 0\.25\)$"):
        load_model(path, dropout=0.5, depth=5)
    with pytest.raises(ValueError, match=r"dept=5 \(the file: 'no such setting'\)"):
        load_model(path, dept=5)
    assert derived_settings(path) is None


def test_a_run_folder_loads_and_is_not_contradicted(rng, tmp_path):
    model = random_model(KINDS["batch norm"], rng)
    save_checkpoint(tmp_path / "best.safetensors", model_tensors(model.params, model.state), {"network": model.config.to_dict()})
    assert_same(model, load_model(tmp_path, norm="batch"))
    assert derived_settings(tmp_path) is None
    with pytest.raises(ValueError, match=r"norm='layer' \(the file: 'batch'\)"):
        load_model(tmp_path, norm="layer")


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ({"format": "authors"}, r"x\.safetensors: its settings must hold a network"),
        ({"format": "authors", "network": [1]}, r"x\.safetensors: its settings must hold a network"),
        ({"format": "authors", "network": {"d_input": 3}}, r"x\.safetensors: its network settings are not valid"),
    ],
)
def test_a_note_that_is_wrong_names_the_file(note, words, rng, tmp_path):
    save_file(to_authors(random_model(SMALL, rng)), tmp_path / "x.safetensors", {"multires_ref": json.dumps(note)})
    with pytest.raises(ValueError, match=words):
        load_model(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=words):
        derived_settings(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["model.npz", "model", "model.safetensors.txt"])
def test_another_suffix_is_refused_before_anything_is_written(name, rng, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.pth, \.pt, \.ckpt, \.bin, \.safetensors; got .*model"):
        save_model(random_model(SMALL, rng), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(rng, tmp_path):
    right, path = random_model(SMALL, rng), tmp_path / "x.safetensors"
    save_model(right, path)
    wrong = Model(replace(SMALL, n_layers=3), right.params, right.state)
    with pytest.raises((ValueError, IndexError)):
        save_model(wrong, path)
    assert_same(right, load_model(path))
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    os.link(path, tmp_path / "kept.safetensors")
    save_model(random_model(SMALL, rng), path)
    assert_same(right, load_model(tmp_path / "kept.safetensors"))  # the new file took the old one's place
