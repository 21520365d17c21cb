"""Signals: the causal transform as users of PyWavelets expect it, sample by sample too, and a live signal without its noise."""
