"""Beside other code: PyWavelets' relations, the authors' checkpoints, a PyTorch version of the model, layer-by-layer reports."""
