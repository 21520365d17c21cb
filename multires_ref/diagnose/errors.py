"""The tables of a report, and `measure`, by which its errors are found."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.agreement import Error, measure

__all__ = ["Error", "measure", "text_table"]


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first column to the left, the others to the right.

    Examples
    --------
    >>> print(text_table(["layer", "error"], [["conv", "1e-16"], ["gelu", "0"]]))
    layer  error
    conv   1e-16
    gelu       0
    """
    wide = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(w) if n else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, wide, strict=True))
        ).rstrip()

    return "\n".join(line(row) for row in [header, *rows])
