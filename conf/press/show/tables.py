"""The one HTML table of this book: a table on a desk, a list of labelled values on a phone."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from docutils import nodes
from markupsafe import Markup

# A phone shows rows as blocks, and some browsers then forget that they are a table's.
ROLES = {
    "table": "table",
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "td": "cell",
    'th scope="col"': "columnheader",
    'th scope="row"': "rowheader",
}


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str, *classes) -> str:
    """``rows`` under ``headers``; the first cell of a row is its header.

    A cell that is :class:`markupsafe.Markup` is inserted as it is, any other is escaped.
    """
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(_row(headers, row) for row in rows)
    css = " ".join(("bp-table", *classes))
    return framed(
        f'<table class="{css}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        caption,
    )


def framed(table: str, name: str) -> str:
    """``table``, HTML whose text is escaped, in a frame that scrolls when it is too wide."""
    opened = re.compile(rf"<({'|'.join(ROLES)})(?=[ >])")
    told = opened.sub(lambda tag: f'{tag.group()} role="{ROLES[tag[1]]}"', table)
    return f'<div class="bp-frame" role="group" aria-label="{escape(name)}">{told}</div>'


def with_code(text: str) -> Markup:
    """``text`` as HTML, what stands between backticks as code.

    >>> with_code("`a < b` or not")
    Markup('<code>a &lt; b</code> or not')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False)))


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
