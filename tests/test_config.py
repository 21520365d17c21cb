"""A network's settings: defaults, the sizes that follow from them, and which of them go together."""

import pytest

from multires_ref import NetworkConfig
from multires_ref.network.config import mixture_channels

NEEDED = {"d_input": 3, "d_output": 5, "d_model": 6, "n_layers": 2}


def make(**settings):
    return NetworkConfig(**NEEDED | settings)


def test_the_defaults():
    assert make().to_dict() == NEEDED | {
        "kernel_size": 2, "max_length": 1024, "kind": "classifier", "encoder": "linear", "depth": None, "tree_select": "fading",
        "memory_size": None, "norm": "layer", "dropout": 0.0, "wavelet": None, "filter_order": "analysis", "tied": True,
        "indep_res_init": False, "n_values": None,
    }  # fmt: skip
    assert list(make().to_dict())[:6] == [*NEEDED, "kernel_size", "max_length"]  # as they may be given without their names


@pytest.mark.parametrize(
    ("settings", "J", "m", "field"),
    [
        ({}, 10, 11, 1024),
        ({"max_length": 1025}, 11, 12, 2048),
        ({"max_length": 1}, 1, 2, 2),
        ({"depth": 3}, 3, 4, 8),
        ({"depth": 3, "memory_size": 4}, 3, 4, 8),
        ({"kernel_size": 4, "max_length": 64}, 5, 6, 94),
        ({"tree_select": "uniform", "memory_size": 20}, 10, 20, 1024),
        ({"tree_select": "uniform", "memory_size": 3, "depth": 6, "kernel_size": 3}, 6, 3, 127),
    ],
)
def test_depth_memory_and_receptive_field(settings, J, m, field):
    config = make(**settings)
    assert (config.J, config.m, config.receptive_field) == (J, m, field)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel_size": 1}, "kernel_size must be at least 2; got 1"),
        ({"dropout": 1}, "dropout must be below 1"),
        ({"dropout": -0.1}, "dropout must be between"),
        ({"depth": 61}, "depth must be between 1 and 60; got 61"),
        ({"depth": 0}, "depth must be between 1 and 60; got 0"),
        ({"memory_size": 0, "tree_select": "uniform"}, "memory_size must be at least 1; got 0"),
        ({"memory_size": 2**20 + 1, "tree_select": "uniform"}, "size must be at most 1,048,576"),
        ({"memory_size": 10}, "memory_size must be 11, .*; got 10"),
        ({"memory_size": 12}, "memory_size must be 11, .*; got 12"),
        ({"wavelet": "db2", "kernel_size": 5}, "kernel_size must be 4, the length of wavelet 'db2'; got 5"),
        ({"wavelet": "db2x", "kernel_size": 4}, "wavelet"),
        ({"filter_order": "minimum_delay"}, "filter_order='minimum_delay' needs wavelet"),
        ({"filter_order": "forward", "wavelet": "haar"}, "filter_order must be one of"),
        ({"n_values": 256}, "n_values is for kind='autoregressive' alone"),
        ({"n_values": 1, "kind": "autoregressive"}, "n_values must be at least 2; got 1"),
        ({"kind": "regressor"}, "kind must be one of 'classifier', 'tagger', 'autoregressive'"),
        ({"encoder": "table"}, "encoder must be one of 'linear', 'embedding'"),
        ({"tree_select": "all"}, "tree_select must be one of"),
    ],
)
def test_what_does_not_go_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        make(**settings)


@pytest.mark.parametrize("name", ["tied", "indep_res_init"])
@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_switches_are_true_or_false(name, value):
    with pytest.raises(TypeError, match=f"{name} must be True or False"):
        make(**{name: value})


def test_the_number_of_values_of_a_pixel():
    """The authors' 256 where none is given; a number of its own is kept, 2 included; a classifier has none."""
    assert make(kind="autoregressive").n_values == 256
    assert make(kind="autoregressive", n_values=2).n_values == 2
    assert make(kind="autoregressive", n_values=17).n_values == 17
    assert make().n_values is None


def test_every_setting_survives_the_round_trip():
    settings = {"tied": False, "indep_res_init": True, "norm": "batch", "dropout": 0.25, "depth": 4, "tree_select": "uniform"}
    settings |= {"memory_size": 7, "wavelet": "db2", "kernel_size": 4, "filter_order": "reversed", "max_length": 30}
    settings |= {"kind": "autoregressive", "n_values": 17}
    config = make(**settings)
    assert NetworkConfig.from_dict(config.to_dict()) == config
    assert {name: getattr(config, name) for name in settings} == settings
    with pytest.raises(ValueError, match="setting must be one of .*'drop_out'.*did you mean 'dropout'"):
        NetworkConfig.from_dict(config.to_dict() | {"drop_out": 0.5})


@pytest.mark.parametrize(("colours", "groups"), [(1, 3), (2, 6), (3, 10), (4, 15)])
def test_the_channels_of_a_mixture(colours, groups):
    """A weight, a mean and a log-scale for each colour, a coefficient for each pair of colours."""
    pairs = sum(1 for c in range(colours) for e in range(c))
    assert groups == 1 + 2 * colours + pairs
    assert mixture_channels(7, colours) == 7 * groups
    for wrong in ((0, colours), (7, 0)):
        with pytest.raises(ValueError, match="must be at least 1; got 0"):
            mixture_channels(*wrong)
