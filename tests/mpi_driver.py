"""What the ranks run in the tests of MPI: `mpirun -n N python mpi_driver.py FOLDER WORK ...`; warnings are errors.

matrix            every objective with every norm, one run folder each
again             one case once more, for another look at its bits
gpu               one case on the stand-in for CuPy, which finds two devices; with its kernels where there is a compiler
train ...         `multires-ref train digits ...` on a small stand-in for the data; in the environment FAULT says what goes wrong:
                  KIND RANK STEP
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rank_cases
from stand_in import StandIn

import multires_ref.tasks
from multires_ref.base.ranks import Ranks
from multires_ref.distributed.launch import start_ranks
from multires_ref.training import loop, step

warnings.simplefilter("error")


def matrix(folder: Path) -> None:
    ranks = start_ranks()
    for objective, norm in rank_cases.CASES:
        rank_cases.train(objective, norm, folder / f"{objective}-{norm}", ranks, engine="tree")


def again(folder: Path) -> None:
    """Two of them, one with all that can differ: BatchNorm, unequal lengths, clipping, dropout."""
    ranks = start_ranks()
    for objective, norm in (("classification", "batch"), ("density", "layer")):
        rank_cases.train(objective, norm, folder / f"{objective}-{norm}", ranks, engine="tree")


def gpu(folder: Path) -> None:
    import fake_cupy
    import fake_cupy_device
    import pytest
    from cuda_on_cpu import have_compiler

    from multires_ref.ops import registry

    with fake_cupy.installed(pytest.MonkeyPatch()) as cupy:
        cupy.cuda.runtime.getDeviceCount = lambda: 2
        if not have_compiler():
            registry.SOURCES["cupy"] = ()
        ranks, engine = start_ranks(), "auto" if have_compiler() else "tree"
        rank_cases.train("classification", "batch", folder / "run", ranks, device="gpu", engine=engine)
        used = ranks.gather_objects(fake_cupy_device.used)
        if ranks.first:
            print("devices", used)


def train(folder: Path, *flags: str) -> None:
    task = StandIn("classes").task
    task = replace(task, training=replace(task.training, epochs=3, checkpoint_seconds=0.0))  # 9 steps, a checkpoint after each
    multires_ref.tasks.get_task = lambda name: task
    if "FAULT" in os.environ:
        kind, rank, at = os.environ["FAULT"].split()
        plant(FAULTS[kind], int(rank), int(at))
    from multires_ref.cli import main

    sys.exit(main(["train", "digits", "--out", str(folder / "run"), *flags]))


def plant(fault: Any, rank: int, at: int) -> None:
    """Let `fault` happen on a rank before its step number `at`."""
    real = loop.train_step

    def train_step(*args: Any) -> Any:
        ranks: Ranks = args[-1].ranks
        if ranks.rank == rank and args[3]["step"] == at:
            fault(args)
        return real(*args)

    loop.train_step = train_step


def kill(args: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop(args: Any) -> None:
    """A process that is there and does nothing any more."""
    os.kill(os.getpid(), signal.SIGSTOP)


def nan(args: Any) -> None:
    real = step.apply

    def apply(*args: Any, **kwargs: Any) -> Any:
        out, state = real(*args, **kwargs)
        return out * np.nan, state

    step.apply = apply


def full(args: Any) -> None:
    """No file may grow beyond 100 bytes from now on, which the operating system itself sees to."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def memory(args: Any) -> None:
    raise MemoryError("no memory for this array")


def differ(args: Any) -> None:
    """One bit of a parameter changes on this rank, as on a machine that is not quite well."""
    w = args[1]["encoder"]["weight"]
    w[0, 0] = np.nextafter(w[0, 0], 2)


def signalled(args: Any) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


FAULTS = {f.__name__: f for f in (kill, stop, nan, full, memory, differ, signalled)}

if __name__ == "__main__":
    where, work, *rest = sys.argv[1:]
    {"matrix": matrix, "again": again, "gpu": gpu, "train": train}[work](Path(where), *rest)
