"""Losses, metrics, optimisers, schedules, the loop, checkpoints.

`step.py` is one training step, `loop.py` a whole run, `run_state.py` what a run is made of between two steps; the other
files are what these are built from.
"""
