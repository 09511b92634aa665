"""Tables of text for people."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], names: int) -> list[str]:
    """A line a row, columns two spaces apart; the first so many columns from the left, the others from the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        pairs = enumerate(zip(row, widths, strict=True))
        cells = [text.ljust(width) if c < names else text.rjust(width) for c, (text, width) in pairs]
        lines.append("  ".join(cells).rstrip())
    return lines
