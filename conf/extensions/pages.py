"""Two rules for every page: no address of an object, and no ``>>>`` that nobody runs."""

import re

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(.*)$")
PROMPT = re.compile(r"^\s*>>>")


def prompts_nobody_runs(source: str) -> list[int]:
    """Lines, counted from 1, with a ``>>>`` outside a doctest directive.

    >>> prompts_nobody_runs("```{doctest}\\n>>> 1 + 1\\n2\\n```")
    []
    >>> prompts_nobody_runs("```python\\n>>> 1 + 1\\n3\\n```")
    [2]
    """
    found = []
    fences: list[tuple[str, str]] = []  # those open here, from the outermost: marks and info
    for number, line in enumerate(source.splitlines(), start=1):
        fence = FENCE.match(line)
        if fence and fences and _closes(fence, fences[-1][0]):
            fences.pop()
        elif fence and fence.group(2):
            fences.append((fence.group(1), fence.group(2)))
        elif PROMPT.match(line) and not (fences and fences[-1][1].startswith("{doctest}")):
            found.append(number)
    return found


def check_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Report what would be printed as a session and never run."""
    if app.env.doc2path(docname).endswith(".md"):
        for line in prompts_nobody_runs(source[0]):
            logger.warning(
                '">>>" outside a doctest directive would be printed and never run; '
                "put it into a ```{doctest} fence",
                location=(docname, line),
                type="gate",
                subtype="prompt",
            )


def check_page(app: Sphinx, pagename: str, template: str, context: dict, doctree: object) -> None:
    """Report an object's address, which differs from one build to the next."""
    address = ADDRESS.search(context.get("body") or "")
    if address:
        logger.warning(
            "the page shows an object's address, %s; print a name or a shape instead",
            address.group(0),
            location=pagename,
            type="gate",
            subtype="address",
        )


def _closes(fence: re.Match, opened: str) -> bool:
    marks, info = fence.groups()
    return not info and marks[0] == opened[0] and len(marks) >= len(opened)


def setup(app: Sphinx) -> dict:
    app.connect("source-read", check_source)
    app.connect("html-page-context", check_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
