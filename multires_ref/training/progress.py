"""The progress bar of a run: loss, score, learning rate, speed and time left."""

from __future__ import annotations

import sys
from typing import Any

from ..base.streams import Patient


class Progress:
    """A tqdm bar over all steps of a run; nothing at all where `quiet`. On standard error, seldom where that is a file.

    A standard error that is closed or broken does not stop the run.
    """

    def __init__(self, steps: int, done: int, quiet: bool) -> None:
        from tqdm import tqdm

        stream = Patient(sys.stderr)
        seconds = 0.5 if stream.isatty() else 15.0
        options = {"disable": quiet or sys.stderr is None, "mininterval": seconds, "dynamic_ncols": True}
        self.bar = tqdm(total=steps, initial=done, file=stream, unit="step", **options)
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
