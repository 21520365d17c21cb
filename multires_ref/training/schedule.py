"""The learning rate of every step: linear warm-up from 0, then a cosine to 0."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, lr: float, warmup: int = 0) -> float:
    """The rate of step number `step` (counted from 0) of `steps`.

        step < warmup     lr step / warmup
        else              lr (1 + cos(pi (step - warmup) / (steps - warmup))) / 2

    Notes
    -----
    The authors' scripts: PyTorch's `CosineAnnealingLR`, and `get_cosine_schedule_with_warmup` of the transformers package.
    The very first step of a warm-up has rate 0.

    Examples
    --------
    >>> [round(learning_rate(n, 6, 1.0, warmup=2), 3) for n in range(6)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup:
        return lr * step / warmup
    return lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
