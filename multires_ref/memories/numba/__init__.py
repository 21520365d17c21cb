"""Compiled loops over many samples (Numba), one file for the memory of the same name.

Each takes constants, the samples [C, T], the state, which it updates in place, and `out` [C, T, m], which gets the state after
every sample; an `out` [C, 0, m] asks for none of them.
"""

FASTMATH = {"contract", "reassoc", "nsz", "arcp"}  # sums may be reordered; NaN and inf stay what they are
