"""The settings of a network from a checkpoint of the authors' code: what the file shows, what the caller gives, what is assumed.

The shapes of the arrays show D, K, m, the number of layers, and the sizes of the input and the output; their names show the kind
of network and of norm. The file does not hold whether the tree is fading or uniform, the depth of a uniform tree, the length that
sequences were padded to, and settings that matter only for training (dropout, how the parameters were initialised).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..base.checks import check_choice
from ..base.layer_checks import MAX_DEPTH
from ..network import NetworkConfig
from ..network.config import AUTHORS_VALUES
from ..network.init import Params
from ..tree import depth_for, receptive_field
from .convert import Tensors, find_head, params_from_authors, without_prefix

FOR_TRAINING = ("dropout", "wavelet", "filter_order", "indep_res_init")
SETTINGS = ("depth", "max_length", "tree_select", *FOR_TRAINING, "n_values")  # that a caller may give
AFFECTS_OUTPUTS = ("tree_select", "depth", "n_values")  # the assumptions that `load_model` warns of


class Derived(NamedTuple):
    """One setting of the config, and where it comes from.

    `assumed` is True for a setting that is neither in the file nor given by the caller: it was decided here, and may be wrong.
    """

    name: str
    value: Any
    source: str
    assumed: bool = False


def from_authors(tensors: Tensors, **given: Any) -> tuple[NetworkConfig, Params, Params]:
    """(config, params, state) from a state dict of the authors' code, as NumPy arrays; dtype kept.

    Parameters
    ----------
    tensors : dict of arrays
        By the authors' names; a common prefix such as ``module.`` is taken off.
    given : depth, max_length, tree_select, dropout, ...
        Settings that a checkpoint does not hold, by the names of `NetworkConfig`: see `derive`.

    Returns
    -------
    config, params, state : as `network.init` lays them out

    Raises
    ------
    ValueError
        That lists every missing, unknown and misshapen array at once; or that names the setting that must be given.

    Examples
    --------
    >>> import numpy as np
    >>> from multires_ref import Model
    >>> from multires_ref.authors.convert import to_authors
    >>> config = NetworkConfig(d_input=3, d_output=10, d_model=8, n_layers=2, max_length=32)
    >>> tensors = to_authors(Model.init(config, np.random.default_rng(0)))
    >>> from_authors(tensors, tree_select="fading")[0] == NetworkConfig(3, 10, 8, 2, max_length=32, depth=5)
    True
    """
    config = config_from(derive(tensors, **given))
    return config, *params_from_authors(tensors, config)


def config_from(items: list[Derived]) -> NetworkConfig:
    """The config that has the derived settings."""
    return NetworkConfig(**{item.name: item.value for item in items})


def derive(tensors: Tensors, **given: Any) -> list[Derived]:
    """Every setting of the network that is in the tensors or in `given`, each with its source.

    Parameters
    ----------
    tensors : dict of arrays by the authors' names
    given : any of depth, max_length, tree_select, dropout, wavelet, filter_order, indep_res_init, n_values
        A uniform tree needs `tree_select`, and `depth` or `max_length`, from which the authors' code computes it. Without
        `tree_select` a fading tree is assumed where m = depth + 1 fits, and marked as assumed.

    Raises
    ------
    ValueError
        For tensors that are no MultiresConv network; or that names the setting that must be given.

    Examples
    --------
    >>> import numpy as np
    >>> tensors = {"seq_layers.0.h0": np.zeros((8, 1, 4)), "seq_layers.0.w": np.zeros((8, 13))}
    >>> for item in derive(tensors, tree_select="uniform", max_length=40)[6:]:
    ...     print(*item[:3], sep=" | ")
    kernel_size | 4 | h0 [D, 1, K]
    tree_select | uniform | given
    depth | 4 | max_length = 40 and K = 4
    memory_size | 12 | w has m + 1 columns
    max_length | 40 | given
    norm | layer | no running_mean
    """
    for name in given:
        check_choice("setting", name, SETTINGS)
    given = {name: value for name, value in given.items() if value is not None}
    tensors = without_prefix(tensors)
    D, K, m = sizes(tensors)
    autoregressive = any(re.fullmatch(r"mixing_layers\.[0-9]+\.3\.weight", name) for name in tensors)
    kind = "autoregressive" if autoregressive else "classifier"
    batch = any(name.endswith(".running_mean") for name in tensors)
    return [
        Derived("kind", kind, "mixing_layers.i.3 is there" if autoregressive else "no mixing_layers.i.3"),
        *derive_ends(tensors, kind, D),
        Derived("d_model", D, "h0 [D, 1, K]"),
        Derived("n_layers", count_layers(tensors), "seq_layers.i"),
        *derive_tree(K, m, given),
        Derived("norm", "batch" if batch else "layer", "running_mean is there" if batch else "no running_mean"),
        *derive_values(kind, given),
        *(Derived(name, value, "given") for name, value in given.items() if name in FOR_TRAINING),
    ]


def derive_ends(tensors: Tensors, kind: str, D: int) -> list[Derived]:
    """encoder, d_input and d_output, from the shapes of the encoder and of the last linear map (1 each where it is missing)."""
    head = f"{find_head(tensors, kind)}.weight"
    first = list(tensors["encoder.weight"].shape) if "encoder.weight" in tensors else [D, 1, 1]
    last = list(tensors[head].shape) if head in tensors else [1, D]
    embedding, source = len(first) == 2, f"encoder.weight {first}"
    return [
        Derived("encoder", "embedding" if embedding else "linear", source),
        Derived("d_input", first[0 if embedding else 1], source),
        Derived("d_output", last[0], f"{head} {last}"),
    ]


def derive_tree(K: int, m: int, given: dict[str, Any]) -> list[Derived]:
    """tree_select, depth, memory_size and max_length, from K, m and the settings that are given."""
    length, J, depth_source = given.get("max_length"), given.get("depth"), "given"
    select, select_source, assumed = given.get("tree_select"), "given", "tree_select" not in given
    if J is None and length is not None:
        J, depth_source = depth_for(length, K), f"max_length = {length} and K = {K}"
    if assumed:
        check_fading_fits(m, J, depth_source)
        select, select_source = "fading", "not in the file: taken as fading, since m = depth + 1 fits"
    depth_assumed = assumed and J is None  # then the depth rests on the assumed tree
    if J is None and select == "fading":
        J, depth_source = m - 1, f"m = {m} and a fading tree"
    if J is None:
        raise ValueError(
            f"depth must be given: w has m = {m} memory weights, and a checkpoint does not hold the depth of a uniform tree. "
            "Pass depth=J, or max_length=L (the padded length it was made for), from which the authors' code computes it."
        )
    if select == "fading" and m != J + 1:
        raise ValueError(f"tree_select='fading' at depth {J} ({depth_source}) needs m = {J + 1} memory weights; w has m = {m}")
    items = [
        Derived("kernel_size", K, "h0 [D, 1, K]"),
        Derived("tree_select", select, select_source, assumed),
        Derived("depth", J, depth_source, depth_assumed),
        Derived("memory_size", None if select == "fading" else m, "w has m + 1 columns"),
    ]
    if length is None:
        length = receptive_field(J, K)
        return [*items, Derived("max_length", length, "not in the file: the longest that this depth covers", True)]
    return [*items, Derived("max_length", length, "given")]


def check_fading_fits(m: int, J: int | None, source: str) -> None:
    """Raise a ValueError unless m memory weights fit a fading tree (of depth J, if it is known); it says what can be done."""
    if J is not None and m != J + 1:
        raise ValueError(
            f"m = {m} memory weights do not fit a fading tree of depth {J} ({source}): it would have {J + 1}. For a uniform tree "
            f"pass tree_select='uniform' too; for a fading tree, whose depth is m - 1 = {m - 1}, leave depth and max_length out"
        )
    if not 2 <= m <= MAX_DEPTH + 1:
        raise ValueError(
            f"tree_select must be given: m = {m} memory weights do not fit a fading tree, whose depth m - 1 is between 1 and "
            f"{MAX_DEPTH}. For a uniform tree pass tree_select='uniform' with depth=J or max_length=L"
        )


def derive_values(kind: str, given: dict[str, Any]) -> list[Derived]:
    """n_values, which only an autoregressive network has: the one that is given, else the number of the authors' code."""
    if "n_values" in given:
        return [Derived("n_values", given["n_values"], "given")]
    source = "not in the file: the number of the authors' code"
    return [Derived("n_values", AUTHORS_VALUES, source, True)] if kind == "autoregressive" else []


def assumption_text(items: list[Derived]) -> str:
    """The assumptions that the network's outputs or scores depend on, and how to give these settings; "" if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> tensors = {"seq_layers.0.h0": np.zeros((8, 1, 4)), "seq_layers.0.w": np.zeros((8, 6))}
    >>> print(assumption_text(derive(tensors)))
    assumed tree_select='fading' and depth=4, which the file does not hold: its m = 5 memory weights fit a fading tree of depth 4.
    If that is right, say so with tree_select='fading'; for a uniform tree give tree_select='uniform' and depth=J or max_length=L.
    >>> assumption_text(derive(tensors, tree_select="fading"))
    ''
    """
    values = {item.name: item.value for item in items}
    assumed = [f"{item.name}={item.value!r}" for item in items if item.assumed and item.name in AFFECTS_OUTPUTS]
    if not assumed:
        return ""
    tree, J = any(item.name == "tree_select" and item.assumed for item in items), values["depth"]
    why, ways = [], []
    if tree:
        why.append(f"its m = {J + 1} memory weights fit a fading tree of depth {J}")
        ways.append("tree_select='fading'; for a uniform tree give tree_select='uniform' and depth=J or max_length=L")
    if any(item.name == "n_values" and item.assumed for item in items):
        why.append(f"the authors' densities have {AUTHORS_VALUES} values a pixel")
        ways.insert(0, f"n_values={AUTHORS_VALUES}")
    listed, reasons, said = " and ".join(assumed), ", and ".join(why), " and ".join(ways)
    return f"assumed {listed}, which the file does not hold: {reasons}.\nIf that is right, say so with {said}."


def count_layers(tensors: Tensors) -> int:
    """The number of layers: the largest number in seq_layers.0.h0, ... plus 1, which cannot be more than there are tensors."""
    found = {int(match[1]) for match in (re.match(r"seq_layers\.([0-9]{1,9})\.", name) for name in tensors) if match}
    layers = 1 + max(found)
    if layers > len(tensors):
        raise ValueError(
            f"the checkpoint has keys seq_layers.{layers - 1}, as if it had {layers:,} layers; it holds {len(tensors)} tensors, "
            f"of {len(found)} layers"
        )
    return layers


def sizes(tensors: Tensors) -> tuple[int, int, int]:
    """D, K and m, as most layers have them (`check_tensors` reports a layer that has another shape)."""
    filters = [a.shape for name, a in tensors.items() if re.fullmatch(r"seq_layers\.[0-9]{1,9}\.h[01]", name) and a.ndim == 3]
    weights = [a.shape for name, a in tensors.items() if re.fullmatch(r"seq_layers\.[0-9]{1,9}\.w", name) and a.ndim == 2]
    if not filters or not weights:
        held = ", ".join(sorted(tensors)[:6]) or "nothing"
        raise ValueError(
            "no MultiresConv checkpoint: expected keys seq_layers.0.h0 [D, 1, K], .h1, seq_layers.0.w [D, m + 1], ...; "
            f"got {len(tensors)} tensors: {held}"
        )
    return most_common(s[0] for s in filters), most_common(s[2] for s in filters), most_common(s[1] for s in weights) - 1


def most_common(numbers: Iterable[int]) -> int:
    """The number that occurs most often."""
    return Counter(numbers).most_common(1)[0][0]


def describe(items: list[Derived]) -> str:
    """The settings and their sources as a small table.

    Examples
    --------
    >>> print(describe([Derived("depth", 4, "given"), Derived("norm", "layer", "no running_mean")]))
    depth  4      given
    norm   layer  no running_mean
    """
    wide = [max(len(str(item[column])) for item in items) for column in range(2)]
    return "\n".join(f"{item.name:<{wide[0]}}  {item.value!s:<{wide[1]}}  {item.source}" for item in items)
