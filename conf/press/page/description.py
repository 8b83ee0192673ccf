"""Say in a page's head what it is about: the paragraph it begins with, for those who search."""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 200
# Shorter ones say how long a page takes, or introduce a list.
SHORTEST = 60


def description(doctree: nodes.document) -> str:
    """The first paragraph of some length, cut between words; empty where there is none."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) >= SHORTEST and "bp-before" not in paragraph["classes"]:
            return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"
    return ""


def add_description(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Put it among the page's meta tags."""
    text = description(doctree) if doctree is not None else ""
    if text:
        tag = f'<meta name="description" content="{escape(text)}">'
        context["metatags"] = f"{context.get('metatags') or ''}\n    {tag}"
