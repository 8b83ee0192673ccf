"""Give drawings and tables that a chapter's cells return the frames that pages have for them."""

import re

from docutils import nodes
from sphinx.application import Sphinx

from .graphs import _drawing
from .html import framed

PICTURE = re.compile(r'<div class="bp-figure">(<svg .*?</svg>)</div>', re.DOTALL)
TABLE = re.compile(r'<table class="bp-table">.*?</table>', re.DOTALL)


def in_frames(html: str) -> str:
    """Frame what the instruments' rich display writes; anything else stays as it is."""
    html = PICTURE.sub(lambda found: _drawing(found[1]), html)
    return TABLE.sub(lambda found: framed(found[0], "Table"), html)


def frame(app: Sphinx, doctree: nodes.document) -> None:
    """Frame the outputs of a page's cells."""
    for node in doctree.findall(nodes.raw):
        if node.get("format") == "html" and "bp-table" in node.astext() + "bp-figure":
            text = node.astext()
            if text.startswith(('<div class="bp-figure">', '<table class="bp-table">')):
                node.children[:] = [nodes.Text(in_frames(text))]
                node.rawsource = in_frames(text)


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", frame)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
