"""Which axis of a module's layer is which of ours: from shapes alone, by runs on other sizes. No PyTorch is needed for that."""

import numpy as np
import pytest

from multires_ref import NetworkConfig
from multires_ref.diagnose.axes import aligned, as_theirs, distinct_sizes, find_orders, our_shape, possible_orders, resized

CLASSIFIER = NetworkConfig(3, 10, 8, 1, max_length=32)
DENSITY = NetworkConfig(3, 10, 8, 1, max_length=32, kind="autoregressive")
PLACE = {"B": 0, "C": 1, "L": 2}


def test_shapes_of_our_layers():
    for config in (CLASSIFIER, DENSITY):
        shapes = {name: our_shape(name, config, 2, 5) for name in ("encoder", "blocks.0.mix", "blocks.0.mix2", "blocks.0.norm")}
        assert [*shapes.values()] == [(2, 8, 5), (2, 16, 5), (2, 8, 5), (2, 8, 5)]
    assert our_shape("pool", CLASSIFIER, 2, 5) == (2, 8)
    assert our_shape("decoder", CLASSIFIER, 2, 5) == (2, 10)
    assert our_shape("decoder", DENSITY, 2, 5) == (2, 10, 5)


@pytest.mark.parametrize("layout", ["BCL", "BLC", "LBC", "CLB", "LCB", "B1CL", "1LBC", "CBL1"])
def test_arrays_are_turned_into_our_axes_and_back(layout, rng):
    """The array that a module has in another order comes out as ours, number by number; and the way back is the inverse."""
    ours = rng.standard_normal((2, 8, 5))
    axes = [PLACE[letter] for letter in layout if letter != "1"]
    theirs = ours.transpose(axes).reshape([1 if letter == "1" else ours.shape[PLACE[letter]] for letter in layout])
    (order,) = possible_orders(theirs.shape, ours.shape)
    np.testing.assert_array_equal(aligned(theirs, ours.shape, order), ours)
    back = as_theirs(ours, theirs.shape, order)
    np.testing.assert_array_equal(back, theirs)
    assert back.flags.c_contiguous


def test_what_does_not_fit_has_no_order():
    for shape in ((2, 8, 6), (2, 8), (2, 8, 5, 2), (2, 5), (1,) * 4 + (2, 8, 5)):
        assert possible_orders(shape, (2, 8, 5)) == set(), shape
    assert possible_orders((8, 8, 5), (8, 8, 5)) == {(0, 1, 2), (1, 0, 2)}


@pytest.mark.parametrize(
    ("D", "B", "L"), [(8, 8, 16), (8, 2, 32), (4, 5, 5), (2, 2, 4), (6, 12, 12), (8, 5, 2), (1, 1, 1), (3, 3, 3)]
)
def test_sizes_of_further_runs_tell_all_axes_apart(D, B, L):
    config = NetworkConfig(3, 10, D, 1, max_length=64)
    (first_B, first_L), (second_B, second_L) = distinct_sizes(config, B, L)
    assert len({first_B, first_L, D, 2 * D, 10, 3, 1}) == len({D, 2 * D, 10, 3, 1}) + 2
    assert first_L != L
    assert first_B != B
    assert second_L == L  # for a module that runs on one length only
    assert second_B not in {B, L, D, 2 * D, 10, 3, 1}


def test_the_input_of_another_size_is_a_part_of_the_same():
    x, lengths = np.arange(2 * 3 * 4).reshape(2, 3, 4), np.array([4, 2])
    more, of_more = resized(x, lengths, 5, 3)
    assert more.shape == (5, 3, 3)
    np.testing.assert_array_equal(more[4], x[0, :, :3])
    np.testing.assert_array_equal(more[3], x[1, :, :3])
    assert list(of_more) == [3, 2, 3, 2, 3]  # none longer than the sequences now are
    longer, none = resized(x, None, 1, 6)
    np.testing.assert_array_equal(longer[0, 0], [0, 1, 2, 3, 0, 1])
    assert none is None
    tokens, _ = resized(np.arange(8).reshape(2, 4), None, 3, 2)
    np.testing.assert_array_equal(tokens, [[0, 1], [4, 5], [0, 1]])


def shapes_of(layouts, config, B, L):
    """What a module with these layouts shows on a batch of that size."""
    return {name: tuple(our_shape(name, config, B, L)[PLACE[letter]] for letter in layout) for name, layout in layouts.items()}


LAYOUTS = {"encoder": "LBC", "blocks.0.mix": "BLC", "blocks.0.norm": "CBL", "pool": "CB", "decoder": "BC"}


@pytest.mark.parametrize(("B", "L"), [(2, 32), (8, 16), (8, 8), (16, 8), (10, 8), (16, 16), (32, 32)])
def test_orders_are_found_by_other_sizes(B, L):
    run = lambda B, L: shapes_of(LAYOUTS, CLASSIFIER, B, L)  # noqa: E731
    found = find_orders(run(B, L), CLASSIFIER, B, L, run, {})
    expected = {
        name: tuple(layout.index(letter) for letter in ("BCL" if len(layout) == 3 else "BC")) for name, layout in LAYOUTS.items()
    }
    assert found == {name: {order} for name, order in expected.items()}


def test_a_module_of_one_length_is_run_with_another_batch():
    def run(B, L):
        if L != 8:
            raise RuntimeError("made for length 8")
        return shapes_of(LAYOUTS, CLASSIFIER, B, L)

    found = find_orders(run(8, 8), CLASSIFIER, 8, 8, run, {})
    assert found["blocks.0.mix"] == {(0, 2, 1)}
    assert found["encoder"] == {(1, 0, 2), (1, 2, 0)}  # D = L, which another batch does not tell apart
    found = find_orders(run(8, 8), CLASSIFIER, 8, 8, run, {"encoder": -1})
    assert found["encoder"] == {(1, 2, 0)}


def test_a_module_of_one_size_keeps_what_is_possible():
    def run(B, L):
        raise ValueError("made for one size")

    shapes = shapes_of(LAYOUTS, CLASSIFIER, 8, 8) | {"blocks.0.conv": (8, 8, 7)}
    found = find_orders(shapes, CLASSIFIER, 8, 8, run, {"blocks.0.norm": 1, "encoder": -1, "blocks.0.mix": 0, "blocks.0.conv": 1})
    assert found["blocks.0.norm"] == {(0, 1, 2), (2, 1, 0)}
    assert found["encoder"] == {(0, 2, 1), (1, 2, 0)}
    assert found["blocks.0.mix"] == {(0, 2, 1), (1, 2, 0)}  # no order has its channels first: what the shapes say is kept
    assert found["pool"] == {(0, 1), (1, 0)}
    assert found["decoder"] == {(0, 1)}
    assert found["blocks.0.conv"] == set()


def test_a_run_that_contradicts_the_first_is_left_out():
    """A module that keeps one size whatever it is given: no order is lost for that."""
    run = lambda B, L: {"encoder": (8, 8, 8), "foreign": (1, 2)}  # noqa: E731
    assert len(find_orders({"encoder": (8, 8, 8)}, CLASSIFIER, 8, 8, run, {})["encoder"]) == 6
