"""Say above a chapter how long it takes to read, and what it builds on."""

import math
import re

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from press.fences import NOTHING, directive

WORDS_A_MINUTE = 200
LINES_OF_CODE_A_MINUTE = 20


class minutes(nodes.Inline, nodes.TextElement):
    """Stands where the reading time is put once the whole page is known."""


@directive("before-you-read", NOTHING)
class BeforeYouRead(SphinxDirective):
    """``:needs:`` names the labels of the chapters that this one builds on."""

    option_spec = {"needs": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        said = nodes.paragraph(classes=["bp-before"])
        said += minutes()
        labels = [label.strip() for label in self.options.get("needs", "").split(",")]
        for place, label in enumerate(filter(None, labels)):
            said += nodes.Text(" Builds on " if place == 0 else ", ")
            reference = addnodes.pending_xref(
                "",
                nodes.inline("", label),
                refdomain="std",
                reftype="ref",
                reftarget=label,
                refdoc=self.env.docname,
                refexplicit=False,
                refwarn=True,
            )
            self.set_source_info(reference)
            said += reference
        if any(labels):
            said += nodes.Text(".")
        return [said]


def count(app: Sphinx, doctree: nodes.document) -> None:
    """Replace the placeholder by the time that the page takes: its prose, and its code."""
    for placeholder in list(doctree.findall(minutes)):
        taken = reading_minutes(doctree)
        text = f"{taken} minute{'s' if taken != 1 else ''} to read."
        placeholder.replace_self(nodes.Text(text))


def reading_minutes(doctree: nodes.document) -> int:
    """Minutes for the prose and the code of a page, rounded up.

    A line of code that stood on the page before is recognised and not read again, as in a program
    that is shown with a mistake and without.
    """
    prose = sum(len(re.findall(r"\w+", p.astext())) for p in doctree.findall(nodes.paragraph))
    blocks = doctree.findall(nodes.literal_block)
    code = {line.strip() for block in blocks for line in block.astext().splitlines()} - {""}
    return math.ceil(prose / WORDS_A_MINUTE + len(code) / LINES_OF_CODE_A_MINUTE)


def setup(app: Sphinx) -> None:
    app.add_node(minutes)
