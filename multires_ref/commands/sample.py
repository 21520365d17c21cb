"""Draw samples from a run of a density task: a picture of them, and the numbers.

multires-ref sample runs/digits-density-...                     25 images, into the run folder
multires-ref sample runs/digits-density-... --temperature 0.8   more typical ones
multires-ref sample runs/digits-density-... --complete          lower halves of test images
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ..base.checks import check_choice, check_int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    from ..training.device import DEVICES

    parser.add_argument("run", help="a run folder, or a checkpoint of an autoregressive network")
    parser.add_argument("--n", type=int, default=25, help="how many images (default: 25)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="1: the model as it is; below 1: more typical ones (default: 1.0)"
    )
    parser.add_argument("--complete", action="store_true", help="give the upper half of test images, draw the lower")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random numbers: it fixes the images (default: 0)")
    parser.add_argument(
        "--data-dir", metavar="DIR", help="for --complete: where the data are (default: where the run found them)"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where the arrays live (default: cpu)")
    parser.add_argument(
        "--out", metavar="FILE", help="the picture, .png or .svg; the numbers go beside it as .npz (default: RUN/samples.png)"
    )


def run(args: argparse.Namespace) -> int:
    """Sample, draw, write."""
    from ..authors.load import load_model
    from ..network.sampling import sample
    from ..training.device import check_device, model_to_device, to_numpy

    check_int("n", args.n, 1)
    check_int("seed", args.seed, 0)
    path, device = Path(args.run), check_device(args.device)
    model = model_to_device(load_model(path), device)
    out = output_path(args, path)
    given = upper_halves(path, args.n, args.data_dir) if args.complete else None
    began = time.perf_counter()
    x = to_numpy(sample(model, np.random.default_rng(args.seed), args.n, temperature=args.temperature, given=given))
    seconds = time.perf_counter() - began
    write(out, x, 0 if given is None else given.shape[-1], f"temperature {args.temperature:g}, seed {args.seed}")
    print(f"{args.n} samples of {x.shape[1]} x {x.shape[2]} numbers in {seconds:.1f} s: {out} and {out.with_suffix('.npz')}")
    return 0


def output_path(args: argparse.Namespace, path: Path) -> Path:
    """--out, or a name in the run folder."""
    if args.out is None:
        folder = path if path.is_dir() else path.parent
        return folder / ("completions.png" if args.complete else "samples.png")
    check_choice("the ending of --out", Path(args.out).suffix, (".png", ".svg"))
    return Path(args.out)


def upper_halves(path: Path, n: int, data_dir: str | None) -> np.ndarray:
    """The first half of the steps of n test sequences of the run's own task: [n, C, L // 2]."""
    from ..tasks import get_task
    from ..tasks.task import LoadOptions
    from ..training.checkpoint import about_run

    about = about_run(path)
    if "task" not in about:
        raise ValueError(f"{path} does not say which task it was trained on, so there are no images to complete")
    x = get_task(about["task"]).load(LoadOptions.of_run(about, data_dir))["test"].x
    if n > len(x):
        raise ValueError(f"n must be at most {len(x)}, the test images there are; got {n}")
    return x[:n, :, : x.shape[2] // 2]


def write(out: Path, x: np.ndarray, given: int, title: str) -> None:
    """The picture, and beside it the numbers: samples [N, C, L] and how many of the first steps were given."""
    from ..base.tensors import write_npz
    from ..plots.sequences import plot_samples
    from ..plots.style import save

    save(plot_samples(x, given=given, title=title), out)
    write_npz(out.with_suffix(".npz"), samples=x, given=np.asarray(given))
