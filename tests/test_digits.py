"""The digits task: its parts, its scale, and that a short run on it learns."""

import numpy as np
from sklearn.datasets import load_digits

from multires_ref.tasks import get_task
from multires_ref.tasks.digits import load
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective


def test_the_parts_are_disjoint_and_complete():
    splits = load(LoadOptions())
    rows = np.concatenate([split.x[:, 0] for split in splits.values()])  # standardised, but still one image a row
    images, classes = load_digits(return_X_y=True)
    assert rows.shape == images.shape

    def keys(x):
        return sorted(map(bytes, np.ascontiguousarray(np.round(x).astype("int8"))))

    scale = (images.max() - images.min()) / (rows.max() - rows.min())
    assert keys(rows.astype("float64") * scale - (rows.min() * scale)) == keys(images)  # each image once, none left out
    assert len(np.unique(images, axis=0)) == len(images)  # so disjoint as pictures, not only as indices
    np.testing.assert_array_equal(np.bincount(np.concatenate([s.y for s in splits.values()])), np.bincount(classes))


def test_the_parts_have_the_classes_in_the_same_shares():
    splits = load(LoadOptions())
    whole = np.bincount(np.concatenate([s.y for s in splits.values()])) / 1797
    for split in splits.values():
        np.testing.assert_allclose(np.bincount(split.y) / len(split), whole, atol=0.5 / len(split) + 1e-3)


def test_the_parts_do_not_change():
    one, two = load(LoadOptions()), load(LoadOptions())
    for name in one:
        np.testing.assert_array_equal(one[name].x, two[name].x)
    assert one["test"].y[:12].tolist() == [1, 2, 1, 5, 5, 1, 2, 8, 2, 4, 2, 7]


def test_the_training_part_is_standard():
    x = load(LoadOptions())["train"].x
    assert x.dtype == "float32"
    assert abs(x.mean(dtype="float64")) < 1e-6
    assert abs(x.std(dtype="float64") - 1) < 1e-6


def test_a_short_run_learns(tmp_path):
    task = get_task("digits")
    network, training = task.settings(d_model=12, n_layers=2, epochs=3, batch_size=32, dropout=0.0, lr=0.02)
    objective = get_objective(task.objective)
    metrics = fit(network, training, task.load(LoadOptions()), objective, tmp_path / "run", quiet=True)
    assert metrics["test_accuracy"] > 0.5
