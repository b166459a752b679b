"""Sets texts in columns, for a terminal or a file."""

import io
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

# A file or a pipe has no width, and its lines are not folded.
_ENDLESS = 100_000


def columns_of(rows: Sequence[Sequence[str]], headings: Sequence[str] = ()) -> list[str]:
    """Returns lines of text with the rows in columns. In a terminal, what is too long for a column is folded.

    Args:
        rows: the texts, of which each is one line.
        headings: the headings of the columns; none for a table without.
    """
    if not rows:
        return []
    table = Table(box=None, show_header=bool(headings), pad_edge=False, padding=(0, 3, 0, 0))
    for i in range(max(map(len, [*rows, headings]), default=0)):
        is_number = all(_is_number(row[i]) for row in rows if i < len(row))
        heading = Text(headings[i]) if headings else ""
        table.add_column(heading, overflow="fold", justify="right" if is_number else "left", header_style="")
    for row in rows:
        table.add_row(*map(Text, row))
    text = io.StringIO()
    width = Console().width if sys.stdout.isatty() else _ENDLESS
    Console(file=text, width=width, color_system=None, legacy_windows=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(".", "").replace(",", "").lstrip("-").isdigit()
