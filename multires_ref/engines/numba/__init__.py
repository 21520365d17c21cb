"""Compiled loops (Numba). A file has the name of the file in `engines/` that it serves; `horner.py`, `rows.py` and
`prefetch.py` belong to `fused.py`, `levels.py` serves `transform.py`, `taps.py` serves `signals/`."""

FASTMATH = {"contract", "reassoc", "nsz", "arcp"}  # sums may be reordered; without nnan and ninf, NaN and inf stay what they are
