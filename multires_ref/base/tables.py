"""Tables of text, as commands and tutorials print them."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Lines of columns, each as wide as its widest cell; the first is aligned to the left, the others to the right.

    Examples
    --------
    >>> print(text_table(["layer", "error"], [["conv", "1e-16"], ["gelu", "0"]]))
    layer  error
    conv   1e-16
    gelu       0
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for first, *others in [header, *rows]:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append(indent + "  ".join(cells).rstrip())
    return "\n".join(lines)
