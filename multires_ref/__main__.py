"""The `multires-ref` command and `python -m multires_ref`: chooses NumPy's BLAS kernels, then hands over to `cli.py`.

NumPy's wheels bring an OpenBLAS that takes its AVX2 kernels on AMD's newer processors (seen on a Zen 5), though the AVX-512 ones
run, nearly twice as fast. Which kernels it takes is settled when NumPy loads, so it is said before that, and only here: a library
must not change what its user's other programs do. OPENBLAS_CORETYPE, if set, stands.
"""

from __future__ import annotations

import os
import sys

NEEDED = {"AuthenticAMD", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}  # what OpenBLAS's SkylakeX kernels use


def prefer_avx512(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Ask OpenBLAS for its AVX-512 kernels where an AMD processor has them; says whether it did.

    Examples
    --------
    >>> prefer_avx512("/no/such/file")
    False
    """
    try:
        with open(cpuinfo) as file:
            words = set(file.read().split())
    except OSError:
        return False
    if not words >= NEEDED or "OPENBLAS_CORETYPE" in os.environ or "numpy" in sys.modules:
        return False
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    return True


def main() -> int:
    """Run the command."""
    prefer_avx512()
    from .cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
