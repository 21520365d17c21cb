"""The signals of the page: the built-in ones, and the user's from files, bounded and checked."""

from __future__ import annotations

import base64
import binascii
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from ..base.checks import check_choice
from ..base.signals import SUFFIXES, read_signal
from ..memories.examples import example_signals
from .state import MAX_LENGTH, State
from .view import Material, Recording

LENGTH = 1024  # samples of a built-in signal
CLICK = 500  # when the click sounds
LARGEST_FILE = 16 * 2**20  # bytes that are taken from the browser
MAX_FILES = 8  # signals that one page holds


@cache
def built_in() -> dict[str, Recording]:
    """The signals that are always there, 1,024 samples each, drawn with a fixed seed.

    Examples
    --------
    >>> {name: recording.x.shape for name, recording in built_in().items()}
    {'ECG': (1, 1024), 'chirp': (1, 1024), 'click': (1, 1024), 'steps': (1, 1024), 'noise': (1, 1024), '1/f noise': (1, 1024)}
    """
    signals = example_signals(np.random.default_rng(0), LENGTH)
    signals |= {"click": np.eye(1, LENGTH, CLICK)[0], "noise": np.random.default_rng(0).standard_normal(LENGTH)}
    return {name: Recording(signals[name][None]) for name in ("ECG", "chirp", "click", "steps", "noise", "1/f noise")}


def signal_imports(state: State, material: Material) -> list[str]:
    """The public names that `signal_lines` uses."""
    if state.signal in material.recordings:
        return ["read_signal"]
    return [] if state.signal in ("click", "noise") else ["example_signals"]


def signal_lines(state: State, material: Material) -> list[str]:
    """The lines of Python that make the signal x [L]."""
    if state.signal in material.recordings:
        recording = material.recordings[state.signal]
        return [f"x = read_signal({recording.file!r})[0][{min(state.channel, len(recording.x) - 1)}]"]
    special = {"click": f"np.eye(1, {LENGTH}, {CLICK})[0]", "noise": f"np.random.default_rng(0).standard_normal({LENGTH})"}
    return [f"x = {special.get(state.signal, f'example_signals(np.random.default_rng(0), {LENGTH})[{state.signal!r}]')}"]


def signal_names(material: Material) -> list[str]:
    """All signals of the page."""
    return [*built_in(), *material.recordings]


def recording_of(name: str, material: Material) -> Recording:
    """The signal of that name.

    Raises
    ------
    ValueError
        If there is none, as for an address that names a file of another visit.
    """
    if name not in signal_names(material):
        check_choice("signal", name, signal_names(material))
    return (built_in() | material.recordings)[name]


def read_recording(path: Path, rate: float | None = None) -> Recording:
    """The signal in a file.

    Raises
    ------
    FileNotFoundError, ValueError
        As `base.signals.read_signal`; and for more than MAX_LENGTH samples.
    """
    x, found = read_signal(path, rate)
    if x.shape[-1] > MAX_LENGTH:
        raise ValueError(f"{path.name} must have at most {MAX_LENGTH:,} samples to be shown; it has {x.shape[-1]:,}")
    return Recording(x, found, str(path))


def uploaded(name: str, size: int, text: str) -> tuple[str, Recording]:
    """The signal in a file that the browser sent, and its name; its bytes come as base64.

    Raises
    ------
    ValueError
        For a file that is too large or no signal, in one sentence that names it.
    """
    name = Path(name).name[:100]
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{name!r} must end in {', '.join(SUFFIXES)}")
    if size > LARGEST_FILE or len(text) > 2 * LARGEST_FILE:
        raise ValueError(f"{name} is too large: {size:,} bytes, at most {LARGEST_FILE:,} (--signal FILE takes more)")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(f"{name} did not arrive whole: choose it again") from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"signal{suffix}"
        path.write_bytes(content)
        try:
            return name, read_recording(path)._replace(file=name)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), name).replace(path.name, name)) from None
