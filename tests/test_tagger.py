"""A classifier of every time step: its objective, its files, PyTorch's version of it, and what refuses it.

The network itself is held to the equations in `test_network_by_loops.py`, its stream in `test_streaming.py`.
"""

import dataclasses

import numpy as np
import pytest

from multires_ref import Model, NetworkConfig, load_model, save_model
from multires_ref.diagnose.verify import verify_reference
from multires_ref.network.norms import NORMS
from multires_ref.network.sampling import sample
from multires_ref.ops.cross_entropy import cross_entropy
from multires_ref.plots.attribution import decision_parts
from multires_ref.training.config import TrainingConfig, check_compatible
from multires_ref.training.data import Split, check_splits
from multires_ref.training.evaluate import evaluate
from multires_ref.training.objectives import get_objective, tag_accuracy

TOKENS = NetworkConfig(7, 5, 6, 2, kernel_size=3, max_length=12, kind="tagger", encoder="embedding")
NUMBERS = dataclasses.replace(TOKENS, d_input=2, encoder="linear")


def data(config, N=9, L=12, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 7, (N, L)) if config.encoder == "embedding" else rng.standard_normal((N, 2, L)).astype("float32")
    return Split(x, rng.integers(0, 5, (N, L)))


def test_it_is_a_classifier_of_every_prefix_that_does_not_pool(rng):
    """With the same parameters: the classifier of the first n samples is the mean of the tagger's logits at these steps."""
    model = Model.init(TOKENS, rng, "float64")
    classifier = Model(dataclasses.replace(TOKENS, kind="classifier"), model.params, model.state)
    x = data(TOKENS).x
    logits = model(x)
    assert logits.shape == (9, 5, 12)
    for n in (1, 5, 12):
        np.testing.assert_allclose(classifier(x[:, :n]), logits[:, :, :n].mean(axis=2), rtol=0, atol=1e-14)


def test_the_loss_is_the_mean_over_all_steps(rng):
    logits, targets = rng.standard_normal((3, 5, 4)), rng.integers(0, 5, (3, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    by_step = [-np.log(p[b, targets[b, n], n]) for b in range(3) for n in range(4)]
    assert cross_entropy(logits, targets) == pytest.approx(np.mean(by_step), rel=1e-14)
    flat = np.moveaxis(logits, 1, 2).reshape(12, 5)  # as a batch of 12 examples without steps
    assert cross_entropy(logits, targets) == pytest.approx(cross_entropy(flat, targets.ravel()), rel=1e-14)


def test_the_score_counts_the_steps_with_a_tag():
    targets = np.array([[0, 0, 3, 1], [0, 2, 0, 0]])
    said = np.array([[0, 4, 3, 2], [0, 2, 1, 0]])  # two of the three tags; wrong at blank steps too, which are not counted
    outputs = np.eye(5)[said].swapaxes(1, 2)
    assert tag_accuracy(outputs, targets) == pytest.approx(2 / 3)
    assert tag_accuracy(np.eye(5)[0 * said].swapaxes(1, 2), targets) == 0
    assert tag_accuracy(outputs, 0 * targets) == 0


def test_evaluation_is_that_of_the_whole_split_in_one_batch(rng):
    model, split = Model.init(TOKENS, rng, "float64"), data(TOKENS)
    scores = evaluate(model, split, get_objective("tagging"), batch_size=4)
    out = model(split.x)
    assert scores["loss"] == pytest.approx(cross_entropy(out, split.y), rel=1e-12)
    assert scores["tag_accuracy"] == tag_accuracy(out, split.y)


@pytest.mark.parametrize("objective", ["classification", "multilabel", "regression", "density"])
def test_it_is_for_tagging_alone(objective):
    with pytest.raises(ValueError, match="^kind must be '(classifier|autoregressive)' for .*; got 'tagger'$"):
        check_compatible(TOKENS, TrainingConfig(1, 4, 0.1), objective)


@pytest.mark.parametrize(("kind", "end"), [("classifier", "'$"), ("autoregressive", "'. Autoregressive networks")])
def test_tagging_needs_it(kind, end):
    with pytest.raises(ValueError, match=f"^kind must be 'tagger' for tagging, which scores .* time step; got '{kind}{end}"):
        check_compatible(dataclasses.replace(NUMBERS, kind=kind), TrainingConfig(1, 4, 0.1), "tagging")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: Split(s.x, s.y[:, 0]), r"train: y must be 9 x 12 whole numbers between 0 and 4; got int64 of shape \(9,\)"),
        (lambda s: Split(s.x, s.y + 1), "train: y must be 9 x 12 whole numbers between 0 and 4; .* 1 to 5"),
        (lambda s: Split(s.x, s.y.astype(float)), "train: y must be 9 x 12 whole numbers"),
        (lambda s: Split(s.x, s.y, np.full(9, 5)), "train: lengths must be None for tagging"),
    ],
)
def test_targets_that_do_not_fit_are_refused(change, words):
    split = data(TOKENS)
    with pytest.raises(ValueError, match=words):
        check_splits(TOKENS, {"train": change(split), "val": split, "test": split}, "tagging")


def test_what_has_no_place_for_it_says_so(tmp_path, rng):
    model = Model.init(NUMBERS, rng)
    with pytest.raises(ValueError, match="^only an autoregressive network can be sampled from; this one is a tagger$"):
        sample(model, rng)
    with pytest.raises(ValueError, match="^model must be a classifier; got kind 'tagger'$"):
        decision_parts(model, np.ones((2, 12), np.float32), target=0)
    with pytest.raises(ValueError, match="^n_values is for kind='autoregressive' alone, and a tagger has none"):
        dataclasses.replace(NUMBERS, n_values=3)


def test_its_files(tmp_path, rng):
    """The authors' code has no such network: a file of PyTorch is refused, our own format keeps it."""
    model = Model.init(NUMBERS, rng)
    with pytest.raises(ValueError, match="^kind must be 'classifier' or 'autoregressive', .*save_model.* keeps it"):
        save_model(model, tmp_path / "x.pth")
    assert not list(tmp_path.iterdir())
    save_model(model, tmp_path / "x.safetensors")
    again, x = load_model(tmp_path / "x.safetensors"), data(NUMBERS).x
    assert again.config == NUMBERS
    np.testing.assert_array_equal(again(x), model(x))


def test_verify_takes_stored_numbers_of_it(rng):
    """The loss and a gradient of training mode, computed here as those of a batch of all steps."""
    model, split = Model.init(NUMBERS, rng, "float64"), data(NUMBERS)
    x, targets = split.x.astype("float64"), split.y
    flat = lambda out: np.moveaxis(out, 1, 2).reshape(-1, 5)  # noqa: E731
    softmax = np.exp(flat(model(x))) / np.exp(flat(model(x))).sum(axis=1, keepdims=True)
    bias = (softmax - np.eye(5)[targets.ravel()]).mean(axis=0)  # the gradient of the decoder's bias
    stored = {
        "x": x,
        "target": targets,
        "loss": np.asarray(cross_entropy(flat(model(x)), targets.ravel())),
        "grad/decoder.bias": bias,
    }
    assert verify_reference(model, stored).passed
    assert not verify_reference(model, stored | {"grad/decoder.bias": bias[::-1]}).passed
    assert not verify_reference(model, stored | {"loss": 1.001 * stored["loss"]}).passed


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("config", [TOKENS, NUMBERS], ids=["tokens", "numbers"])
def test_pytorchs_version(norm, config, rng):
    """Every layer and gradient, in both modes; and the loss of every step with its gradients."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from multires_ref import compare
    from multires_ref.authors.torch_model import from_torch, to_torch
    from multires_ref.ops.tracing import value_and_gradients

    model, split = Model.init(dataclasses.replace(config, norm=norm), rng, "float64"), data(config)
    x = split.x if config.encoder == "embedding" else split.x.astype("float64")
    report = compare(to_torch(model), model, torch.from_numpy(x), dtype="float64")
    assert report.passed, str(report)
    assert from_torch(to_torch(model)).config == model.config
    logits = torch.from_numpy(model(x)).requires_grad_()
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(split.y))
    loss.backward()
    value, gradient = value_and_gradients(lambda out: cross_entropy(out, split.y), model(x))
    assert value == pytest.approx(loss.item(), rel=1e-13)
    np.testing.assert_allclose(gradient, logits.grad, rtol=0, atol=1e-15)
