"""The usual mistakes that `compare` tries, by name, what is right instead, and where in the network each of them acts."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..network import NetworkConfig
from ..tree import depth_for, kept_per_level

STAGES = ("input", "conv", "gelu", "mix", "glu", "mix2", "norm")  # of a block, in order
Place = tuple[int, int]  # (block, stage); the encoder is in block -1, the pooling and the decoder are in block n_layers


class Mistake(NamedTuple):
    """A usual mistake."""

    name: str
    switches: dict[str, Any]  # of `Mistakes`, that make it
    right: str  # what is right instead
    acts: str = "conv"  # the first stage that it changes
    needs: str = ""  # one of the `traits` of a network, where the mistake is possible in some networks only


ORDER = "the weights of the memory are those of a_J, b_J, ..., b_1, in this order: coarse to fine"
TAPS = "conv1d multiplies the newest sample by the last tap, which is h0[:, 0] here"
DILATION = "level i has dilation 2^(i-1), starting from 1, whatever K is"
CAUSAL = "causal: (K - 1) 2^(i-1) zeros on the left of level i, none on the right"
GATE = "of the 2 D channels the first D are the values, the last D the gates: u[:, :D] * sigmoid(u[:, D:])"
EPSILON = "1e-5 is added to the variance before the square root is taken"
MEAN = "the classifier takes the mean over time, over the true length of each sequence"
SHARED = "every channel has filters of its own, [D, 1, K] with groups=D"
USUAL_MISTAKES = [
    Mistake("taps in the opposite order", {"taps": "reversed"}, TAPS),
    Mistake("taps of h0 in the opposite order", {"taps": "h0 reversed"}, f"{TAPS}, for h0 as for h1"),
    Mistake("taps of h1 in the opposite order", {"taps": "h1 reversed"}, f"{TAPS}, for h1 as for h0"),
    Mistake(
        "detail and approximation swapped", {"filters": "swapped"}, "h0 makes the approximation, from which the next level starts"
    ),
    Mistake("h0 shared by all channels", {"shared": "h0"}, SHARED),
    Mistake("filters shared by all channels", {"shared": "both"}, SHARED),
    Mistake("skip weight missing", {"skip": "missing"}, "the output has one more term, w_skip x[n]"),
    Mistake("skip weight at the wrong end", {"skip": "first"}, "in the packed w it is the last column, after a_J, b_J, ..., b_1"),
    Mistake("skip weight taken as 1", {"skip": "one"}, "x[n] is multiplied by w_skip, one weight a channel"),
    Mistake("padding on the right", {"padding": "right"}, CAUSAL),
    Mistake("symmetric padding", {"padding": "symmetric"}, CAUSAL),
    Mistake("circular padding", {"padding": "circular"}, CAUSAL),
    Mistake("circular and symmetric padding", {"padding": "circular, symmetric"}, CAUSAL),
    Mistake("levels in the wrong order", {"weights": "fine to coarse"}, ORDER),
    Mistake("levels in the wrong order, a_J last", {"weights": "reversed"}, ORDER),
    Mistake("a_J last", {"weights": "a_J last"}, ORDER),
    Mistake(
        "readout of a level in the opposite order", {"readout": "oldest first"},
        "the weights of a level belong to its coefficients, the newest first", needs="uniform",
    ),
    Mistake("dilations in the wrong order", {"dilations": "coarse first"}, "level 1 is the finest and has dilation 1"),
    Mistake("dilations from 2", {"dilations": "from 2"}, DILATION),
    Mistake("dilations are powers of K", {"dilations": "powers of K"}, DILATION, needs="long filters"),
    Mistake("dilations grow linearly", {"dilations": "linear"}, DILATION),
    Mistake("no dilation", {"dilations": "none"}, DILATION),
    Mistake("one level too few", {"depth": "one less"}, "a tree of depth J has J levels, i = 1, ..., J", needs="fading"),
    Mistake("one level too many", {"depth": "one more"}, "a tree of depth J has J levels, i = 1, ..., J", needs="fading"),
    Mistake(
        "tanh for exact GELU", {"gelu": "tanh"},
        "GELU is x Phi(x) with erf; approximate='tanh' differs by up to 4.7e-4", "gelu",
    ),
    Mistake("ReLU for GELU", {"gelu": "relu"}, "the activation is GELU, x Phi(x)", "gelu"),
    Mistake("SiLU for GELU", {"gelu": "silu"}, "the activation is GELU, x Phi(x)", "gelu"),
    Mistake("halves of GLU swapped", {"glu": "first half gates"}, GATE, "glu"),
    Mistake("halves of GLU interleaved", {"glu": "interleaved"}, GATE, "glu"),
    Mistake(
        "second 1x1 convolution missing", {"mix2": "missing"},
        "autoregressive blocks have one more 1x1 convolution, D -> D, after the GLU", "mix2", "autoregressive",
    ),
    Mistake("residual sum missing", {"residual": "missing"}, "the block adds its input: Norm(x + r)", "norm"),
    Mistake("pre-norm for post-norm", {"norm": "pre"}, "the norm comes after the residual sum", "input"),
    *(Mistake(f"eps of the norm {eps:g}", {"eps": eps}, EPSILON, "norm") for eps in (1e-6, 1e-3, 1e-8, 1e-12)),
    Mistake(
        "unbiased variance in the norm", {"variance": "unbiased"},
        "the variance is a sum divided by n; torch.var and torch.std divide by n - 1 unless correction=0 is given", "norm",
    ),
    Mistake(
        "biased running variance in BatchNorm", {"running": "biased"},
        "the variance that enters running_var is divided by n - 1", "running",
    ),
    Mistake(
        "batch statistics in evaluation", {"statistics": "batch"},
        "in evaluation BatchNorm uses its running statistics", "norm", "batch",
    ),
    Mistake(
        "input not shifted by one step", {"shift": "none"},
        "the autoregressive output at n must not see x[n]", "encoder", "autoregressive",
    ),
    Mistake(
        "mean over the padding", {"lengths": "ignored"},
        "the mean is over the true length of each sequence", "pool", "lengths",
    ),
    Mistake("maximum over time", {"pooling": "max"}, MEAN, "pool", "classifier"),
    Mistake("last step taken", {"pooling": "last"}, MEAN, "pool", "classifier"),
    Mistake("sum over time", {"pooling": "sum"}, MEAN, "pool", "classifier"),
]  # fmt: skip


def possible_mistakes(config: NetworkConfig, length: int, with_lengths: bool) -> list[Mistake]:
    """The mistakes that are possible in a network; first come the other trees that the same weights fit."""
    traits = {"", config.kind, config.tree_select, config.norm}
    traits |= {"lengths"} if with_lengths else set()
    traits |= {"long filters"} if config.kernel_size > 2 else set()
    return other_trees(config, length) + [mistake for mistake in USUAL_MISTAKES if mistake.needs in traits]


def other_trees(config: NetworkConfig, length: int) -> list[Mistake]:
    """Every other tree that the same weights fit; a checkpoint does not say with which of them it was trained.

    Examples
    --------
    >>> [mistake.name for mistake in other_trees(NetworkConfig(3, 10, 8, 1, max_length=8), length=8)]
    ['uniform tree of depth 2', 'uniform tree of depth 3', 'uniform tree of depth 4']
    """
    if not config.tied:
        return []
    K, m = config.kernel_size, config.m
    deepest = min(max(config.J if config.tree_select == "uniform" else 1, depth_for(length, K)) + 1, 20)
    found = [("fading", m - 1)] if m >= 2 else []
    found += [("uniform", J) for J in range(1, deepest + 1) if 1 + sum(kept_per_level(J, K, "uniform", m)) == m]
    return [
        Mistake(
            f"{select} tree of depth {J}", {"tree": (select, J)},
            f"load the checkpoint with tree_select='{select}', depth={J}, if that is the tree it was trained with",
        )
        for select, J in found if (select, J) != (config.tree_select, config.J)
    ]  # fmt: skip


def place_of(name: str, n_layers: int) -> Place:
    """Where a layer is, as numbers that can be ordered: "blocks.1.gelu" is (1, 2)."""
    if name.startswith("blocks."):
        _, block, stage = name.split(".")[:3]
        return int(block), STAGES.index(stage)
    return {"encoder": (-1, 0), "pool": (n_layers, 0)}.get(name, (n_layers, 1))


def acts_at(mistake: Mistake, block: int, n_layers: int) -> Place:
    """The first place that a mistake changes, if it is in this block (or outside the blocks)."""
    if mistake.acts in STAGES:
        return block, STAGES.index(mistake.acts)
    return place_of(mistake.acts, n_layers)


def scopes(group: tuple[Mistake, ...], first: str, right: str | None, n_layers: int) -> dict[str, range]:
    """In which blocks mistakes may be that change the layer `first` and not the layer `right`, the last one that agrees.

    Examples
    --------
    >>> scopes((USUAL_MISTAKES[0],), "blocks.2.conv", "blocks.0.norm", 4)
    {'in block 1 and all after it': range(1, 4), 'in block 1 only': range(1, 2), 'in block 2 only': range(2, 3)}
    """
    end, start = place_of(first, n_layers), (-2, 0) if right is None else place_of(right, n_layers)
    acting = {s.acts for s in group}
    if not acting & {*STAGES, "running"}:
        return {"outside the blocks": range(0)} if all(start < acts_at(s, 0, n_layers) <= end for s in group) else {}
    if ("running" in first) != (acting == {"running"}):
        return {}
    pre = any(s.switches.get("norm") == "pre" for s in group)  # what changes the norm then acts before the block's convolution
    group = tuple(s._replace(acts="input") if pre and s.acts == "norm" else s for s in group)
    group = tuple(s._replace(acts="norm") if s.acts == "running" else s for s in group)
    inside = [s for s in group if s.acts in STAGES]
    if not all(any(start < acts_at(s, i, n_layers) <= end for i in range(n_layers)) for s in group):
        return {}
    possible = [i for i in range(n_layers) if any(start < acts_at(s, i, n_layers) <= end for s in inside)]
    low = possible[0]
    every = "in every block" if low == 0 else f"in block {low} and all after it"
    places = {every: range(low, n_layers)} if low == 0 or low < n_layers - 1 else {}
    if n_layers > 1:
        places |= {f"in block {i} only": range(i, i + 1) for i in possible}
    return places
