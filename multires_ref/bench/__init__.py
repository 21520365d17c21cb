"""Benchmarks: one module each, run by `multires-ref bench NAME`."""
