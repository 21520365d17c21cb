"""Training: objectives, the optimiser, the data, one step, a whole run, its checkpoints.

`config.py`, `data.py`, `objectives.py`, `optim.py` and `device.py` are the parts, `step.py` is one training step, and
`evaluate.py` gives the score of a split. `loop.py` is a whole run, and `run_state.py` what a run is made of between two steps;
`checkpoint.py` and `run_folder.py` are its files, `console.py` its progress bar and Ctrl-C.
"""
