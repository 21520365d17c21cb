"""What a checkpoint of the authors' code tells about its network, what it does not, and whether its keys fit.

Shapes tell D, K, m, the layers, the inputs and outputs; names tell the kind of network and of norm. Not in the file: whether
the tree is fading or uniform, the depth of a uniform tree, the length sequences were padded to, and settings that matter only
for training (dropout, how parameters were started).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..base.checks import FLOATS, check_choice
from ..base.layer_checks import MAX_DEPTH
from ..network import NetworkConfig
from ..network.config import AUTHORS_VALUES
from ..tree import depth_for, receptive_field
from .keys import without_prefix

TOLD = ("depth", "max_length", "tree_select", "dropout", "wavelet", "filter_order", "indep_res_init", "n_values")
AFFECTS_OUTPUTS = ("tree_select", "depth", "n_values")  # the assumptions that `load_model` warns of


class Derived(NamedTuple):
    """One setting of the config, and where it comes from.

    `assumed` is True for a setting that is neither in the file nor given by the caller: it was decided here, and may be wrong.
    """

    name: str
    value: Any
    source: str
    assumed: bool = False


def derive(tensors: dict[str, np.ndarray], **told: Any) -> list[Derived]:
    """Every setting of the network that the tensors and `told` fix, each with its source.

    Parameters
    ----------
    tensors : dict of arrays by the authors' names
    told : any of depth, max_length, tree_select, dropout, wavelet, filter_order, indep_res_init, n_values
        A uniform tree needs `tree_select`, and `depth` or `max_length`, from which the authors' code computes it. Without
        `tree_select` a fading tree is assumed where m = depth + 1 fits, and marked as assumed.

    Raises
    ------
    ValueError
        For tensors that are no MultiresConv network, or naming what has to be told.

    Examples
    --------
    >>> tensors = {"seq_layers.0.h0": np.zeros((8, 1, 4)), "seq_layers.0.w": np.zeros((8, 13))}
    >>> for item in derive(tensors, tree_select="uniform", max_length=40)[6:]:
    ...     print(*item[:3], sep=" | ")
    kernel_size | 4 | h0 [D, 1, K]
    tree_select | uniform | told
    depth | 4 | max_length = 40 and K = 4
    memory_size | 12 | w has m + 1 columns
    max_length | 40 | told
    norm | layer | no running_mean
    """
    for name in told:
        check_choice("setting", name, TOLD)
    told = {name: value for name, value in told.items() if value is not None}
    tensors = without_prefix(tensors)
    D, K, m = sizes(tensors)
    encoder = tensors.get("encoder.weight", np.zeros((D, 1, 1)))
    embedding = encoder.ndim == 2
    autoregressive = any(re.fullmatch(r"mixing_layers\.[0-9]+\.3\.weight", name) for name in tensors)
    kind = "autoregressive" if autoregressive else "classifier"
    head = tensors.get(f"{find_head(tensors, kind)}.weight", np.zeros((1, D)))
    layers = count_layers(tensors)
    batch = any(name.endswith(".running_mean") for name in tensors)
    return [
        Derived("kind", kind, "mixing_layers.i.3 is there" if autoregressive else "no mixing_layers.i.3"),
        Derived("encoder", "embedding" if embedding else "linear", f"encoder.weight {shape_of(encoder)}"),
        Derived("d_input", encoder.shape[0 if embedding else 1], f"encoder.weight {shape_of(encoder)}"),
        Derived("d_output", head.shape[0], f"{find_head(tensors, kind)}.weight {shape_of(head)}"),
        Derived("d_model", D, "h0 [D, 1, K]"),
        Derived("n_layers", layers, "seq_layers.i"),
        *derive_tree(K, m, told),
        Derived("norm", "batch" if batch else "layer", "running_mean is there" if batch else "no running_mean"),
        *derive_values(kind, told),
        *(Derived(name, value, "told") for name, value in told.items() if name in TOLD[3:-1]),
    ]


def derive_tree(K: int, m: int, told: dict[str, Any]) -> list[Derived]:
    """tree_select, depth, memory_size and max_length, from K, m and what was told."""
    length, J, depth_source = told.get("max_length"), told.get("depth"), "told"
    select, select_source, assumed = told.get("tree_select"), "told", "tree_select" not in told
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
    return [*items, Derived("max_length", length, "told")]


def check_fading_fits(m: int, J: int | None, source: str) -> None:
    """Raise a ValueError that says both ways out unless m memory weights fit a fading tree (of depth J, where one is known)."""
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


def derive_values(kind: str, told: dict[str, Any]) -> list[Derived]:
    """n_values, which only a density has: as told, else the authors' number."""
    if "n_values" in told:
        return [Derived("n_values", told["n_values"], "told")]
    source = "not in the file: the number of the authors' code"
    return [Derived("n_values", AUTHORS_VALUES, source, True)] if kind == "autoregressive" else []


def assumption_text(items: list[Derived]) -> str:
    """One sentence on the assumptions that the network's outputs or scores rest on, and how to give them; "" if there are none.

    Examples
    --------
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


def count_layers(tensors: dict[str, np.ndarray]) -> int:
    """The number of layers, from the numbers in seq_layers.0.h0, ...; a file cannot claim more layers than it has tensors."""
    found = {int(match[1]) for match in (re.match(r"seq_layers\.([0-9]{1,9})\.", name) for name in tensors) if match}
    layers = 1 + max(found)
    if layers > len(tensors):
        raise ValueError(
            f"the checkpoint has keys seq_layers.{layers - 1}, as if it had {layers:,} layers; it holds {len(tensors)} tensors, "
            f"of {len(found)} layers"
        )
    return layers


def sizes(tensors: dict[str, np.ndarray]) -> tuple[int, int, int]:
    """D, K and m, as most layers have them (a misshapen one is reported later, beside the others)."""
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
    return Counter(numbers).most_common(1)[0][0]


def find_head(tensors: dict[str, np.ndarray], kind: str) -> str:
    """Either "output_mapping" or "decoder": what is there, else what this kind of network calls it."""
    expected, other = ("decoder", "output_mapping") if kind == "autoregressive" else ("output_mapping", "decoder")
    return other if f"{other}.weight" in tensors and f"{expected}.weight" not in tensors else expected


def head_name(tensors: dict[str, np.ndarray], config: NetworkConfig) -> str:
    """`find_head` for a config."""
    return find_head(tensors, config.kind)


def expected_shapes(config: NetworkConfig, head: str) -> dict[str, tuple[int, ...]]:
    """Every key that a checkpoint of this network holds, and its shape."""
    D, K, m = config.d_model, config.kernel_size, config.m
    shapes = {"encoder.weight": (config.d_input, D) if config.encoder == "embedding" else (D, config.d_input, 1)}
    if config.encoder == "linear":
        shapes["encoder.bias"] = (D,)
    for i in range(config.n_layers):
        shapes |= {f"seq_layers.{i}.h0": (D, 1, K), f"seq_layers.{i}.h1": (D, 1, K), f"seq_layers.{i}.w": (D, m + 1)}
        shapes |= {f"mixing_layers.{i}.0.weight": (2 * D, D, 1), f"mixing_layers.{i}.0.bias": (2 * D,)}
        if config.kind == "autoregressive":
            shapes |= {f"mixing_layers.{i}.3.weight": (D, D, 1), f"mixing_layers.{i}.3.bias": (D,)}
        shapes |= {f"norms.{i}.weight": (D,), f"norms.{i}.bias": (D,)}
        if config.norm == "batch":
            shapes |= {f"norms.{i}.running_mean": (D,), f"norms.{i}.running_var": (D,), f"norms.{i}.num_batches_tracked": ()}
    tail = (1,) if config.kind == "autoregressive" else ()
    return shapes | {f"{head}.weight": (config.d_output, D, *tail), f"{head}.bias": (config.d_output,)}


def check_tensors(tensors: dict[str, np.ndarray], config: NetworkConfig) -> None:
    """Raise one ValueError that lists every missing, unknown and misshapen key, and every wrong dtype."""
    if config.n_layers > len(tensors):  # before anything is built for each of them
        raise ValueError(f"the settings say n_layers = {config.n_layers:,}; the checkpoint holds {len(tensors)} tensors")
    shapes = expected_shapes(config, head_name(tensors, config))
    problems = [f"missing: {name} {list(shape)}" for name, shape in shapes.items() if name not in tensors]
    problems += [f"unknown: {name} {shape_of(tensors[name])}" for name in tensors if name not in shapes]
    known = {name: tensors[name] for name in shapes if name in tensors}
    problems += [
        f"misshapen: {name} is {shape_of(array)}, expected {list(shapes[name])}"
        for name, array in known.items()
        if tuple(array.shape) != shapes[name]
    ]
    kinds = Counter(str(array.dtype) for name, array in known.items() if not name.endswith("num_batches_tracked"))
    common = next((kind for kind, _ in kinds.most_common() if kind in FLOATS), FLOATS[0])
    problems += [
        f"dtype: {name} is {array.dtype}, expected {'int64' if name.endswith('num_batches_tracked') else common}"
        for name, array in known.items()
        if (array.dtype.kind not in "iu" if name.endswith("num_batches_tracked") else str(array.dtype) != common)
    ]
    if problems:
        raise ValueError(f"the checkpoint does not fit a {config.kind} of {config.n_layers} layers:\n  " + "\n  ".join(problems))


def shape_of(array: np.ndarray) -> list[int]:
    return list(array.shape)


def describe(items: list[Derived]) -> str:
    """The settings and their sources as a small table.

    Examples
    --------
    >>> print(describe([Derived("depth", 4, "told"), Derived("norm", "layer", "no running_mean")]))
    depth  4      told
    norm   layer  no running_mean
    """
    wide = [max(len(str(item[column])) for item in items) for column in range(2)]
    return "\n".join(f"{item.name:<{wide[0]}}  {item.value!s:<{wide[1]}}  {item.source}" for item in items)
