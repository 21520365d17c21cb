"""Checkpoints as they are met: other suffixes, wrappers' prefixes, half precision, damaged, hostile, and with claims of size."""

import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
from golden import CONFIGS, TOLD, group, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import AssumptionWarning, Model, NetworkConfig, load_model, save_model
from multires_ref.authors.convert import not_in_authors_format, to_authors, without_prefix
from multires_ref.authors.derive import derive
from multires_ref.base.pytrees import flatten
from multires_ref.network.norms import NORMS

SMALL = NetworkConfig(3, 10, 8, 2, max_length=32)
UNIFORM = replace(SMALL, tree_select="uniform", memory_size=9)
CAUSAL = NetworkConfig(1, 6, 8, 2, max_length=32, kind="autoregressive", n_values=17)
PEAK = 2**26  # bytes that reading a small file may take at most, whatever it claims


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def assert_same(model, again):
    assert again.config == model.config
    for part in ("params", "state"):
        ours, theirs = flatten(getattr(model, part)), flatten(getattr(again, part))
        assert ours.keys() == theirs.keys()
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype, name
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def input_of(config, dtype):
    rng = np.random.default_rng(0)
    if config.encoder == "embedding":
        return rng.integers(0, config.d_input, (2, 20))
    return rng.standard_normal((2, config.d_input, 20)).astype(dtype)


def state_dict_of(torch, model):
    return {name: torch.from_numpy(array) for name, array in to_authors(model).items()}


@st.composite
def configs(draw):
    """Any network whose settings go together."""
    values = {name: draw(st.integers(1, 3)) for name in ("d_input", "d_output", "d_model", "n_layers")}
    wavelet, K = draw(st.sampled_from([(None, 2), (None, 5), ("haar", 2), ("db2", 4)]))
    values |= {"wavelet": wavelet, "kernel_size": K, "max_length": draw(st.integers(1, 200))}
    values["filter_order"] = draw(st.sampled_from(["analysis", "reversed", "minimum_delay"])) if wavelet else "analysis"
    values["depth"] = draw(st.one_of(st.none(), st.integers(1, 6)))
    values["kind"] = draw(st.sampled_from(["classifier", "autoregressive"]))
    values["n_values"] = draw(st.sampled_from([None, 2, 17, 300])) if values["kind"] == "autoregressive" else None
    values["encoder"] = draw(st.sampled_from(["linear", "embedding"])) if values["kind"] == "classifier" else "linear"
    values["tree_select"] = draw(st.sampled_from(["fading", "uniform"]))
    values["memory_size"] = draw(st.integers(2, 90)) if values["tree_select"] == "uniform" else None
    values["norm"] = draw(st.sampled_from(list(NORMS)))
    values["dropout"] = draw(st.sampled_from([0.0, 0.25]))
    values["tied"], values["indep_res_init"] = draw(st.booleans()), draw(st.booleans())
    return NetworkConfig(**values)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@settings(max_examples=60)
@given(config=configs(), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99))
def test_what_is_saved_comes_back_or_is_refused(suffix, tmp_path_factory, config, dtype, seed):
    """Every configuration: the same settings, numbers and outputs from the file alone, without a warning; or a clear refusal."""
    if suffix == ".pth":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    model, path = Model.init(config, np.random.default_rng(seed), dtype), tmp_path_factory.mktemp("trip") / f"x{suffix}"
    if suffix == ".pth" and not_in_authors_format(config):
        with pytest.raises(ValueError, match="norm must be 'layer' or 'batch'" if config.tied else "tied must be True"):
            save_model(model, path)
        return
    save_model(model, path)
    again = load_model(path)
    assert_same(model, again)
    x = input_of(config, dtype)
    np.testing.assert_array_equal(again(x, engine="tree"), model(x, engine="tree"))


@pytest.mark.parametrize(
    "config", [SMALL, UNIFORM, CAUSAL, replace(UNIFORM, norm="batch")], ids=["fading", "uniform", "density", "bn"]
)
def test_the_settings_beside_a_state_dict_disturb_nobody(torch, config, rng, tmp_path):
    """PyTorch reads our file with weights_only and loads it strictly; written again by PyTorch it still has the settings."""
    from multires_ref.authors.torch_model import MultiresNet

    model = Model.init(config, rng)
    save_model(model, tmp_path / "x.pth")
    state_dict = torch.load(tmp_path / "x.pth", weights_only=True)
    module = MultiresNet(config)
    assert set(state_dict) == set(module.state_dict())
    assert str(module.load_state_dict(state_dict, strict=True)) == "<All keys matched successfully>"
    torch.save({"model": state_dict, "epoch": 1}, tmp_path / "again.pth")
    assert_same(model, load_model(tmp_path / "again.pth"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_an_assumption_is_said_and_silent_once_it_is_given(suffix, rng, tmp_path):
    """What the authors' file does not hold and nobody gave: one warning that names it; none when it is given."""
    model = Model.init(SMALL, rng)
    path = write_theirs(tmp_path / f"theirs{suffix}", to_authors(model))
    with pytest.warns(
        AssumptionWarning, match=r"assumed tree_select='fading' and depth=5(?s:.*)m = 6 memory(?s:.*)uniform"
    ) as seen:
        assert load_model(path).config.J == 5
    assert seen[0].filename == __file__  # the caller's line, not the package's
    with pytest.warns(AssumptionWarning, match=r"assumed tree_select='fading', which"):
        load_model(path, max_length=32)
    assert load_model(path, tree_select="fading").config.m == 6
    assert load_model(path, tree_select="uniform", depth=4).config.memory_size == 6


def write_theirs(path, tensors):
    """A file as somebody else writes it, without settings."""
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(tensors, path)
    else:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        torch.save({name: torch.from_numpy(array) for name, array in tensors.items()}, path)
    return path


def test_the_values_of_a_density_are_assumed_aloud(rng, tmp_path):
    path = write_theirs(tmp_path / "x.safetensors", to_authors(Model.init(CAUSAL, rng)))
    with pytest.warns(AssumptionWarning, match=r"assumed n_values=256, which(?s:.*)say so with n_values=256"):
        assert load_model(path, tree_select="fading").config.n_values == 256
    assert load_model(path, tree_select="fading", n_values=17).config.n_values == 17
    assert {item.name for item in derive(to_authors(Model.init(CAUSAL, rng))) if item.assumed} == {
        *("tree_select", "depth", "max_length", "n_values")
    }


def test_a_uniform_checkpoint_is_never_silently_fading(rng, tmp_path):
    path = write_theirs(tmp_path / "x.safetensors", to_authors(Model.init(UNIFORM, rng)))
    with pytest.warns(AssumptionWarning, match="assumed tree_select='fading' and depth=8"):
        load_model(path)
    with pytest.raises(ValueError, match="m = 9 memory weights do not fit a fading tree of depth 5 .*pass tree_select='uniform'"):
        load_model(path, depth=5)
    assert load_model(path, depth=5, tree_select="uniform", max_length=32).config == replace(UNIFORM, depth=5)


@pytest.mark.parametrize("numpy_1", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_authors_training_checkpoints_load(torch, name, numpy_1, tmp_path):
    """As their training code writes them: the losses are numbers of NumPy (kept by both of its generations under other names)."""
    init = group(reference(name), "init")
    state_dict = OrderedDict((f"module.{key}", torch.from_numpy(array)) for key, array in init.items())
    losses = {
        "loss": np.float64(2.5),
        "val_loss": np.float32(1.5),
        "n": np.int64(3),
        "losses": np.arange(3.0),
        "type": np.dtype("f4"),
    }
    optimizer = torch.optim.Adam([torch.nn.Parameter(next(iter(state_dict.values())).clone())]).state_dict()
    path = tmp_path / "ckpt.pth"
    torch.save({"model": state_dict, "optimizer": optimizer, "scheduler": {"last_epoch": 7}, "epoch": 7, **losses}, path)
    if numpy_1:
        rename_in_pickle(path, b"numpy._core.multiarray", b"numpy.core.multiarray")
    config, again = replace(CONFIGS[name], wavelet=None, indep_res_init=False), load_model(path, **TOLD[name])
    assert (again.config.J, again.config.m, again.config.kind) == (config.J, config.m, config.kind)
    back = to_authors(again)
    assert back.keys() == init.keys()
    assert all(np.array_equal(back[key], init[key]) for key in init)


def rename_in_pickle(path, old, new):
    """Rewrite the zip file of a checkpoint with another module's name in its pickle."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    assert any(old in data for _, data in members)
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members:
            archive.writestr(info, data.replace(old, new) if info.filename.endswith(".pkl") else data)


def test_numpys_functions_are_not_called(torch, tmp_path):
    """A scalar of a huge type would be made from a few bytes; it is not made at all."""
    from numpy._core.multiarray import scalar

    class Huge:
        def __reduce__(self):
            return (scalar, (np.dtype("V1000000000"),))

    torch.save({"model": {"a": torch.zeros(2)}, "loss": Huge()}, tmp_path / "x.pth")
    tracemalloc.start()
    with pytest.raises(ValueError, match="no MultiresConv checkpoint|without running code"):
        load_model(tmp_path / "x.pth")
    assert tracemalloc.get_traced_memory()[1] < PEAK
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["os.system", "numpy.load", "builtins.eval"])
def test_a_malicious_pickle_is_refused_with_a_sentence(torch, name, tmp_path):
    module, function = name.split(".")
    evil = type("Evil", (), {"__reduce__": lambda self: (getattr(sys.modules[module], function), (f"{tmp_path}/ran",))})
    torch.save({"model": {"a": torch.zeros(2)}, "loss": evil()}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"cannot be read without running code: it holds .*torch.save\(module.state_dict\(\)"):
        load_model(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


PREFIXES = ["module.", "_orig_mod.", "model.", "net.", "model.net.", "module._orig_mod.", "_orig_mod.module.model.", "a.b.c."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_taken_off(prefix, rng):
    tensors = to_authors(Model.init(CAUSAL, rng))
    assert list(without_prefix({prefix + name: array for name, array in tensors.items()})) == list(tensors)
    inside = {name.replace("seq_layers.0.", "seq_layers.0._orig_mod."): array for name, array in tensors.items()}
    assert list(without_prefix(inside)) == list(tensors)


def test_two_networks_in_one_file_are_told_apart(rng):
    tensors = to_authors(Model.init(SMALL, rng))
    both = {f"{prefix}.{name}": array for prefix in ("model", "ema") for name, array in tensors.items()}
    with pytest.raises(ValueError, match=r"holds 2 networks, under the names 'ema.', 'model.': keep the tensors of one"):
        derive(both)
    with pytest.raises(ValueError, match="two tensors of one name"):
        derive(tensors | {f"module.{name}": array for name, array in tensors.items()})


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt"])
def test_files_of_lightning_and_others(torch, suffix, rng, tmp_path):
    model, path = Model.init(UNIFORM, rng), tmp_path / f"x{suffix}"
    state_dict = {f"model.{name}": tensor for name, tensor in state_dict_of(torch, model).items()}
    lightning = {"pytorch-lightning_version": "2.5.0", "epoch": 3, "loops": {}, "hyper_parameters": {"lr": 0.1}}
    torch.save({"state_dict": state_dict, **lightning} if suffix == ".ckpt" else state_dict, path)
    again = load_model(path, tree_select="uniform", max_length=32)
    assert_same(model, Model(replace(again.config, depth=None), again.params, again.state))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_becomes_float32_aloud(torch, dtype, suffix, rng, tmp_path):
    half = {name: tensor.to(getattr(torch, dtype)) for name, tensor in state_dict_of(torch, Model.init(SMALL, rng)).items()}
    path = tmp_path / f"x{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": half}, path)
    else:
        from safetensors.torch import save_file

        save_file(half, path)
    with pytest.warns(UserWarning, match=rf"half precision \({dtype}\) are loaded as float32, exactly") as seen:
        back = to_authors(load_model(path, tree_select="fading"))
    assert len(seen) == 1
    for name, tensor in half.items():
        assert back[name].dtype == np.float32
        np.testing.assert_array_equal(back[name], tensor.float().numpy(), err_msg=name)


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".bin", ".safetensors"])
def test_truncated_and_empty_files_end_in_a_sentence(suffix, rng, tmp_path):
    if suffix != ".safetensors":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    save_model(Model.init(SMALL, rng), tmp_path / f"whole{suffix}")
    whole, path = (tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"cut{suffix}"
    for cut in (0, 1, 7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=f"{path.name}.*(is empty|truncated or is no)"):
            load_model(path)


@pytest.mark.parametrize(
    "content", [b"hello, world\n" * 10, b"\x80\x02.", b"version https://git-lfs.github.com/spec/v1\n", b"\0" * 999]
)
def test_other_files_end_in_a_sentence(torch, content, tmp_path):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth .*(truncated or is no PyTorch file|without running code|must hold)"):
        load_model(tmp_path / "x.pth")


def with_note(path, change):
    """Rewrite the settings in a safetensors file."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    note = json.loads(header["__metadata__"]["multires_ref"])
    note["network"] |= change
    header["__metadata__"]["multires_ref"] = json.dumps(note)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


ABSURD = [
    {"n_layers": 10**9},
    {"d_model": 10**9},
    {"d_input": 10**12},
    {"d_output": 10**15},
    {"n_layers": 10**6},
    {"n_values": 3},
]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("tied", [True, False])  # the authors' names, and ours
@pytest.mark.parametrize("change", ABSURD, ids=str)
def test_settings_that_claim_more_than_the_file_holds(change, tied, norm, rng, tmp_path):
    path = tmp_path / "x.safetensors"
    save_model(Model.init(replace(SMALL, tied=tied, norm=norm), rng), path)
    with_note(path, change)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"x\.safetensors|the checkpoint (holds|does)|this network would have"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < PEAK
    tracemalloc.stop()


@pytest.mark.parametrize("key", ["seq_layers.99999999.h0", "seq_layers.999999999999.w", f"seq_layers.{'9' * 5000}.h0"])
def test_a_key_that_claims_many_layers(key, rng):
    tensors = to_authors(Model.init(SMALL, rng))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"as if it had 100,000,000 layers; it holds|unknown: seq_layers\.9"):
        Model(None, *checked(tensors | {key: tensors["seq_layers.0.h0"]}))
    assert tracemalloc.get_traced_memory()[1] < PEAK
    tracemalloc.stop()


def checked(tensors):
    from multires_ref.authors.derive import from_authors

    return from_authors(tensors, tree_select="fading")[1:]


def test_a_view_that_claims_more_than_its_storage(torch, rng, tmp_path):
    """A tensor of 10**18 numbers, all of them one: a few bytes in the file."""
    state_dict = state_dict_of(torch, Model.init(SMALL, rng))
    state_dict["output_mapping.weight"] = torch.zeros(1).expand(10**17, 8)
    state_dict["output_mapping.bias"] = torch.zeros(1, dtype=torch.bfloat16).expand(10**17)
    torch.save(state_dict, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").stat().st_size < 20_000
    with pytest.raises(ValueError, match=r"output_mapping\.(weight|bias) claims [0-9,]{20,} numbers; the file holds"):
        load_model(tmp_path / "x.pth")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
import numpy as np
from multires_ref import Model, NetworkConfig
from multires_ref.network import parameter_shapes
for change in ({"n_layers": 10**9}, {"d_model": 10**9}, {"d_output": 10**15}, {"d_input": 10**15}):
    config = NetworkConfig(**{"d_input": 3, "d_output": 10, "d_model": 8, "n_layers": 2} | change)
    for make in (lambda: Model.init(config, np.random.default_rng(0)), lambda: parameter_shapes(config)):
        try:
            make()
        except ValueError as error:
            assert "parameters" in str(error) and "GiB" in str(error), error
        else:
            sys.exit(f"{change} was not refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")
def test_absurd_networks_are_refused_early():
    subprocess.run([sys.executable, "-c", LIMITED], check=True, timeout=60)
