"""RMSNorm: its formula, PyTorch's, its gradient, and a network that has it from training to a stream."""

import numpy as np
import pytest
from autograd import make_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

from multires_ref import Model, NetworkConfig, load_model, save_model
from multires_ref.cli import main
from multires_ref.network.streaming import Stream
from multires_ref.ops.rms_norm import rms_norm

CONFIG = NetworkConfig(3, 4, 6, 2, max_length=20, norm="rms")
CLOSE = {"float32": 1e-6, "float64": 1e-14}


def by_hand(x, r, weight):
    """One number after the other."""
    out = np.zeros_like(x)
    for b in range(x.shape[0]):
        for n in range(x.shape[2]):
            s = [x[b, d, n] + r[b, d, n] for d in range(x.shape[1])]
            root = (sum(v * v for v in s) / len(s) + 1e-5) ** 0.5
            for d, v in enumerate(s):
                out[b, d, n] = weight[d] * v / root
    return out


@settings(max_examples=25)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 140), st.sampled_from([1e-3, 1.0, 1e3]), st.integers(0, 99))
def test_the_formula(B, D, L, size, seed):
    rng = np.random.default_rng(seed)
    x, r, weight = size * rng.standard_normal((B, D, L)), size * rng.standard_normal((B, D, L)), rng.standard_normal(D)
    wanted = by_hand(x, r, weight)
    np.testing.assert_allclose(rms_norm.definition(x, r, weight), wanted, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(rms_norm(x, r, weight), wanted, rtol=1e-13, atol=1e-13)


def test_the_mean_square_of_each_step_becomes_one(rng):
    """And no mean is subtracted: a constant stays a constant, with its sign."""
    x = 100 * rng.standard_normal((2, 8, 30))
    out = rms_norm(x, np.zeros_like(x), np.ones(8))
    np.testing.assert_allclose((out**2).mean(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(rms_norm(np.full((1, 4, 2), -3.0), np.zeros((1, 4, 2)), np.ones(4)), -1.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_has_the_same_norm_and_gradients(dtype, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, r, g = (rng.standard_normal((2, 6, 70)).astype(dtype) for _ in range(3))
    weight = rng.standard_normal(6).astype(dtype)
    module = torch.nn.RMSNorm(6, eps=1e-5, dtype=getattr(torch, dtype))
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
    s = torch.from_numpy(x + r).requires_grad_()
    theirs = module(s.transpose(1, 2)).transpose(1, 2)
    (theirs * torch.from_numpy(g)).sum().backward()
    tight = {"rtol": 0, "atol": 20 * CLOSE[dtype]}
    for function in (rms_norm, rms_norm.definition):
        np.testing.assert_allclose(function(x, r, weight), theirs.detach().numpy(), **tight)
    for n in (0, 1):
        np.testing.assert_allclose(make_vjp(rms_norm, n)(x, r, weight)[0](g), s.grad.numpy(), **tight)
    dweight = make_vjp(rms_norm, 2)(x, r, weight)[0](g)
    np.testing.assert_allclose(dweight, module.weight.grad.numpy(), rtol=0, atol=100 * CLOSE[dtype])


def test_a_network_has_weights_and_no_biases(rng):
    model = Model.init(CONFIG, rng)
    assert [set(block["norm"]) for block in model.params["blocks"]] == [{"weight"}] * 2
    assert model.state == {"blocks": [{}, {}]}


def test_a_stream_gives_the_networks_numbers(rng):
    model, x = Model.init(CONFIG, rng, "float64"), rng.standard_normal((2, 3, 20))
    stream = Stream(model, batch=2)
    logits = [stream.step(x[:, :, n]) for n in range(20)]
    np.testing.assert_allclose(logits[-1], model(x), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(logits[8], model(x[:, :, :9]), rtol=1e-10, atol=1e-12)


def test_it_is_saved_in_our_own_format_and_the_authors_is_refused(rng, tmp_path):
    model, x = Model.init(CONFIG, rng), rng.standard_normal((2, 3, 20)).astype("float32")
    save_model(model, tmp_path / "x.safetensors")
    again = load_model(tmp_path / "x.safetensors")
    assert again.config == CONFIG
    np.testing.assert_array_equal(again(x, engine="tree"), model(x, engine="tree"))
    with pytest.raises(ValueError, match="norm must be 'layer' or 'batch'.*this model has 'rms'"):
        save_model(model, tmp_path / "x.pth")


def test_from_the_command_line(tmp_path, capsys):
    """Train, evaluate, and compare with PyTorch's version of the network."""
    flags = ["--norm", "rms", "--d-model", "4", "--n-layers", "1", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["train", "digits", *flags]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert main(["info", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["verify", "gradients", "--op", "rms_norm"]) == 0
    assert "rms_norm" in capsys.readouterr().out
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert main(["verify", "pytorch", str(tmp_path / "run")]) == 0


def test_a_pytorch_module_with_rms_norm_can_be_compared(rng):
    """`compare` finds its norms, and a wrong eps in one of them."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref.authors.torch_model import from_torch, to_torch
    from multires_ref.diagnose.compare import compare

    model = Model.init(CONFIG, rng, "float64")
    module = to_torch(model)
    x = rng.standard_normal((2, 3, 20))
    assert np.array_equal(from_torch(module)(x), model(x))
    assert compare(module, model, x, quiet=True).first is None
    module.norms[1].eps = 1e-3
    comparison = compare(module, model, x, quiet=True)
    assert (comparison.first.name, comparison.mistakes[:1]) == ("blocks.1.norm", ["eps of the norm 0.001"])
