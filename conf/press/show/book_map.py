"""A map of the book: its chapters by part, a line each, from the table of contents.

What follows the directive is a definition list of pages and lines; a chapter without a line of its
own is shown with the first sentence it begins with, so that none can be missing.
"""

import re
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from press import fences, project
from press.fences import NOTHING, directive

# Lines of a chapter that are not prose: fences, labels, titles, tables, lists.
NO_PROSE = re.compile(r"^(?:[`:~]{3,}|\(|#|\||:|>|-|\d+\.|\*\*|<|!|%|$)")


@directive("book-map", NOTHING)
class BookMap(SphinxDirective):
    """Lines ``page: what it is about``, the page as the table of contents names it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        contents = project.CONF / "_toc.yml"
        self.env.note_dependency(str(contents))
        parts = chapters(yaml.safe_load(contents.read_text("utf-8")))
        lines = dict(line.split(": ", 1) for line in self.content if line.strip())
        known = {page for _, pages in parts for page in pages}
        if unknown := [page for page in lines if page not in known]:
            raise self.error(f"the table of contents has no {', '.join(unknown)}")
        shown = nodes.container(classes=["bp-map"])
        for caption, pages in parts:
            text = [f"**{caption}**", ""]
            for page in pages:
                text += [f"{{doc}}`/{page}`", f": {lines.get(page) or self._opening(page)}", ""]
            part = nodes.container(classes=["bp-map-part"])
            self.state.nested_parse(StringList(text, source=self.env.docname), 0, part)
            shown += part
        return [shown]

    def _opening(self, page: str) -> str:
        source = Path(self.env.doc2path(page))
        self.env.note_dependency(str(source))
        return opening(source.read_text("utf-8")) if source.suffix == ".md" else ""


def chapters(contents: dict) -> list[tuple[str, list[str]]]:
    """The parts of a table of contents, each with its pages, those below them left out."""
    parts = contents.get("parts") or [{"caption": "Chapters", "chapters": contents["chapters"]}]
    return [
        (part["caption"], [entry["file"] for entry in part["chapters"] if "file" in entry])
        for part in parts
    ]


def opening(source: str) -> str:
    """The first sentence of a chapter's prose, without what needs the rest of the page.

    >>> opening("(label)=\\n# Title\\n\\n```{before-you-read}\\n```\\n\\nIt begins. And goes on.")
    'It begins.'
    """
    for _, line, around in fences.lines(source):
        if not around and not NO_PROSE.match(line):
            return re.match(r"(?:.*?[.:?])(?= [A-Z]|$)|.*", line)[0]
    return ""
