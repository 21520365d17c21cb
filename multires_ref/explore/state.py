"""Every setting of the page in one frozen record, and the same as the part of the page's address that follows the "?".

`State.from_query` checks what an address says; what is wrong becomes a sentence for the page, and the default takes its place.
`to_query` is its inverse and names only what differs from the default, so that a link stays short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from ..base.checks import check_choice, check_int, check_number
from ..base.layer_checks import TREE_SELECTS, wavelet_names
from ..filters import FILTER_ORDERS
from ..tree import kept_per_level, receptive_field

MAX_TAPS, LARGEST_TAP = 102, 10.0  # the longest filters of PyWavelets, coif17's, have 102 taps
MAX_DEPTH = 10
MAX_SIZE = 64  # numbers of a uniform memory: more bars than that cannot be distinguished
MAX_LENGTH = 2**20  # samples of a signal
SPECIAL = ("random", "own")  # what `wavelet` may be besides a wavelet's name
THEMES = ("", "light", "dark")  # "": as the system is set


@dataclass(frozen=True)
class State:
    """The settings of the page.

    Parameters
    ----------
    view : str, the name of the view that is shown
    wavelet : a discrete wavelet of PyWavelets, "random" (drawn with `seed`, `K` taps) or "own" (the taps `h0`, `h1`)
    order : "analysis", "reversed" or "minimum_delay": the order of a wavelet's taps
    h0, h1 : tuples of floats, the own taps;  start : the wavelet that they were before a tap was moved, or ""
    depth : int, J;  tree_select : "fading" or "uniform"
    m : int, numbers in the uniform memory; 0 stands for J + 1, which the fading memory always has
    signal : name of the signal;  n : int, the time of the cursor;  rate : float, samples a second; 0: not known
    level, lag, kind : the coefficient of the tree that is looked at; level 0: none
    layer, channel, example, target : int, what is looked at in a trained network
    theme : "light", "dark", or "" for what the system is set to

    Raises
    ------
    TypeError, ValueError
        For a setting of another type or out of range.

    Examples
    --------
    >>> State(wavelet="db4", depth=3).to_query()
    {'wavelet': 'db4', 'depth': '3'}
    >>> State.from_query({"wavelet": "db4", "depth": "eleven"})
    (State(wavelet='db4'), ["depth must be a whole number; the address says 'eleven'. The default, 6, is used"])
    """

    view: str = "filters"
    wavelet: str = "db2"
    seed: int = 0
    order: str = "analysis"
    h0: tuple[float, ...] = ()
    h1: tuple[float, ...] = ()
    start: str = ""
    K: int = 4
    depth: int = 6
    tree_select: str = "fading"
    m: int = 0
    signal: str = "ECG"
    n: int = 540
    rate: float = 0.0
    level: int = 0
    kind: str = "a"
    lag: int = 0
    layer: int = 0
    channel: int = 0
    example: int = 0
    target: int = 0
    theme: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            CHECKS[field.name](field.name, getattr(self, field.name))
        if self.wavelet == "own" and not (len(self.h0) == len(self.h1) >= 2):
            raise ValueError(f"h0 and h1 must have the same number of taps, at least 2; got {len(self.h0)} and {len(self.h1)}")

    def __repr__(self) -> str:
        changed = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default)
        return f"State({', '.join(changed)})"

    @property
    def size(self) -> int:
        """m of the memory that TreeSelect picks: J + 1 for the fading one."""
        return self.m if self.tree_select == "uniform" and self.m else self.depth + 1

    def to_query(self) -> dict[str, str]:
        """The settings that differ from the default, as text."""
        return {f.name: in_text(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> tuple[State, list[str]]:
        """The settings that an address says, and a sentence for each that it says wrongly."""
        defaults, problems, good = cls(), [], {}
        for name, text in query.items():
            try:
                good[name] = read(name, text)
                if name != "wavelet" or good[name] != "own":
                    replace(defaults, **{name: good[name]})
            except (TypeError, ValueError) as error:
                good.pop(name, None)
                default = f". The default, {in_text(getattr(defaults, name)) or 'none'}, is used" if name in READERS else ""
                problems.append(f"{error}{default}")
        try:
            return cls(**good), problems
        except ValueError as error:  # own taps that do not fit together
            good = {name: value for name, value in good.items() if name not in ("wavelet", "h0", "h1")}
            return cls(**good), [*problems, f"{error}. The default, {defaults.wavelet}, is used"]


def in_text(value: Any) -> str:
    """A setting as text that `read` reads back: taps are separated by commas, floats keep all their digits."""
    if isinstance(value, tuple):
        return ",".join(map(repr, value))
    return repr(value) if isinstance(value, float) else str(value)


def read(name: str, text: str) -> Any:
    """The setting `name` in the text of an address, or of a field on the page.

    Raises
    ------
    ValueError
        For a name that no setting has, and for text that is no number where one belongs.

    Examples
    --------
    >>> read("depth", "6"), read("h0", "0.5, -0.25")
    (6, (0.5, -0.25))
    """
    check_choice("a setting in the address", name, READERS)
    reader, what = READERS[name]
    try:
        return reader(text)
    except ValueError:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise ValueError(f"{name} must be {what}; the address says {shown!r}") from None


def read_taps(text: str) -> tuple[float, ...]:
    """Numbers separated by commas or spaces."""
    return tuple(float(part) for part in text.replace(",", " ").split())


def check_taps(name: str, taps: tuple[float, ...]) -> None:
    """At most MAX_TAPS numbers, none larger than LARGEST_TAP."""
    if len(taps) > MAX_TAPS:
        raise ValueError(f"{name} must have at most {MAX_TAPS} taps; got {len(taps)}")
    for k, tap in enumerate(taps):
        check_number(f"{name}[{k}]", tap, -LARGEST_TAP, LARGEST_TAP)


def choice(choices: Callable[[], tuple[str, ...]]) -> Callable[[str, Any], object]:
    return lambda name, value: check_choice(name, value, choices())


def whole(low: int, high: int) -> Callable[[str, Any], object]:
    return lambda name, value: check_int(name, value, low, high)


def check_text(name: str, value: object) -> None:
    """Text of at most 200 characters."""
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError(f"{name} must be a text of at most 200 characters; got {value!r:.60}")


def view_names() -> tuple[str, ...]:
    """The names of all views: those of the files in `views/`."""
    return tuple(found.name for found in iter_modules([str(Path(__file__).parent / "views")]))


CHECKS: dict[str, Callable[[str, Any], object]] = {
    "view": choice(view_names),
    "wavelet": choice(lambda: (*wavelet_names(), *SPECIAL)),
    "seed": whole(0, 2**31 - 1),
    "order": choice(lambda: FILTER_ORDERS),
    "h0": check_taps,
    "h1": check_taps,
    "start": choice(lambda: ("", *wavelet_names())),
    "K": whole(2, MAX_TAPS),
    "depth": whole(1, MAX_DEPTH),
    "tree_select": choice(lambda: TREE_SELECTS),
    "m": whole(0, MAX_SIZE),
    "signal": check_text,
    "n": whole(0, MAX_LENGTH - 1),
    "rate": lambda name, value: check_number(name, value, 0, 1e12),
    "level": whole(0, MAX_DEPTH),
    "kind": choice(lambda: ("a", "b")),
    "lag": whole(0, receptive_field(MAX_DEPTH, MAX_TAPS) - 1),
    "layer": whole(0, 2**16),
    "channel": whole(0, 2**20),
    "example": whole(0, 2**31 - 1),
    "target": whole(0, 2**20),
    "theme": choice(lambda: THEMES),
}
WORDS = {int: "a whole number", float: "a number", str: "a text", tuple: "numbers separated by commas"}
READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    f.name: ({tuple: read_taps}.get(type(f.default), type(f.default)), WORDS[type(f.default)]) for f in fields(State)
}


def most_uniform(depth: int, kernel_size: int) -> int:
    """How many numbers a uniform memory can hold, at most MAX_SIZE: a_J and every detail that a_J[n] was made from.

    Examples
    --------
    >>> most_uniform(2, 2)
    4
    """
    return min(MAX_SIZE, 1 + sum(kept_per_level(depth, kernel_size, "uniform", MAX_SIZE)))
