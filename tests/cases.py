"""The authors' reference cases of the convolution, random arguments for it, and how two arrays are held to each other."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from multires_ref.base.agreement import measure

DATA = Path(__file__).parent / "data"


def conv_cases() -> list[str]:
    """The names of the ten cases in conv.npz."""
    with np.load(DATA / "conv.npz") as z:
        return sorted({key.split("/")[0] for key in z.files})


def conv_case(name: str) -> dict:
    """One case: our arguments (lag order, skip weight apart), dy, and the authors' y and gradients in the same form."""
    with np.load(DATA / "conv.npz") as z:
        raw = {key.split("/")[1]: z[key] for key in z.files if key.startswith(name + "/")}
    lag = lambda h: h[:, 0, ::-1].copy()  # noqa: E731  [D, 1, K] newest last -> [D, K] newest first
    args = (raw["x"], lag(raw["h0"]), lag(raw["h1"]), raw["w"][:, :-1].copy(), raw["w"][:, -1].copy())
    grads = (raw["grad_x"], lag(raw["grad_h0"]), lag(raw["grad_h1"]), raw["grad_w"][:, :-1], raw["grad_w"][:, -1])
    tree_select = name.split("_")[1]
    options = {"tree_select": tree_select, "depth": int(re.search(r"_J(\d+)_", name)[1])}
    return {"args": args, "options": options, "dy": raw["dy"], "y": raw["y"], "grads": grads}


def random_arguments(rng, B=2, D=3, L=17, K=3, J=3, m=None, untied=False, dtype="float64"):
    """Arguments of `multires_conv` of the given shapes."""
    shape = (J, D, K) if untied else (D, K)
    m = J + 1 if m is None else m
    shapes = ((B, D, L), shape, shape, (D, m), (D,))
    return tuple(rng.standard_normal(s).astype(dtype) for s in shapes)


def gradients_of(g, args, **options):
    """The gradients of sum(g y) in the five arguments of `multires_conv`, by one backward pass."""
    from autograd.builtins import tuple as traced_tuple
    from autograd.core import make_vjp

    from multires_ref import multires_conv

    return make_vjp(lambda five: multires_conv(*five, **options), traced_tuple(tuple(args)))[0](g)


def assert_agrees(got, wanted, tolerance, what="", noise=0.0):
    """`measure`: nothing agrees that is not a number, that is empty, or that has another shape; each array by its own size."""
    error = measure(got, wanted, tolerance, noise)
    assert error.passed, f"{what}: {error}, shapes {np.shape(got)} and {np.shape(wanted)}"


def distance(got, wanted):
    """How far `got` is from `wanted`, by the norm or by the largest number, whichever is more; infinite where nothing agrees."""
    error = measure(got, wanted, np.inf)
    if not error.passed:
        return np.inf
    return max(error.relative, error.largest / max(float(np.abs(wanted).max()), 1e-300))


def plant_engine(monkeypatch, name, **changes):
    """Give the engine of that name another `forward`, `backward` or whatever else its record holds."""
    from multires_ref.engines import ENGINES

    monkeypatch.setitem(ENGINES, name, dataclasses.replace(ENGINES[name], **changes))
