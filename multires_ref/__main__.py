"""`python -m multires_ref ...` is `multires-ref ...`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m multires_ref"))
