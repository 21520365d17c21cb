"""Compiled loops (Numba). A file has the name of the file in `network/` that it serves."""
