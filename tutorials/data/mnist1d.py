"""The MNIST-1D results of `multires-ref bench peers`, taken out of figures/data/peers.json: writes mnist1d.json.

python tutorials/data/mnist1d.py
"""

import json
from pathlib import Path

from multires_ref.base.files import write_json

HERE = Path(__file__).parent


def main() -> None:
    """{"machine", "runs": [{"method", "seed", "score", "fit_seconds"}]}."""
    peers = json.loads((HERE.parent.parent / "figures/data/peers.json").read_text())
    names = ("method", "seed", "score", "fit_seconds")
    runs = [{name: row[name] for name in names} for row in peers["results"] if row["data"] == "MNIST-1D"]
    write_json(HERE / "mnist1d.json", {"machine": peers["machine"], "runs": runs})


if __name__ == "__main__":
    main()
