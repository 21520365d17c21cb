"""Operations compiled by Numba, under the file names of `ops/`. `_compile.py` says what they have in common."""
