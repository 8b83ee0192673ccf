"""A sign beside each exercise that links to it, as headings have one."""

import re

from sphinx.application import Sphinx

TITLE = re.compile(
    r'(<div class="exercise admonition" id="([^"]+)">\s*<p class="admonition-title">.*?)(</p>)',
    re.DOTALL,
)


def linked(body: str) -> str:
    """The body of a page, its exercises with a link to themselves.

    >>> p = '<p class="admonition-title">Exercise 1</p>'
    >>> print(linked(f'<div class="exercise admonition" id="ex-a">{p}').partition("1")[2])
    <a class="headerlink" href="#ex-a" title="Link to this exercise">¶</a></p>
    """
    return TITLE.sub(
        r'\1<a class="headerlink" href="#\2" title="Link to this exercise">¶</a>\3', body
    )


def link(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Give exercises and proofs a link to themselves, as headings have."""
    if doctree is not None:
        context["body"] = linked(context["body"])
