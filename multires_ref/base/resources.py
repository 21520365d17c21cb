"""Where the files that belong to the package but hold no code are: the tutorials, and the stored data of the figures."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "resources"  # a wheel has them there (setup.py); a checkout has them beside the package


def resource_folder(name: str) -> Path:
    """The folder "tutorials" or "figures/data".

    Raises
    ------
    FileNotFoundError
        Where neither the installed package nor a checkout around it has the folder.

    Examples
    --------
    >>> (resource_folder("figures/data") / "bench.json").exists()
    True
    """
    for place in (INSTALLED, PACKAGE.parent):
        if (place / name).is_dir():
            return place / name
    raise FileNotFoundError(f"no folder {name!r} came with this installation: it is in the source distribution of multires_ref")
