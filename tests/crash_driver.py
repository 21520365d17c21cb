"""Runs that are killed and resumed, many in a few seconds: a warm process forks one child for each.

It runs once itself, so that everything is imported, with NumPy's implementations only and one thread: nothing stands in the way
of a fork. Run as `python crash_driver.py FOLDER count | points | kills SEED | pairs`; the caller compares the folders.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from multires_ref.base import files
from multires_ref.base.lock import FolderInUse
from multires_ref.network import NetworkConfig
from multires_ref.ops import registry
from multires_ref.training import loop
from multires_ref.training.config import TrainingConfig
from multires_ref.training.data import Split
from multires_ref.training.objectives import get_objective

NETWORK = NetworkConfig(1, 2, d_model=3, n_layers=1, max_length=8, norm="batch", dropout=0.2)
TRAINING = TrainingConfig(epochs=2, batch_size=8, lr=0.02, clip=0.5, engine="tree", checkpoint_seconds=0.0)
CRASHED, IN_USE, DAMAGED = 9, 10, 11


def splits():
    """24, 8 and 8 noisy lines that rise (class 1) or fall (class 0)."""
    rng = np.random.default_rng(5)

    def part(N):
        y = rng.integers(0, 2, N)
        return Split((2 * y - 1)[:, None, None] * np.linspace(-1, 1, 8) + rng.standard_normal((N, 1, 8)), y)

    return {name: part(N) for name, N in (("train", 24), ("val", 8), ("test", 8))}


def train(out):
    """Begin the run in `out`, or go on with it: what a user would do who sees only what is in the folder."""
    resume = (out / "last.safetensors").exists()
    loop.fit(NETWORK, TRAINING, splits(), get_objective("classification"), out, resume=resume, quiet=True)


def child(work):
    """Start `work` in a child; returns its process id."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        except FolderInUse:
            os._exit(IN_USE)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(DAMAGED)
    return process


def status(process):
    """How the child ended: its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def complete(out):
    """Resume until the run is complete."""
    assert status(child(lambda: train(out))) == 0, out


class CrashPoints:
    """Counts every call by which a file changes, before it and after it; at number `at` the process ends on the spot."""

    def __init__(self, at):
        self.at, self.seen = at, []
        self.open = open
        files.open = self.opened
        for name in ("fsync", "replace", "mkdir", "unlink", "ftruncate"):
            setattr(os, name, self.around(name, getattr(os, name)))

    def tick(self, what):
        self.seen.append(what)
        if len(self.seen) == self.at:
            os._exit(CRASHED)

    def around(self, name, call):
        def wrapped(*args, **kwargs):
            self.tick(f"before {name}")
            result = call(*args, **kwargs)
            self.tick(f"after {name}")
            return result

        return wrapped

    def opened(self, path, mode):
        """An open file that writes its bytes in two halves, each on the disk at once."""
        self.tick(f"before open {path.name}")
        file = self.open(path, mode, buffering=0)
        self.tick(f"after open {path.name}")
        write = file.write

        class Halves:
            def write(_, data):
                half = len(data) // 2
                write(data[:half])
                self.tick(f"half of {path.name}")
                write(data[half:])
                self.tick(f"all of {path.name}")

            flush, fileno = file.flush, file.fileno

            def __enter__(_):
                return _

            def __exit__(_, *exception):
                file.close()

        return Halves()


def count(folder):
    """Names of all crash points, in crash-points.json."""

    def dry_run():
        points = CrashPoints(0)
        train(folder / "dry" / "run")
        (folder / "crash-points.json").write_text(json.dumps(points.seen))

    assert status(child(dry_run)) == 0


def points(folder):
    """One run for every crash point: it crashes there and is resumed."""
    for n in range(1, len(json.loads((folder / "crash-points.json").read_text())) + 1):
        out = folder / f"point-{n}" / "run"

        def crash(n=n, out=out):
            CrashPoints(n)
            train(out)

        assert status(child(crash)) == CRASHED, n
        complete(out)


def kills(folder, seed, runs=40):
    """Runs that SIGKILL ends at random moments, several times each, then left to complete."""
    rng = np.random.default_rng(seed)
    began = time.monotonic()
    complete(folder / "warm" / "run")
    longest, hit = time.monotonic() - began, 0
    for n in range(runs):
        out = folder / f"kill-{n}" / "run"
        for _ in range(int(rng.integers(1, 4))):
            process = child(lambda out=out: train(out))
            time.sleep(rng.uniform(0, longest))
            os.kill(process, signal.SIGKILL)
            hit += status(process) == -signal.SIGKILL
        complete(out)
    (folder / "kills.json").write_text(json.dumps(hit))


def pairs(folder, runs=12):
    """Two processes at once on one folder, at its beginning and in its middle; the statuses in pairs.json."""
    ends = []
    for n in range(runs):
        out = folder / f"pair-{n}" / "run"
        if n % 2:
            process = child(lambda out=out: stopped_after(out, 3))
            assert status(process) == CRASHED
        two = [child(lambda out=out: slowly(out)) for _ in range(2)]
        ends.append(sorted(status(process) for process in two))
        complete(out)
    (folder / "pairs.json").write_text(json.dumps(ends))


def stopped_after(out, steps):
    """Train that many steps and end on the spot."""
    step, done = loop.train_step, []

    def counted(*args):
        if len(done) == steps:
            os._exit(CRASHED)
        done.append(1)
        return step(*args)

    loop.train_step = counted
    train(out)


def slowly(out):
    """Train with a pause in every step, longer in all than another process waits for the lock."""
    step = loop.train_step

    def slow(*args):
        time.sleep(0.15)
        return step(*args)

    loop.train_step = slow
    train(out)


if __name__ == "__main__":
    where, work, *rest = sys.argv[1:]
    registry.SOURCES["numpy"] = ("numpy",)
    with tempfile.TemporaryDirectory() as warm:
        train(Path(warm) / "run")
    {"count": count, "points": points, "kills": kills, "pairs": pairs}[work](Path(where), *map(int, rest))
