"""The digits' data, worked out once more from scikit-learn's: which image stands where, as which numbers, with which label."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions


@pytest.fixture(scope="module")
def parts():
    """The images [N, 64] of 0 ... 16 and their classes, part by part."""
    images, classes = load_digits(return_X_y=True)
    rest, test = train_test_split(np.arange(1797), test_size=360, stratify=classes, random_state=1797)
    train, val = train_test_split(rest, test_size=180, stratify=classes[rest], random_state=1797)
    return {name: (images[rows], classes[rows]) for name, rows in (("train", train), ("val", val), ("test", test))}


@pytest.mark.parametrize("scale", ["full", "tiny"])
def test_digits(parts, scale):
    splits = get_task("digits").load(LoadOptions(scale=scale))
    pixels = parts["train"][0]
    assert list(splits) == ["train", "val", "test"]
    for name, (images, classes) in parts.items():
        shown = slice(None if scale == "full" else 64)
        expected = (images[shown] - pixels.mean()) / pixels.std()  # of the training images, at either scale
        assert splits[name].x.dtype == np.float32
        assert splits[name].lengths is None
        np.testing.assert_allclose(splits[name].x, expected[:, None], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(splits[name].y, classes[shown])


@pytest.mark.parametrize("scale", ["full", "tiny"])
def test_digits_density(parts, scale):
    """A density's target is its input; 17 values from -1 to 1."""
    splits = get_task("digits-density").load(LoadOptions(scale=scale))
    for name, (images, _) in parts.items():
        shown = slice(None if scale == "full" else 64)
        assert splits[name].x.dtype == np.float32
        np.testing.assert_allclose(splits[name].x, images[shown, None] / 8 - 1, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(splits[name].y, splits[name].x)
    if scale == "full":
        np.testing.assert_array_equal(np.unique(splits["train"].x), np.linspace(-1, 1, 17, dtype=np.float32))
