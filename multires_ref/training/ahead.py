"""Compile in a second process, where the first run on a machine would wait for Numba.

Numba compiles one function at a time in a process. When a run begins and nothing like it was compiled here before, a helper
process compiles what the run is going to need, from the last function of a training step to the first one. The run itself goes
from the first to the last. Both keep what they compile on disk, where the other finds it (`base/compiled.py`), and they meet in
the middle. The results are the same with and without the helper, because both compile the same.

The helper learns what will be needed by a training step in which no loop runs: see `only_noting`. It is not started where it
could not help: see `can_help`. It ends with the run, however that ends. MULTIRES_COMPILE_AHEAD=0 turns it off.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..base import code_cache, compiled
from ..base.arrays import Array
from ..base.threads import num_threads
from ..network.config import NetworkConfig
from .config import TrainingConfig
from .data import Split

SWITCH = "MULTIRES_COMPILE_AHEAD"
ENOUGH = 2**22  # elements of an array: a larger batch has no other loops, and would only take memory
SOURCES = ("engines/numba", "ops/numba", "training", "network")  # folders of the package that decide what a run needs
PATIENCE = 5.0  # seconds to wait for the helper's end
BEGIN = """
import sys, json
given = json.loads(sys.stdin.readline())
sys.path[:] = given["path"]
from multires_ref.training.ahead import help_with
help_with(given)
"""


@contextmanager
def compiling_ahead(network: NetworkConfig, training: TrainingConfig, objective: str, first: bool = True) -> Iterator[bool]:
    """A `with` block for a run on the CPU, beside which the helper works if it can help. Yields whether it does.

    `first` says whether this process is the first of those that train together.
    """
    marker = marker_of(network, training, objective) if first and can_help() else None
    if marker is None or marker.exists():
        yield False
        return
    settings = {"network": network.to_dict(), "training": training.to_dict(), "objective": objective}
    helper = start(settings | {"path": [path for path in sys.path if path], "marker": str(marker)})
    try:
        yield helper is not None
    finally:
        if helper is not None:
            stop(helper)


def can_help() -> bool:
    """Whether a second process may be started, finds a CPU that is not busy, and Numba is there.

    Not where this process is itself a helper that `multiprocessing` started.
    """
    if os.environ.get(SWITCH, "1") == "0" or num_threads() < 2 or busy() or find_spec("numba") is None:
        return False
    return multiprocessing.parent_process() is None


def busy() -> bool:
    """Whether other processes keep all CPUs at work: the run would then wait for a helper that has to wait itself."""
    try:
        return os.getloadavg()[0] > (os.cpu_count() or 1) - 0.5
    except (AttributeError, OSError):  # Windows does not say
        return False


def marker_of(network: NetworkConfig, training: TrainingConfig, objective: str) -> Path | None:
    """The file that says that a run of this kind was compiled here; None where compiled code cannot be kept.

    Sizes are no part of its name, because compiled loops take all sizes.
    """
    kind = [network.kind, network.encoder, network.norm, network.tree_select, network.tied, network.dropout > 0, objective]
    kind += [training.dtype, training.engine, training.optimizer, num_threads(), platform.node()]
    for place in code_cache.PLACES:
        with suppress(OSError):
            folders = [code_cache.prepared(place(), code_cache.PACKAGE / source) for source in SOURCES]
            name = hashlib.sha256(json.dumps([kind, [folder.name for folder in folders]]).encode()).hexdigest()[:16]
            return folders[0] / f"run-{name}.done"
    return None


def start(settings: dict[str, Any]) -> subprocess.Popen | None:
    """Start the helper and tell it what the run is; None where no process can be started."""
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        helper = subprocess.Popen([sys.executable, "-I", "-c", BEGIN], **quiet, text=True)
        assert helper.stdin is not None
        helper.stdin.write(json.dumps(settings) + "\n")
        helper.stdin.flush()
    except OSError:
        return None
    return helper


def stop(helper: subprocess.Popen) -> None:
    """End the helper. What it was compiling is lost; what it has kept stays whole, because files appear under their names when
    they are complete."""
    with suppress(OSError):
        helper.kill()
    with suppress(subprocess.TimeoutExpired, OSError):
        helper.communicate(timeout=PATIENCE)


# In the helper


def help_with(settings: dict[str, Any]) -> None:
    """Compile what the run needs, then leave the marker."""
    threading.Thread(target=end_with_run, daemon=True).start()
    network, training = NetworkConfig.from_dict(settings["network"]), TrainingConfig.from_dict(settings["training"])
    with np.errstate(all="ignore"):
        needed = loops_of_a_run(network, training, settings["objective"])
    for function, types in needed:
        function.compile(types)
    Path(settings["marker"]).touch()


def end_with_run() -> None:
    """End this process when the run has ended: nobody holds the other end of its input then."""
    sys.stdin.read()
    os._exit(0)


def loops_of_a_run(network: NetworkConfig, training: TrainingConfig, objective: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """What a run compiles, with the types of the arguments: first a training step's from its end to its beginning, then what
    validation needs besides."""
    from ..network import Model, init_params, init_state
    from .objectives import get_objective
    from .optim import adam_init, adam_step, clip_by_global_norm
    from .step import loss_and_gradients

    network, batch = replace(network, n_layers=min(2, network.n_layers)), blank_batch(network, training, objective)
    rng = np.random.default_rng(0)
    params, state = init_params(network, rng, training.dtype), init_state(network, training.dtype)
    loss = get_objective(objective, network)
    with compiled.only_noting() as step:
        _, grads, _ = loss_and_gradients(network, params, state, batch, rng, loss, training.engine)
        if training.clip is not None:
            grads = clip_by_global_norm(grads, training.clip)
        adam_step(params, grads, adam_init(params), training.lr, training)
    with compiled.only_noting() as validation:
        loss.loss(Model(network, params, state)(batch.x, batch.lengths, engine=training.engine), batch.y)
    return list(dict.fromkeys([*reversed(step), *validation]))


def blank_batch(network: NetworkConfig, training: TrainingConfig, objective: str) -> Split:
    """A batch of zeros: of the run's shape, or with fewer examples where that is enough for the same loops."""
    L = network.max_length
    B = max(1, min(training.batch_size, -(-ENOUGH // (L * network.d_model))))
    tokens = network.encoder == "embedding"
    x = np.zeros((B, L), np.int64) if tokens else np.zeros((B, network.d_input, L), training.dtype)
    targets: dict[str, Array] = {
        "classification": np.zeros(B, np.int64),
        "tagging": np.zeros((B, L), np.int64),
        "density": x,
    }
    y = targets.get(objective, np.zeros((B, network.d_output), training.dtype))
    return Split(x, y, np.full(B, L) if tokens else None)
