"""Your numbers beside others: PyWavelets' relations, a PyTorch module layer by layer, gradients, rounding errors."""
