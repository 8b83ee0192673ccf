"""Cells of text as columns, as Markdown and as HTML; the user's text is escaped here."""

from collections.abc import Sequence
from html import escape

from backwardpass.show.words import clean

Cells = Sequence[Sequence[str]]


def text(columns: Sequence[str], cells: Cells, numbers: Sequence[int] = (0,)) -> str:
    """Align columns with spaces, those in `numbers` on the right.

    >>> print(text(("step", "name"), [("1", "a"), ("10", "b")]))
    step  name
       1  a
      10  b
    """
    lines = [columns, *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(columns: Sequence[str], cells: Cells, numbers: Sequence[int] = (0,)) -> str:
    """Write a Markdown table."""
    rule = ["---:" if column in numbers else "---" for column in range(len(columns))]
    lines = [columns, rule, *([_markdown(cell) for cell in row] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html(columns: Sequence[str], cells: Cells, caption: str | None = None) -> str:
    """Write an HTML table whose cells carry their column's name as ``data-label``."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    lines = ['<table class="bp-table">']
    if caption is not None:
        lines.append(f"<caption>{escape(clean(caption))}</caption>")
    lines += [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for first, *rest in cells:
        row = [f'<th scope="row" data-label="{columns[0]}">{escape(first)}</th>']
        for column, cell in zip(columns[1:], rest, strict=True):
            row.append(f'<td data-label="{column}">{escape(cell)}</td>')
        lines.append(f"<tr>{''.join(row)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"])


def _markdown(cell: str) -> str:
    return "".join(f"\\{char}" if char in "\\|`*_<>[]" else char for char in cell)
