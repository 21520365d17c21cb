"""What a verification found: rows of errors in sections, a verdict, and the same as text and as JSON.

The functions at the end judge errors: the noise of a sum that cancels, and which of two results is nearer to a truth.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..base.agreement import Error
from ..base.tables import text_table

HEADER = ["", "relative", "largest", "ulp", "relative", "largest", "ulp"]


@dataclass(frozen=True)
class Row:
    """One layer or one parameter: the errors of its value and gradient, and which side is nearer to the float64 truth."""

    name: str
    forward: Error | None = None
    gradient: Error | None = None
    nearer_forward: str = ""
    nearer_gradient: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is an error to judge by, and every one is tolerated."""
        errors = [error for error in (self.forward, self.gradient) if error is not None]
        return bool(errors) and all(error.passed for error in errors)


@dataclass(frozen=True)
class Section:
    """The rows of one dtype and mode."""

    title: str
    dtype: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether something was compared, and all of it is within its tolerance."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def table(self) -> str:
        """The names of the columns, and a line for each row."""
        with_nearer = any(row.nearer_forward or row.nearer_gradient for row in self.rows)
        header = [*HEADER, *(["nearer", "nearer"] if with_nearer else []), "verdict"]
        rows = [self.cells(row, with_nearer) for row in self.rows]
        lines = text_table(header, rows).split("\n")
        wide = [max(len(row[n]) for row in [header, *rows]) for n in range(7)]
        groups = " " * wide[0] + "  " + "forward".ljust(sum(wide[1:4]) + 6) + "gradient"
        return "\n".join([groups, *lines])

    @staticmethod
    def cells(row: Row, with_nearer: bool) -> list[str]:
        who = [row.nearer_forward, row.nearer_gradient] if with_nearer else []
        return [row.name, *error_cells(row.forward), *error_cells(row.gradient), *who, "ok" if row.passed else "DIFFERS"]


@dataclass(frozen=True)
class Report:
    """Sections and a verdict; prints as tables."""

    title: str
    sections: list[Section]
    assumed: list[str] = field(default_factory=list)  # settings that no file and no caller gave, as "name = value"

    @property
    def passed(self) -> bool:
        """Whether every section, and at least one, has passed."""
        return bool(self.sections) and all(section.passed for section in self.sections)

    def first_difference(self) -> str | None:
        """The first row that is not within its tolerance."""
        return next((row.name for section in self.sections for row in section.rows if not row.passed), None)

    def verdict(self) -> str:
        """One line; it says what was assumed, as the verdict depends on that."""
        differing = [(s, row) for s in self.sections for row in s.rows if not row.passed]
        empty = [s.title for s in self.sections if not s.rows]
        if self.passed:
            said = "verdict: all within tolerance"
        elif differing:
            section, row = differing[0]
            said = f"verdict: {len(differing)} rows differ, the first of them {row.name} ({section.title})"
        else:
            said = f"verdict: not passed, nothing was compared{' in ' + ', '.join(empty) if empty else ''}"
        return said + (f"; assumed, because it is not in the file: {', '.join(self.assumed)}" if self.assumed else "")

    def __str__(self) -> str:
        parts = [self.title]
        for section in self.sections:
            parts += ["", section.title, section.table(), *section.notes]
        return "\n".join([*parts, "", self.verdict()])

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers and strings, for JSON (an infinite error becomes the word)."""
        return {
            "title": self.title,
            "passed": self.passed,
            "verdict": self.verdict(),
            "assumed": self.assumed,
            "sections": [plain(s) for s in self.sections],
        }


def plain(section: Section) -> dict[str, Any]:
    """A section for JSON."""
    rows = []
    for row in section.rows:
        errors = {name: error_dict(getattr(row, name)) for name in ("forward", "gradient")}
        rows.append({**asdict(row), **errors, "passed": row.passed})
    return {"title": section.title, "dtype": section.dtype, "passed": section.passed, "rows": rows, "notes": section.notes}


def error_dict(error: Error | None) -> dict[str, Any] | None:
    """An error with numbers that JSON can hold."""
    if error is None:
        return None
    return {k: v if isinstance(v, bool) or abs(v) < float("inf") else str(v) for k, v in error._asdict().items()}


def cancellation_noise(terms: np.ndarray) -> float:
    """The rounding error that a sum of `terms` [B, C, L] or [B, C] over all axes but the channels may have: 8 eps sum |terms|.

    The gradient of a bias is such a sum: its terms are the gradient at the layer's output. In front of a BatchNorm in training
    this sum is exactly 0, and two programs that add in another order differ by this much.

    Examples
    --------
    >>> cancellation_noise(np.float64([[1.0], [-1.0]])) == 16 * 2.0**-52
    True
    """
    terms = np.asarray(terms)
    return float(8 * np.finfo(terms.dtype).eps * np.abs(terms).sum(axis=(0, 2)[: terms.ndim - 1]).max())


def nearer(ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray) -> str:
    """ "ours", "PyTorch" or "same": which float32 result is nearer (in norm, by more than a tenth) to the float64 truth.

    Examples
    --------
    >>> nearer(np.float32([1.0]), np.float32([1.1]), np.float64([1.0]))
    'ours'
    """
    truth = np.asarray(truth, np.float64)
    ours, theirs = (float(np.linalg.norm((np.asarray(a, np.float64) - truth).ravel())) for a in (ours, theirs))
    if ours <= 1.1 * theirs and theirs <= 1.1 * ours:
        return "same"
    return "ours" if ours < theirs else "PyTorch"


def error_cells(error: Error | None) -> list[str]:
    """The three numbers of an error as cells; blanks where there is none."""
    if error is None:
        return ["", "", ""]
    return [f"{error.relative:.1e}", f"{error.largest:.1e}", f"{error.ulp:.1f}" if error.ulp < 1e5 else f"{error.ulp:.1e}"]


def nearer_notes(rows: list[Row], output: tuple[float, float]) -> list[str]:
    """Which side is nearer to the float64 truth: at the output, and counted over all rows."""
    count = Counter(who for row in rows for who in (row.nearer_forward, row.nearer_gradient) if who)
    total = sum(count.values())
    ours, theirs = output
    return [
        f"float64 truth: at the output ours is off by {ours:.1e}, PyTorch by {theirs:.1e} (relative)",
        f"of {total} arrays ours is nearer in {count['ours']}, PyTorch in {count['PyTorch']}, even in {count['same']}",
    ]
