"""The progress bar of a run: loss, score, learning rate, speed and time left."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """A tqdm bar over all steps of a run; nothing at all where `quiet`. On standard error, seldom where that is a file."""

    def __init__(self, steps: int, done: int, quiet: bool) -> None:
        from tqdm import tqdm

        seconds = 0.5 if sys.stderr.isatty() else 15.0
        self.bar = tqdm(total=steps, initial=done, disable=quiet, mininterval=seconds, unit="step", dynamic_ncols=True)
        self.shown: dict[str, Any] = {}

    def show(self, **numbers: Any) -> None:
        """Numbers that stand beside the bar from the next redrawing on."""
        self.shown |= numbers
        self.bar.set_postfix(self.shown, refresh=False)

    def step(self) -> None:
        """One step more."""
        self.bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()
