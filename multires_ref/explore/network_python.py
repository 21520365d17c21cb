"""The lines of Python that compute what the page shows of a trained network: with NumPy, and from the file that is shown."""

from __future__ import annotations

from .network_data import Place, place_of
from .state import State
from .trained import LONGEST, Trained


def lines(state: State, trained: Trained) -> str:
    """Lines that run by themselves. They make h0, h1 (and start, where it is known), kernel_parts, kernel, x, v, z, estimate, and
    of a classifier logits, parts and names."""
    place = place_of(state, trained)
    blocks = [imports(trained), model_lines(trained, place), kernel_lines(), signal_lines(trained, place)]
    blocks.append(memory_lines(trained, place, state.n))
    if trained.config.kind == "classifier":
        blocks.append(decision_lines(trained, place))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def imports(trained: Trained) -> list[str]:
    """What the other lines use, and no more."""
    found = ["import numpy as np", "", "from multires_ref import load_model, memory"]
    found += ["from multires_ref.memories import memory_matrix, past, recover_past"]
    if trained.config.kind == "classifier":
        found += ["from multires_ref.plots.attribution import decision_parts"]
    found += [
        f"from multires_ref.plots.model import channel_of_layer, {'' if trained.before is None else 'initial_layers, '}layers"
    ]
    if trained.signal is not None:
        return [*found, "from multires_ref.base.signals import read_signal"]
    if trained.examples is None:
        return [*found, "from multires_ref.plots.signal import stand_in"]
    return [
        *found,
        "from multires_ref.plots.of_run import examples_of_run",
        "from multires_ref.training.checkpoint import about_run",
    ]


def model_lines(trained: Trained, place: Place) -> list[str]:
    """The model, and the filters of one channel, now and at the start."""
    level = f"[{place.level}]" if not trained.config.tied else ""
    found = [
        f"path = {str(trained.path)!r}",
        "model = load_model(path)",
        "config = model.config",
        f"layer, d = {place.layer}, {place.channel}  # counted from 0",
        "conv = channel_of_layer(layers(model)[layer], d)",
        f"h0, h1 = (conv[name]{level}[0] for name in ('h0', 'h1'))",
    ]
    if trained.before is None:
        return found
    seed = f"seed={trained.start['seed']}, dtype={trained.start['dtype']!r}"
    found += [f"before = channel_of_layer(initial_layers(config, {seed})[layer], d)"]
    return [*found, f"h0_start, h1_start = (before[name]{level}[0] for name in ('h0', 'h1'))"]


def kernel_lines() -> list[str]:
    """The long kernel, row by row of the memory."""
    return [
        "M, rows = memory_matrix(conv['h0'], conv['h1'], config.J, config.tree_select, config.m)  # z_n = M p_n",
        "M = M[0]",
        "kernel_parts = conv['w'][0][:, None] * M  # what each row of the memory adds",
        "kernel = kernel_parts.sum(axis=0)",
        "kernel[0] += conv['w_skip'][0]",
    ]


def signal_lines(trained: Trained, place: Place) -> list[str]:
    """What the network is shown."""
    kind = "" if trained.config.encoder == "embedding" else f".astype({str(trained.dtype)!r})"
    cut = f"x = x[..., :{LONGEST}]{kind}"
    if trained.signal is not None:
        take = [f"x, rate = read_signal({trained.signal_file!r})"] + (
            ["x = np.round(x[0]).astype(int)"] if trained.config.encoder == "embedding" else []
        )
    elif trained.examples is None:
        take = ["x = stand_in(config).x  # no data of this network"]
    else:
        take = [f"x = examples_of_run(path, about_run(path), config).signal({place.example}).x"]
    return [*take, cut]


def memory_lines(trained: Trained, place: Place, n: int) -> list[str]:
    """The layer's input, its memory, and the past that the memory tells of."""
    before = "encoder" if place.layer == 0 else f"blocks.{place.layer - 1}.norm"
    return [
        "seen = {}",
        "output = model(x[None], hook=lambda name, array: seen.__setitem__(name, array))",
        f"v = seen[{before!r}][0, d].astype(float)  # what the channel gets",
        "z = memory(v[None], conv['h0'], conv['h1'], config.J, config.tree_select, config.m)[0][0]  # [m, L]",
        f"n = min({n}, len(v) - 1)",
        "estimate = recover_past(z[:, n], M)  # of past(v, n, M.shape[1])",
    ]


def decision_lines(trained: Trained, place: Place) -> list[str]:
    """The decision by scale and lag."""
    return ["logits = output[0]", f"parts, names = decision_parts(model, x, target={place.target})  # they sum to <g, c>"]
