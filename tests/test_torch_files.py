"""PyTorch's files: under which names a network is found, what is refused and how, and that files are written whole."""

import json
import os
from collections import OrderedDict

import numpy as np
import pytest
from test_authors import KINDS, SMALL, assert_same, random_model

from multires_ref import load_model, save_model
from multires_ref.authors.convert import to_authors
from multires_ref.base.pytrees import flatten

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from multires_ref.authors.torch_file import as_numpy  # noqa: E402
from multires_ref.authors.torch_model import to_torch  # noqa: E402


def tensors_of(model):
    return {name: torch.from_numpy(array) for name, array in to_authors(model).items()}


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict"])
def test_a_training_checkpoint_is_searched_for_the_network(name, rng, tmp_path):
    model = random_model(SMALL, rng)
    torch.save({"epoch": 3, name: tensors_of(model), "optimizer": {"state": {}}}, tmp_path / "x.pt")
    assert_same(model, load_model(tmp_path / "x.pt", tree_select="fading"))


def test_the_first_of_the_names_counts(rng, tmp_path):
    """Where "model" is no dictionary, such as a name, the next one is taken."""
    model, other = random_model(SMALL, rng), random_model(SMALL, rng)
    torch.save({"model_state_dict": tensors_of(other), "model": tensors_of(model)}, tmp_path / "x.pt")
    assert_same(model, load_model(tmp_path / "x.pt", tree_select="fading"))
    torch.save({"model": "multires", "state_dict": tensors_of(other)}, tmp_path / "x.pt")
    assert_same(other, load_model(tmp_path / "x.pt", tree_select="fading"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda w: w.to_sparse(), "must be an ordinary tensor of real numbers; got torch.sparse_coo, torch.float32"),
        (lambda w: w.to(torch.complex64), "must be an ordinary tensor of real numbers; got torch.strided, torch.complex64"),
        (lambda w: torch.empty_like(w, device="meta"), "must be an ordinary tensor of real numbers"),
        (lambda w: w.to(torch.float8_e5m2), "has dtype torch.float8_e5m2, which NumPy does not have: save it as float32"),
        (lambda w: "word", "must hold tensors only, in the state dict; got something else under output_mapping.weight"),
    ],
)
def test_what_is_no_ordinary_tensor_is_named(make, words, rng, tmp_path):
    tensors = tensors_of(random_model(SMALL, rng))
    tensors["output_mapping.weight"] = make(tensors["output_mapping.weight"])
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=rf"x\.pth.*{words}") as error:
        load_model(tmp_path / "x.pth", tree_select="fading")
    assert "output_mapping.weight" in str(error.value)


@pytest.mark.parametrize("text", ["[1]", "{", 7])
def test_settings_that_are_none_name_the_file(text, rng, tmp_path):
    state_dict = OrderedDict(tensors_of(random_model(SMALL, rng)))
    state_dict._metadata = OrderedDict({"multires_ref": {"settings": text}})
    torch.save(state_dict, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: its settings"):
        load_model(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_ours_is_as_the_module_would_write_it(kind, rng, tmp_path):
    """The same keys (parameters in the same order), tensors and versions of the layers that have tensors; and settings."""
    model = random_model(KINDS[kind], rng)
    save_model(model, tmp_path / "x.pth")
    ours, theirs = torch.load(tmp_path / "x.pth", weights_only=True), to_torch(model).state_dict()
    parameters = [name for name in theirs if "running" not in name and "tracked" not in name]
    assert list(ours)[: len(parameters)] == parameters  # BatchNorm's statistics come last
    assert len(parameters) == len(flatten(model.params)) - model.config.n_layers  # w and w_skip are one
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in theirs)
    noted = dict(ours._metadata)
    settings = json.loads(noted.pop("multires_ref")["settings"])
    assert settings == {"format": "authors", "network": model.config.to_dict()}
    assert set(noted) == {""} | {name.rpartition(".")[0] for name in theirs}
    assert all(version == theirs._metadata[name] for name, version in noted.items())


def test_a_failed_write_leaves_the_old_file(rng, tmp_path, monkeypatch):
    model, path = random_model(SMALL, rng), tmp_path / "x.pth"
    save_model(model, path)

    def fails(content, file):
        file.write(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fails)
        with pytest.raises(OSError, match="disk full"):
            save_model(random_model(SMALL, rng), path)
    assert_same(model, load_model(path))
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]
    os.link(path, tmp_path / "kept.pth")
    save_model(random_model(SMALL, rng), path)
    assert_same(model, load_model(tmp_path / "kept.pth"))  # the new file took the old one's place, and was not written into it


def test_tensors_as_arrays():
    """Out of a graph; bfloat16 exactly as float32; every other dtype as it is."""
    x = torch.linspace(-3, 3, 7, requires_grad=True)
    np.testing.assert_array_equal(as_numpy(2 * x), 2 * np.linspace(-3, 3, 7, dtype="f4"))
    half = (x / 3).to(torch.bfloat16)
    assert as_numpy(half).dtype == np.float32
    np.testing.assert_array_equal(as_numpy(half), (x / 3).detach().bfloat16().float().numpy())
    for dtype in ("float64", "float16", "int64"):
        assert as_numpy(torch.ones(2, dtype=getattr(torch, dtype))).dtype == dtype
