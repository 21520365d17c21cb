"""Train a small digits network in several variants, several seeds each, and keep the scores in ablations.json.

    OMP_NUM_THREADS=1 python tutorials/data/ablations.py           about ten minutes on one core
    OMP_NUM_THREADS=1 python tutorials/data/ablations.py --seeds 2 --out /tmp/ablations.json

Every variant changes one setting of the same network and keeps the rest: data, epochs, rates, batch size and seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from multires_ref.base.files import write_json
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.loop import fit
from multires_ref.training.objectives import get_objective

BASE = {"d_model": 16, "n_layers": 2, "kernel_size": 2, "dropout": 0.0, "epochs": 15}
BASE |= {"lr": 0.01, "batch_size": 50, "engine": "tree"}
VARIANTS = {  # name -> what changes against BASE (which is tied, fading, random filters, depth 6: all 64 pixels in sight)
    "base": {},
    "untied filters": {"tied": False},
    "uniform memory": {"tree_select": "uniform", "memory_size": 7},  # as many numbers as fading's 6 + 1
    "Haar init": {"wavelet": "haar"},
    "depth 1": {"depth": 1},
    "depth 2": {"depth": 2},
    "depth 3": {"depth": 3},
    "depth 4": {"depth": 4},
}
KEPT = ("test_accuracy", "test_loss", "val_accuracy", "parameters")


def run_once(changes: dict, seed: int) -> dict:
    """Train one network on the digits; its scores."""
    task = get_task("digits")
    network, training = task.settings(**BASE, **changes, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        metrics = fit(network, training, task.load(LoadOptions()), get_objective(task.objective), f"{folder}/run", quiet=True)
    return {"seed": seed} | {name: metrics[name] for name in KEPT}


def main() -> None:
    """Every variant with every seed; the file is written after each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("ablations.json"))
    args = parser.parse_args()
    done = {"task": "digits", "base": BASE, "variants": {}}
    for name, changes in VARIANTS.items():
        done["variants"][name] = {"changes": changes, "runs": [run_once(changes, seed) for seed in range(args.seeds)]}
        write_json(args.out, done)
        print(json.dumps({name: [round(r["test_accuracy"], 4) for r in done["variants"][name]["runs"]]}), flush=True)


if __name__ == "__main__":
    main()
