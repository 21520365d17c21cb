"""The authors' side: checkpoints of their code in and out, and the model in PyTorch, under their names."""
