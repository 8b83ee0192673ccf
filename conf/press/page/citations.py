"""Entries of the bibliography are items of its list, to whoever hears a page.

docutils gives each the role ``doc-biblioentry``, which ARIA has deprecated and no list may hold.
"""

from sphinx.application import Sphinx

DEPRECATED, ITEM = 'role="doc-biblioentry"', 'role="listitem"'


def relabel(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Give each entry of a bibliography the role of an item."""
    if DEPRECATED in (context.get("body") or ""):
        context["body"] = context["body"].replace(DEPRECATED, ITEM)
