"""Let PyTorch compute what tutorial 7 compares with, so that the tutorial itself needs no PyTorch.

    python tutorials/data/pytorch_layers.py          needs PyTorch and tests/data

authors.safetensors    the parameters of tests/data/classifier_layernorm.pth by the authors' names, nothing else
pytorch_layers.npz     x, and every layer's output by PyTorch, as [B, D, L]: "float64/<layer>", "float32/<layer>", and
                       "planted/<layer>", in float64, of the same network with a mistake in it
authors_gradients.npz  the authors' own loss and gradients of that network, from tests/data/classifier_layernorm.npz
compare.txt            what `multires_ref.compare` says about the network with the mistake
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from multires_ref import compare, load_model
from multires_ref.authors.load import read_checkpoint
from multires_ref.authors.torch_model import to_torch
from multires_ref.base.files import write_whole
from multires_ref.diagnose.matching import authors_layers
from multires_ref.diagnose.modules import Runner
from multires_ref.diagnose.record import cast_model
from multires_ref.diagnose.verify import channels_last

HERE = Path(__file__).parent
CHECKPOINT = HERE.parent.parent / "tests" / "data" / "classifier_layernorm"


def layers_of(module: torch.nn.Module, x: np.ndarray, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Every layer's output of the module in evaluation mode, as [B, D, L]."""
    values = Runner(module, str(x.dtype)).run(x, None, names).values
    return {name: np.moveaxis(a, -1, 1) if channels_last(name, module.config) else a for name, a in values.items()}


def with_mistake(module: torch.nn.Module) -> torch.nn.Module:
    """The mistake: in the second block the filters' taps are stored in the opposite order."""
    layer = module.seq_layers[1]
    with torch.no_grad():
        for h in (layer.h0, layer.h1):
            h.copy_(h.flip(-1))
    return module


def main() -> None:
    """All three files."""
    tensors = read_checkpoint(CHECKPOINT.with_suffix(".pth")).tensors
    write_whole(HERE / "authors.safetensors", save({name: np.ascontiguousarray(a) for name, a in tensors.items()}))
    model = load_model(HERE / "authors.safetensors", max_length=32, tree_select="fading")
    with np.load(CHECKPOINT.with_suffix(".npz")) as z:
        x = z["x"][:2]
        theirs = {name: z[name] for name in z if name in ("x", "target", "loss", "eval_output") or name.startswith("grad/")}
    names = {key: ours for key, ours in authors_layers(model.config).items() if not ours.endswith(".input")}
    arrays = {"x": x}
    for dtype in ("float64", "float32"):
        values = layers_of(to_torch(cast_model(model, dtype)), x.astype(dtype), names)
        arrays |= {f"{dtype}/{name}": a for name, a in values.items()}
    wrong = with_mistake(to_torch(cast_model(model, "float64")))
    arrays |= {f"planted/{name}": a for name, a in layers_of(wrong, x, names).items()}
    for name, held in (("pytorch_layers.npz", arrays), ("authors_gradients.npz", theirs)):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **held)
        write_whole(HERE / name, buffer.getvalue())
    write_whole(HERE / "compare.txt", f"{compare(wrong, model, x)}\n".encode())


if __name__ == "__main__":
    main()
