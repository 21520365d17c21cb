"""Benchmarks: the parts of `multires-ref bench`; `commands/bench.py` says which module holds which part."""
