"""Operations on CuPy arrays, under the file names of `ops/`. `_kernels.py` says what they have in common."""
