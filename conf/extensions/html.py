"""The one HTML table of this book: a table on a desk, a list of labelled values on a phone."""

from collections.abc import Iterable, Sequence
from html import escape

from docutils import nodes


class Markup(str):
    """HTML that is inserted as it is; any other cell is escaped."""


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str, *classes) -> str:
    """``rows`` under ``headers``; the first cell of a row is its header."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(_row(headers, row) for row in rows)
    css = " ".join(("bp-table", *classes))
    return (
        f'<div class="bp-table-frame" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="{css}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def raw(html: str) -> nodes.raw:
    """``html`` as a node of a page."""
    return nodes.raw("", html, format="html")


def _row(headers: Sequence[str], cells: Sequence[object]) -> str:
    first, *others = (cell if isinstance(cell, Markup) else escape(str(cell)) for cell in cells)
    labelled = "".join(
        f'<td data-label="{escape(header)}">{cell}</td>'
        for header, cell in zip(headers[1:], others, strict=True)
    )
    return f'<tr><th scope="row">{first}</th>{labelled}</tr>'
